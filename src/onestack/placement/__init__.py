"""Placement: who has resources, who has been given them, and who could serve a request."""

from onestack.core.api import Service
from onestack.core.context import Cloud
from onestack.core.db import Database
from onestack.placement import (
    aggregates,
    allocation_candidates,
    classes,
    discovery,
    inventories,
    providers,
    reshaper,
    traits,
    usages,
)
from onestack.placement.allocations import operations as allocations
from onestack.placement.allocations.write import Claim, holdings, release, replace
from onestack.placement.candidates import Candidate, Group, Request, Wanted, search
from onestack.placement.enrol import enrol
from onestack.placement.inventories import Inventory
from onestack.placement.providers import remove
from onestack.placement.snapshot import Snapshot
from onestack.placement.style import ROOT, VERSIONS, PlacementStyle

SERVICE = Service(
    name="placement",
    type="placement",
    title="Placement",
    root=ROOT,
    version=str(VERSIONS.highest),
    microversions=VERSIONS,
    style=PlacementStyle(),
    nouns=(
        discovery.api,
        providers.api,
        inventories.api,
        aggregates.api,
        traits.api,
        classes.api,
        usages.api,
        allocations.api,
        allocation_candidates.api,
        reshaper.api,
    ),
)


def wire(cloud: Cloud) -> None:
    """Give the cloud its snapshot of providers."""
    cloud.put(Snapshot(cloud.get(Database)))


__all__ = [
    "SERVICE",
    "Candidate",
    "Claim",
    "Group",
    "Inventory",
    "Request",
    "Snapshot",
    "Wanted",
    "enrol",
    "holdings",
    "release",
    "remove",
    "replace",
    "search",
    "wire",
]
