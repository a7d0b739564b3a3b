"""Network: who can talk to whom, and under which address."""

from typing import Any

from onestack.core.api import Service
from onestack.core.flow import Flow
from onestack.network import (
    address_groups,
    agents,
    auto_topology,
    availability_zones,
    discovery,
    extensions,
    ip_availability,
    quotas,
    rbac,
    service_providers,
    tags,
)
from onestack.network.floating_ips import attributes as _floating_ips
from onestack.network.floating_ips import operations as floating_ips
from onestack.network.floating_ips import port_forwardings
from onestack.network.networks import attributes as _networks
from onestack.network.networks import operations as networks
from onestack.network.ports import attributes as _ports
from onestack.network.ports import operations as ports
from onestack.network.ports import pairs as address_pairs
from onestack.network.ports.bind import bind
from onestack.network.ports.remove import on_deleted
from onestack.network.ports.servers import Nic, Requested, claim, guard, nics, plan, release
from onestack.network.routers import agents as router_agents
from onestack.network.routers import attributes as _routers
from onestack.network.routers import interfaces as router_interfaces
from onestack.network.routers import operations as routers
from onestack.network.routers import routes as router_routes
from onestack.network.routers.placing import move_routers
from onestack.network.rules import SHARED
from onestack.network.security_groups import groups as security_groups
from onestack.network.security_groups import rules as security_group_rules
from onestack.network.style import ROOT, NetworkStyle
from onestack.network.subnetpools import address_scopes
from onestack.network.subnetpools import attributes as _subnetpools
from onestack.network.subnetpools import operations as subnetpools
from onestack.network.subnets import attributes as _subnets
from onestack.network.subnets import operations as subnets
from onestack.network.switch import Switch
from onestack.network.wiring import host_reported, wire
from onestack.network.wirings.flow import WireHost, on_wired
from onestack.network.wirings.watch import watch_networks

JUDGED_TOO = (
    *_networks.JUDGED_TOO,
    *_subnets.JUDGED_TOO,
    *_subnetpools.JUDGED_TOO,
    *_ports.JUDGED_TOO,
    *_routers.JUDGED_TOO,
    *_floating_ips.JUDGED_TOO,
)

SERVICE = Service(
    name="network",
    type="network",
    title="Network",
    root=ROOT,
    version="2.0",
    style=NetworkStyle(),
    topic="network",
    shared_rules=SHARED | {rule.name: rule.check for rule in JUDGED_TOO},
    nouns=(
        discovery.api,
        networks.api,
        subnets.api,
        subnetpools.api,
        address_scopes.api,
        ports.api,
        address_pairs.api,
        routers.api,
        router_interfaces.api,
        router_routes.api,
        router_agents.api,
        floating_ips.api,
        port_forwardings.api,
        agents.api,
        availability_zones.api,
        ip_availability.api,
        auto_topology.api,
        quotas.api,
        rbac.api,
        address_groups.api,
        security_groups.api,
        security_group_rules.api,
        tags.api,
        extensions.api,
        service_providers.api,
    ),
)

FLOWS: tuple[type[Flow[Any]], ...] = (WireHost, watch_networks, move_routers)

__all__ = [
    "FLOWS",
    "SERVICE",
    "Nic",
    "Requested",
    "Switch",
    "bind",
    "claim",
    "guard",
    "host_reported",
    "nics",
    "on_deleted",
    "on_wired",
    "plan",
    "release",
    "wire",
]
