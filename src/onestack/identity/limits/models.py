"""Limit models: how the limits of a domain and of its projects bind each other."""

from collections.abc import Iterable

import msgspec

UNLIMITED = -1


class Model(msgspec.Struct, frozen=True):
    """A limit model, as clients read it."""

    name: str
    description: str
    is_strict: bool


MODELS = {
    model.name: model
    for model in (
        Model(
            "flat",
            "Each project has its own limits; where it stands in the tree does not matter.",
            is_strict=False,
        ),
        Model(
            "strict_two_level",
            "No project has a higher limit than what stands above it.",
            is_strict=True,
        ),
    )
}


def is_within(limit: int, bound: int) -> bool:
    """Whether a limit asks for no more than a bound allows."""
    if bound == UNLIMITED:
        return True
    return limit != UNLIMITED and limit <= bound


def is_allowed(model: Model, limit: int, above: int | None, below: Iterable[int]) -> bool:
    """Whether a limit fits between what binds it from above and what it binds below."""
    if not model.is_strict:
        return True
    fits_above = above is None or is_within(limit, above)
    return fits_above and all(is_within(each, limit) for each in below)
