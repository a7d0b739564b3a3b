"""Compute: servers, and the hosts that they run on."""

from onestack.compute import aggregates, decisions, keypairs, quotas, server_groups
from onestack.compute.flavors.record import bootstrap
from onestack.compute.hypervisor import Hypervisor
from onestack.compute.rules import SHARED
from onestack.compute.servers import instance_actions
from onestack.compute.settings import ComputeSettings
from onestack.compute.style import ROOT, VERSIONS, ComputeStyle
from onestack.compute.wiring import host_reported, wire
from onestack.core.api import Service
from onestack.core.flow import Flow

SERVICE = Service(
    name="compute",
    type="compute",
    title="Compute",
    root=ROOT,
    version="2.104",
    microversions=VERSIONS,
    style=ComputeStyle(),
    topic="compute",
    shared_rules=SHARED,
    nouns=(
        keypairs.api,
        server_groups.api,
        aggregates.api,
        quotas.api,
        decisions.api,
        instance_actions.api,
    ),
)

FLOWS: tuple[type[Flow[object]], ...] = ()

__all__ = [
    "FLOWS",
    "SERVICE",
    "ComputeSettings",
    "Hypervisor",
    "bootstrap",
    "host_reported",
    "wire",
]
