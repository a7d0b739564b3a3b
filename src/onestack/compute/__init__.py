"""Compute: servers, and the hosts that they run on."""

from typing import Any

from onestack.compute import (
    aggregates,
    availability_zones,
    explain,
    extensions,
    floating_ips,
    hypervisors,
    images,
    keypairs,
    limits,
    networks,
    old_hosts,
    old_volumes,
    quota_classes,
    quota_sets,
    security_groups,
    server_groups,
    services,
    upkeep,
    usage,
    usage_audit,
    versions,
)
from onestack.compute.consoles import proxy
from onestack.compute.flavors import access, extra_specs
from onestack.compute.flavors import change as change_flavors
from onestack.compute.flavors import read as read_flavors
from onestack.compute.flavors.record import bootstrap
from onestack.compute.hypervisor import Hypervisor
from onestack.compute.rules import ATTACH_EXTERNAL, SHARED
from onestack.compute.servers import actions, contents
from onestack.compute.settings import ComputeSettings
from onestack.compute.style import ROOT, VERSIONS, ComputeStyle
from onestack.compute.wiring import host_reported, wire
from onestack.core.api import Service
from onestack.core.flow import Flow

# Rules that an operation judges by besides the one that it declares.
JUDGED_TOO = (
    ATTACH_EXTERNAL, server_groups.ALL, limits.OTHERS, *contents.JUDGED_TOO, *actions.JUDGED_TOO
)  # fmt: skip

SERVICE = Service(
    name="compute",
    type="compute",
    title="Compute",
    root=ROOT,
    version="2.104",
    microversions=VERSIONS,
    style=ComputeStyle(),
    topic="compute",
    request_id_header="x-compute-request-id",
    takes_last_slash=False,
    shared_rules=SHARED | {rule.name: rule.check for rule in JUDGED_TOO},
    sockets={proxy.PATH: proxy.serve},
    nouns=(
        versions.api,
        extensions.api,
        read_flavors.api,
        change_flavors.api,
        access.api,
        extra_specs.api,
        keypairs.api,
        server_groups.api,
        aggregates.api,
        availability_zones.api,
        hypervisors.api,
        services.api,
        quota_sets.api,
        quota_classes.api,
        limits.api,
        usage.api,
        usage_audit.api,
        images.api,
        old_hosts.api,
        security_groups.api,
        networks.api,
        floating_ips.api,
        old_volumes.api,
        explain.api,
        *contents.NOUNS,
        *actions.NOUNS,
    ),
)

FLOWS: tuple[type[Flow[Any]], ...] = (
    upkeep.forget_old_decisions,
    *contents.FLOWS,
    *actions.FLOWS,
)

__all__ = [
    "FLOWS",
    "SERVICE",
    "ComputeSettings",
    "Hypervisor",
    "bootstrap",
    "host_reported",
    "wire",
]
