"""The traits and resource classes that every OpenStack cloud has."""

from functools import cache

CUSTOM = "CUSTOM_"
SHARES = "MISC_SHARES_VIA_AGGREGATE"


@cache
def standard_traits() -> frozenset[str]:
    # Loading them takes 60 ms, which a start without placement's use need not pay.
    import os_traits

    return frozenset(os_traits.get_traits())


@cache
def standard_classes() -> tuple[str, ...]:
    import os_resource_classes

    return tuple(os_resource_classes.STANDARDS)
