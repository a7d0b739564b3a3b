"""The compute service's settings: [compute] in the settings file."""

from typing import Annotated

import msgspec
from msgspec import Meta

FILTERS = [
    "ComputeFilter", "AvailabilityZoneFilter", "ComputeCapabilitiesFilter",
    "ImagePropertiesFilter", "ServerGroupAffinityFilter", "ServerGroupAntiAffinityFilter",
    "SameHostFilter", "DifferentHostFilter", "AggregateInstanceExtraSpecsFilter",
    "AggregateMultiTenancyIsolation", "AggregateImagePropertiesIsolation",
]  # fmt: skip
WEIGHTS = [
    "ram=1", "cpu=1", "disk=1", "io_ops=-1", "soft_affinity=1", "soft_anti_affinity=1",
    "build_failure=1000",
]  # fmt: skip


class ComputeSettings(msgspec.Struct, frozen=True):
    """Everything of compute that an operator may choose."""

    # What hosts must be like, by the filters' names; `module:Class` is a filter of your own.
    filters: list[str] = msgspec.field(default_factory=lambda: list(FILTERS))
    # Which of them is best, as `weigher=multiplier`; a negative one turns the order around.
    weights: list[str] = msgspec.field(default_factory=lambda: list(WEIGHTS))
    # Out of how many of the best hosts one is chosen by chance.
    host_subset_size: Annotated[int, Meta(ge=1, le=20)] = 1
    # Whether a server may be resized on the host that it is on.
    resizes_on_same_host: bool = True
