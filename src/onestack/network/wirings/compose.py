"""The newest wirings of what a host has not yet: from rows to what a switch is told."""

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from onestack.network.address_groups import prefixes_of
from onestack.network.networks.record import NetworkRecord
from onestack.network.ports.record import AddressRecord, PortRecord
from onestack.network.routers.wiring import routers
from onestack.network.security_groups.ports import groups_of
from onestack.network.security_groups.record import (
    PortSecurityGroupRecord,
    SecurityGroupRuleRecord,
)
from onestack.network.subnets.record import SubnetRecord
from onestack.network.subnets.wiring import subnet
from onestack.network.switch import (
    AddressPair,
    Changes,
    DhcpOption,
    DhcpWiring,
    GroupWiring,
    Item,
    Lease,
    NetworkWiring,
    PortWiring,
    RuleWiring,
    Segment,
    SubnetWiring,
    device_of,
)
from onestack.network.wirings.record import DhcpServerRecord, SwitchHostRecord, WiringRecord

Revisions = Mapping[str, int]

_PORTS = cast(Table, PortRecord.__table__)
_ADDRESSES = cast(Table, AddressRecord.__table__)
_WIRINGS = cast(Table, WiringRecord.__table__)
_GUARDS = cast(Table, PortSecurityGroupRecord.__table__)
_RULES = cast(Table, SecurityGroupRuleRecord.__table__)


def changes(session: Session, host: str, rows: Sequence[Any]) -> Changes:
    """What the pending rows of a host stand for; what is gone in the meantime is gone."""
    revisions: dict[str, dict[str, int]] = defaultdict(dict)
    gone = [Item(row.kind, row.item_id) for row in rows if row.is_gone]
    for row in rows:
        if not row.is_gone:
            revisions[row.kind][row.item_id] = row.wanted
    return Changes(
        networks=networks(session, host, revisions["network"]),
        groups=groups(session, revisions["group"]),
        ports=ports(session, revisions["port"]),
        routers=routers(session, revisions["router"]),
        gone=gone,
    )


def items(made: Changes) -> list[Item]:
    """What changes are about."""
    return [
        *(Item("network", each.id, each.revision) for each in made.networks),
        *(Item("group", each.id, each.revision) for each in made.groups),
        *(Item("port", each.id, each.revision) for each in made.ports),
        *(Item("router", each.id, each.revision) for each in made.routers),
        *made.gone,
    ]


def networks(session: Session, host: str, revisions: Revisions) -> list[NetworkWiring]:
    """Networks as a host must have them: with its DHCP servers, and the way to other hosts."""
    if not revisions:
        return []
    wanted = select(NetworkRecord).where(NetworkRecord.id.in_(revisions))
    records = session.scalars(wanted).all()  # a cursor left open would outlive its transaction
    by_network = subnets(session, revisions)
    peers = _peers(session, host, revisions)
    servers = _dhcp(session, host, revisions, by_network)
    return [
        NetworkWiring(
            id=each.id, revision=revisions[each.id], segment=segment(each), mtu=each.mtu,
            peers=peers.get(each.id, []), subnets=by_network.get(each.id, []),
            dhcp=servers.get(each.id),
        )
        for each in records
    ]  # fmt: skip


def segment(record: NetworkRecord) -> Segment:
    """How a network travels."""
    return Segment(cast(Any, record.network_type), record.physical_network, record.segmentation_id)


def subnets(session: Session, network_ids: Iterable[str]) -> dict[str, list[SubnetWiring]]:
    """The subnets of networks, for DHCP and router advertisements."""
    found: dict[str, list[SubnetWiring]] = {}
    rows = session.scalars(
        select(SubnetRecord)
        .where(SubnetRecord.network_id.in_(list(network_ids)))
        .order_by(SubnetRecord.created_at, SubnetRecord.id)
    )
    for each in rows:
        found.setdefault(each.network_id, []).append(subnet(each))
    return found


def ports(session: Session, revisions: Revisions) -> list[PortWiring]:
    """Guests' ports as their host must have them."""
    if not revisions:
        return []
    rows = session.execute(
        select(_PORTS, NetworkRecord.admin_state_up.label("is_network_up"))
        .join(NetworkRecord, NetworkRecord.id == _PORTS.c.network_id)
        .where(_PORTS.c.id.in_(revisions))
    ).all()
    addresses = addresses_by_port(session, list(revisions))
    guards = groups_of(session, revisions)
    return [
        PortWiring(
            id=row.id, revision=revisions[row.id], network_id=row.network_id,
            device=device_of(row.id), mac=row.mac_address,
            addresses=[address for _, address in addresses.get(row.id, ())],
            pairs=[AddressPair(each["mac_address"], each["ip_address"])
                   for each in row.allowed_address_pairs],
            groups=guards.get(row.id, []), is_secured=row.port_security_enabled,
            is_up=row.admin_state_up and row.is_network_up,
        )
        for row in rows
    ]  # fmt: skip


def groups(session: Session, revisions: Revisions) -> list[GroupWiring]:
    """Security groups: their rules, and the addresses of all their members that are bound."""
    if not revisions:
        return []
    rules: dict[str, list[RuleWiring]] = defaultdict(list)
    rows = session.execute(select(_RULES).where(_RULES.c.security_group_id.in_(revisions))).all()
    named = prefixes_of(session, (e.remote_address_group_id for e in rows
                                  if e.remote_address_group_id))  # fmt: skip
    for row in rows:
        rules[row.security_group_id] += _rules(row, named)
    members: dict[str, set[str]] = defaultdict(set)
    bound = (_GUARDS.c.security_group_id.in_(revisions), _PORTS.c.host != "")
    of_groups = _PORTS.join(_GUARDS, _GUARDS.c.port_id == _PORTS.c.id)
    having = of_groups.join(_ADDRESSES, _ADDRESSES.c.port_id == _PORTS.c.id)
    fixed = select(_GUARDS.c.security_group_id, _ADDRESSES.c.ip_address).select_from(having)
    for row in session.execute(fixed.where(*bound)):
        members[row.security_group_id].add(row.ip_address)
    paired = select(_GUARDS.c.security_group_id, _PORTS.c.allowed_address_pairs)
    for row in session.execute(paired.select_from(of_groups).where(*bound)):
        members[row.security_group_id].update(e["ip_address"] for e in row.allowed_address_pairs)
    return [
        GroupWiring(id=each, revision=revision, rules=rules[each], members=sorted(members[each]))
        for each, revision in revisions.items()
    ]


def addresses_by_port(
    session: Session, port_ids: Iterable[str]
) -> dict[str, list[tuple[str, str]]]:
    """The (subnet, address) pairs of ports, each in its order."""
    found: dict[str, list[tuple[str, str]]] = {}
    rows = session.execute(
        select(_ADDRESSES.c.port_id, _ADDRESSES.c.subnet_id, _ADDRESSES.c.ip_address)
        .where(_ADDRESSES.c.port_id.in_(list(port_ids)))
        .order_by(_ADDRESSES.c.position)
    )
    for row in rows:
        found.setdefault(row.port_id, []).append((row.subnet_id, row.ip_address))
    return found


def with_length(address: str, cidr: str) -> str:
    """An address with the length of the prefix that it is in."""
    return f"{address}/{cidr.partition('/')[2]}"


def _rules(row: Any, named: Mapping[str, list[str]]) -> list[RuleWiring]:
    """A rule as switches know it: one on an address group is one on each of its prefixes."""
    prefixes: list[str | None] = [row.remote_ip_prefix]
    if row.remote_address_group_id is not None:
        is_of_ipv6 = row.ethertype == "IPv6"
        known = named.get(row.remote_address_group_id, [])
        prefixes = [each for each in known if (":" in each) == is_of_ipv6]
    return [
        RuleWiring(
            direction=row.direction, ethertype=row.ethertype, protocol=row.protocol,
            port_min=row.port_range_min, port_max=row.port_range_max,
            remote_prefix=each, remote_group=row.remote_group_id,
        )
        for each in prefixes
    ]  # fmt: skip


def _peers(session: Session, host: str, ids: Iterable[str]) -> dict[str, list[str]]:
    """The tunnel addresses of the other hosts that have networks."""
    rows = session.execute(
        select(_WIRINGS.c.item_id, SwitchHostRecord.tunnel_address)
        .distinct()
        .join(SwitchHostRecord, SwitchHostRecord.host == _WIRINGS.c.host)
        .where(
            _WIRINGS.c.kind == "network", _WIRINGS.c.item_id.in_(list(ids)),
            _WIRINGS.c.host != host, _WIRINGS.c.is_gone.is_(False),
            SwitchHostRecord.tunnel_address != "",
        )
        .order_by(SwitchHostRecord.tunnel_address)
    )  # fmt: skip
    found: dict[str, list[str]] = defaultdict(list)
    for network_id, address in rows:
        found[network_id].append(address)
    return found


def _dhcp(
    session: Session, host: str, ids: Iterable[str], known: Mapping[str, list[SubnetWiring]]
) -> dict[str, DhcpWiring]:
    """The DHCP servers that a host has for networks."""
    served = session.scalars(
        select(DhcpServerRecord).where(
            DhcpServerRecord.host == host, DhcpServerRecord.network_id.in_(list(ids))
        )
    ).all()
    if not served:
        return {}
    networks_served = [each.network_id for each in served]
    rows = session.execute(select(_PORTS).where(_PORTS.c.network_id.in_(networks_served))).all()
    addresses = addresses_by_network(session, networks_served)
    named = session.execute(
        select(NetworkRecord.id, NetworkRecord.dns_domain).where(
            NetworkRecord.id.in_(networks_served)
        )
    )
    domains: dict[str, str] = {row.id: row.dns_domain for row in named}
    leases: dict[str, list[Lease]] = defaultdict(list)
    for row in rows:
        if row.host and not row.device_owner.startswith("network:"):
            leases[row.network_id].append(_lease(row, addresses.get(row.id, ())))
    macs = {row.id: row.mac_address for row in rows}
    found = {}
    for each in served:
        prefixes = {one.id: one.cidr for one in known.get(each.network_id, ())}
        own = [with_length(address, prefixes[subnet_id])
               for subnet_id, address in addresses.get(each.port_id, ())]  # fmt: skip
        found[each.network_id] = DhcpWiring(
            port_id=each.port_id, mac=macs[each.port_id], addresses=own,
            leases=leases[each.network_id], domain=domains[each.network_id].rstrip("."),
        )  # fmt: skip
    return found


def addresses_by_network(
    session: Session, network_ids: Iterable[str]
) -> dict[str, list[tuple[str, str]]]:
    """The (subnet, address) pairs of all ports of networks."""
    found: dict[str, list[tuple[str, str]]] = {}
    rows = session.execute(
        select(_ADDRESSES.c.port_id, _ADDRESSES.c.subnet_id, _ADDRESSES.c.ip_address)
        .where(_ADDRESSES.c.network_id.in_(list(network_ids)))
        .order_by(_ADDRESSES.c.position)
    )
    for row in rows:
        found.setdefault(row.port_id, []).append((row.subnet_id, row.ip_address))
    return found


def _lease(row: Any, addresses: Iterable[tuple[str, str]]) -> Lease:
    return Lease(
        port_id=row.id, mac=row.mac_address, addresses=[address for _, address in addresses],
        hostname=row.dns_name or default_hostname(addresses), device_id=row.device_id,
        project_id=row.project_id,
        options=[DhcpOption(e["opt_name"], e["opt_value"], e["ip_version"])
                 for e in row.extra_dhcp_opts],
    )  # fmt: skip


def default_hostname(addresses: Iterable[tuple[str, str]]) -> str:
    """What a guest is called that has no name: host-10-0-0-5."""
    for _, address in addresses:
        parsed = ipaddress.ip_address(address)
        text = address if parsed.version == 4 else parsed.exploded
        return f"host-{text.replace('.', '-').replace(':', '-')}"
    return ""
