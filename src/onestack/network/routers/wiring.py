"""Routers as their hosts must have them: from rows to what a switch is told."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from onestack.network.floating_ips.record import FloatingIpRecord, PortForwardingRecord
from onestack.network.ports.record import (
    ROUTER_GATEWAY,
    ROUTER_INTERFACE,
    AddressRecord,
    PortRecord,
)
from onestack.network.routers.record import RouterRecord
from onestack.network.subnets.record import SubnetRecord
from onestack.network.subnets.wiring import subnet as wired
from onestack.network.switch import (
    FloatingWiring,
    ForwardingWiring,
    GatewayWiring,
    InterfaceWiring,
    Route,
    RouterWiring,
    SubnetWiring,
)

_ROUTERS = cast(Table, RouterRecord.__table__)
_PORTS = cast(Table, PortRecord.__table__)
_FLOATING = cast(Table, FloatingIpRecord.__table__)
_FORWARDING = cast(Table, PortForwardingRecord.__table__)


def wanted_on(session: Session, host: str) -> set[tuple[str, str]]:
    """The routers that a host must have, and the networks that they are on."""
    rows = session.connection().execute(
        select(_ROUTERS.c.id, _PORTS.c.network_id)
        .join(_PORTS, _PORTS.c.device_id == _ROUTERS.c.id)
        .where(
            _ROUTERS.c.host == host,
            _PORTS.c.device_owner.in_((ROUTER_INTERFACE, ROUTER_GATEWAY)),
        )
    )
    found: set[tuple[str, str]] = set()
    for row in rows:
        found |= {("router", row.id), ("network", row.network_id)}
    return found


def routers(session: Session, revisions: Mapping[str, int]) -> list[RouterWiring]:
    """Routers with their legs, routes and floating IPs."""
    if not revisions:
        return []
    rows = session.execute(select(_ROUTERS).where(_ROUTERS.c.id.in_(revisions))).all()
    legs = _legs(session, revisions)
    floating, forwarding = _floating(session, revisions), _forwarding(session, revisions)
    return [
        RouterWiring(
            id=row.id,
            revision=revisions[row.id],
            is_up=row.admin_state_up,
            interfaces=[leg for owner, leg in legs[row.id] if owner == ROUTER_INTERFACE],
            gateway=_gateway(row, legs[row.id]),
            routes=[Route(each["destination"], each["nexthop"]) for each in row.routes],
            floating=floating[row.id],
            forwarding=forwarding[row.id],
        )
        for row in rows
    ]


def _gateway(row: Any, legs: Sequence[tuple[str, InterfaceWiring]]) -> GatewayWiring | None:
    for owner, leg in legs:
        if owner == ROUTER_GATEWAY:
            nexthops = [each.gateway for each in leg.subnets if each.gateway is not None]
            return GatewayWiring(interface=leg, nexthops=nexthops, is_snat=row.enable_snat)
    return None


def _legs(session: Session, ids: Iterable[str]) -> dict[str, list[tuple[str, InterfaceWiring]]]:
    """The legs of routers by (router): each with the addresses and subnets that it is on."""
    rows = session.execute(
        select(PortRecord, AddressRecord.ip_address, SubnetRecord)
        .join(AddressRecord, AddressRecord.port_id == PortRecord.id)
        .join(SubnetRecord, SubnetRecord.id == AddressRecord.subnet_id)
        .where(
            PortRecord.device_id.in_(list(ids)),
            PortRecord.device_owner.in_((ROUTER_INTERFACE, ROUTER_GATEWAY)),
        )
        .order_by(PortRecord.created_at, PortRecord.id, AddressRecord.position)
    )
    ports: dict[str, PortRecord] = {}
    addresses: dict[str, list[str]] = defaultdict(list)
    subnets: dict[str, list[SubnetWiring]] = defaultdict(list)
    for port, address, subnet in rows:
        ports[port.id] = port
        addresses[port.id].append(f"{address}/{subnet.cidr.partition('/')[2]}")
        subnets[port.id].append(wired(subnet))
    found: dict[str, list[tuple[str, InterfaceWiring]]] = defaultdict(list)
    for port in ports.values():
        leg = InterfaceWiring(
            port_id=port.id,
            network_id=port.network_id,
            mac=port.mac_address,
            addresses=addresses[port.id],
            subnets=subnets[port.id],
        )
        found[port.device_id].append((port.device_owner, leg))
    return found


def _floating(session: Session, ids: Iterable[str]) -> dict[str, list[FloatingWiring]]:
    found: dict[str, list[FloatingWiring]] = defaultdict(list)
    wanted = select(_FLOATING).where(
        _FLOATING.c.router_id.in_(list(ids)), _FLOATING.c.fixed_ip_address.is_not(None)
    )
    for row in session.execute(wanted.order_by(_FLOATING.c.id)):
        one = FloatingWiring(row.id, row.floating_ip_address, row.fixed_ip_address)
        found[row.router_id].append(one)
    return found


def _forwarding(session: Session, ids: Iterable[str]) -> dict[str, list[ForwardingWiring]]:
    found: dict[str, list[ForwardingWiring]] = defaultdict(list)
    rows = session.execute(
        select(_FORWARDING, _FLOATING.c.router_id, _FLOATING.c.floating_ip_address)
        .join(_FLOATING, _FLOATING.c.id == _FORWARDING.c.floating_ip_id)
        .where(_FLOATING.c.router_id.in_(list(ids)))
        .order_by(_FORWARDING.c.id)
    )
    for row in rows:
        one = ForwardingWiring(
            row.id, row.floating_ip_address, row.protocol, row.external_port,
            row.internal_ip_address, row.internal_port,
        )  # fmt: skip
        found[row.router_id].append(one)
    return found
