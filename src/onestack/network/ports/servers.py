"""Ports of servers: what compute asks of networks."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec
from sqlalchemy import Table, and_, or_, select
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, Conflict, Forbidden
from onestack.core.listed import among
from onestack.network import auto_topology, quotas, rbac
from onestack.network.floating_ips.record import FloatingIpRecord
from onestack.network.networks.record import NetworkNotFound, NetworkRecord
from onestack.network.ports import add
from onestack.network.ports.bind import bind
from onestack.network.ports.record import AddressRecord, PortNotFound, PortRecord
from onestack.network.ports.remove import remove
from onestack.network.security_groups.ports import groups_of, keep_groups, named_groups, names_of
from onestack.network.standard import touch
from onestack.network.subnets.record import SubnetRecord
from onestack.network.switch import device_of
from onestack.network.wirings import change
from onestack.network.wirings.record import WiringRecord

OWNER = "compute:nova"

_PORTS = cast(Table, PortRecord.__table__)
_PORTS_OF = (
    select(_PORTS, NetworkRecord.name.label("network_name"), NetworkRecord.mtu)
    .join(NetworkRecord, NetworkRecord.id == _PORTS.c.network_id)
    .where(among(_PORTS.c.device_id, "devices"), _PORTS.c.device_owner.not_like("network:%"))
    .order_by(_PORTS.c.created_at, _PORTS.c.id)
)
_ADDRESSES_OF = (
    select(
        AddressRecord.port_id, AddressRecord.ip_address, AddressRecord.subnet_id,
        SubnetRecord.ip_version,
    )
    .join(SubnetRecord, SubnetRecord.id == AddressRecord.subnet_id)
    .where(among(AddressRecord.port_id, "ports"))
    .order_by(AddressRecord.position)
)  # fmt: skip
_FLOATING_OF = select(
    FloatingIpRecord.fixed_port_id, FloatingIpRecord.fixed_ip_address,
    FloatingIpRecord.floating_ip_address,
).where(among(FloatingIpRecord.fixed_port_id, "ports"))  # fmt: skip
_WIRED = select(WiringRecord.host, WiringRecord.item_id).where(
    WiringRecord.kind == "port", among(WiringRecord.item_id, "ports"),
    WiringRecord.applied > 0, WiringRecord.is_gone.is_(False),
)  # fmt: skip


class PortInUse(Conflict):
    message = "Port {id} is still in use."


class PortNotUsable(BadRequest):
    message = "Port {id} not usable for the server."


class NetworkAmbiguous(Conflict):
    message = "Multiple possible networks found, use a Network ID to be more specific."


class ExternalNetworkAttachForbidden(Forbidden):
    message = "It is not allowed to create an interface on external network {id}"


class SecurityGroupUnusable(BadRequest):
    message = (
        "Network requires port_security_enabled and subnet associated in order to apply security "
        "groups."
    )


class Requested(msgspec.Struct, frozen=True, kw_only=True):
    """One network card of a server: on a network, or by a port that exists."""

    network_id: str | None = None
    port_id: str | None = None
    address: str | None = None
    tag: str | None = None


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A fixed address of a port, and the floating ones that stand for it."""

    address: str
    version: int
    subnet_id: str
    floating: list[str] = []


class Nic(msgspec.Struct, frozen=True, kw_only=True):
    """What compute needs to know of a port."""

    id: str
    device: str  # the name of its tap, on whichever host it is
    mac: str
    mtu: int
    network_id: str
    network_name: str
    addresses: list[Address]
    security_groups: list[str]  # names
    host: str
    next_host: str
    status: str
    is_wired: bool  # where it is bound
    is_wired_ahead: bool  # where it is about to move
    is_made_for_device: bool  # it goes with the server
    port_security_enabled: bool
    dns_name: str
    vnic_type: str
    device_id: str
    project_id: str


def plan(
    session: Session,
    project_id: str,
    wanted: Sequence[Requested] | None = None,
    *,
    is_admin: bool = False,
    goes_outside: bool = False,
    makes: bool = False,
) -> list[Requested]:
    """Check what a server is to be connected to, and fill in what was left open.

    Whoever `goes_outside` may be on external networks that are not shared with them.

    None stands for the one network that the project has; for none when it has none, unless
    `makes` wants one to be made.
    """
    if wanted is None:
        found = list(_usable(session, project_id, None))
        if len(found) > 1:
            raise NetworkAmbiguous
        if not found and makes:
            found = [auto_topology.ensure(session, project_id)]
        return [Requested(network_id=each) for each in found]
    named = {each.network_id for each in wanted if each.network_id and not each.port_id}
    networks = _usable(session, project_id, named, is_admin=is_admin) if named else {}
    ports = _ports(session, [each.port_id for each in wanted if each.port_id])
    checked = []
    for each in wanted:
        if each.port_id is not None:
            port = ports.get(each.port_id)
            _check_port(port, each.port_id, project_id)
            assert port is not None
            checked.append(msgspec.structs.replace(each, network_id=port.network_id))
            continue
        if each.network_id is None or each.network_id not in networks:
            raise NetworkNotFound(id=str(each.network_id)[:64])
        if networks[each.network_id].external and not goes_outside:
            owner = networks[each.network_id].project_id
            if owner != project_id and not networks[each.network_id].shared:
                raise ExternalNetworkAttachForbidden(id=each.network_id)
        checked.append(each)
    twins = [
        each for each, count in Counter(r.port_id for r in wanted).items() if each and count > 1
    ]
    if twins:
        raise PortInUse(id=twins[0])
    return checked


def claim(  # noqa: PLR0913 - whose ports they become, and with what
    session: Session, device_id: str, project_id: str, planned: Sequence[Requested], *,
    groups: Sequence[str] | None = None, hostname: str = "", owner: str = OWNER,
) -> list[str]:  # fmt: skip
    """Make, or take over, the ports that were planned; their ids, in the same order.

    Claimed again for the same device, what is there already stays and is not made twice. `groups`
    are names or ids of security groups for the ports that are made; None is the default group.
    """
    made = list(
        session.scalars(
            select(PortRecord)
            .where(PortRecord.device_id == device_id, PortRecord.is_made_for_device)
            .order_by(PortRecord.created_at, PortRecord.id)
        )
    )
    left = {each.id: each for each in made}
    missing: list[tuple[int, Requested]] = []
    ids: list[str] = [""] * len(planned)
    for index, each in enumerate(planned):
        if each.port_id is not None:
            ids[index] = _take(session, each.port_id, device_id, owner, hostname)
            continue
        known = next((p for p in left.values() if p.network_id == each.network_id), None)
        if known is not None:
            del left[known.id]
            ids[index] = known.id
        else:
            missing.append((index, each))
    if missing:
        guards = None if groups is None else named_groups(session, project_id, groups)
        quotas.check(session, project_id, {"port": len(missing)})
        attributes = {"device_id": device_id, "device_owner": owner, "is_made_for_device": True,
                      "dns_name": hostname}  # fmt: skip
        for index, record in _made(session, project_id, missing, guards, attributes):
            ids[index] = record.id
    return ids


def release(session: Session, device_id: str, port_ids: Iterable[str] | None = None) -> None:
    """Give back a device's ports, or some of them: those that were made for it are deleted."""
    found = select(PortRecord).where(
        PortRecord.device_id == device_id, PortRecord.device_owner.not_like("network:%")
    )
    if port_ids is not None:
        found = found.where(PortRecord.id.in_(list(port_ids)))
    records = list(session.scalars(found.with_for_update()))
    kept = [each for each in records if not each.is_made_for_device]
    bind(session, [each.id for each in kept], "")
    for each in kept:
        each.device_id = each.device_owner = ""
        touch(each)
    session.flush()
    remove(session, [each for each in records if each.is_made_for_device])


def guard(session: Session, device_id: str, name: str, is_on: bool) -> None:
    """Let a security group, by its name or id, guard all ports of a device, or no longer."""
    found = select(PortRecord).where(
        PortRecord.device_id == device_id, PortRecord.port_security_enabled
    )
    records = list(session.scalars(found))
    if not records:
        raise SecurityGroupUnusable
    group_id = named_groups(session, records[0].project_id, [name])[0]
    before = groups_of(session, [each.id for each in records])
    for each in records:
        groups = [e for e in before.get(each.id, []) if e != group_id]
        keep_groups(session, [each.id], [*groups, group_id] if is_on else groups)
        touch(each)
    session.flush()
    change.touch(session, "port", [each.id for each in records])
    change.touch(session, "group", [group_id])
    change.ring(session, {each.host for each in records})


def nics(session: Session, device_ids: Iterable[str]) -> dict[str, list[Nic]]:
    """The ports of any number of devices, each device's in the order in which they were made."""
    wanted = sorted(set(device_ids))
    rows = session.execute(_PORTS_OF, {"devices": wanted}).all()
    ids = [row.id for row in rows]
    addresses = _addresses(session, ids)
    names, wired = names_of(session, ids), _wired(session, ids)
    found: dict[str, list[Nic]] = {each: [] for each in wanted}
    for row in rows:
        found[row.device_id].append(
            Nic(
                id=row.id, device=device_of(row.id), mac=row.mac_address, mtu=row.mtu,
                network_id=row.network_id, network_name=row.network_name,
                addresses=addresses.get(row.id, []), security_groups=names.get(row.id, []),
                host=row.host, next_host=row.next_host, status=row.status,
                is_wired=(row.host, row.id) in wired,
                is_wired_ahead=(row.next_host, row.id) in wired,
                is_made_for_device=row.is_made_for_device,
                port_security_enabled=row.port_security_enabled, dns_name=row.dns_name,
                vnic_type=row.vnic_type, device_id=row.device_id, project_id=row.project_id,
            )
        )  # fmt: skip
    return found


def _usable(
    session: Session, project_id: str, ids: set[str] | None, *, is_admin: bool = False
) -> Mapping[str, NetworkRecord]:
    """The networks that a project may put servers on: these, or all of its own and shared ones. An
    administrator puts them on any that is named."""
    table = NetworkRecord.__table__.c
    shared = rbac.shared_with(project_id, table.id, (rbac.SHARED, rbac.EXTERNAL))
    statement = select(NetworkRecord)
    if ids is None:
        own = and_(NetworkRecord.project_id == project_id, NetworkRecord.external.is_(False))
        statement = statement.where(own)
        found = list(session.scalars(statement.order_by(NetworkRecord.created_at)))
        if not found:
            common = and_(NetworkRecord.shared, NetworkRecord.external.is_(False))
            found = list(session.scalars(select(NetworkRecord).where(common)))
    else:
        statement = statement.where(NetworkRecord.id.in_(ids))
        if not is_admin:
            mine = or_(NetworkRecord.project_id == project_id, NetworkRecord.shared,
                       NetworkRecord.external, shared)  # fmt: skip
            statement = statement.where(mine)
        found = list(session.scalars(statement))
    return {each.id: each for each in found}


def _ports(session: Session, ids: Sequence[str]) -> dict[str, PortRecord]:
    found = session.scalars(select(PortRecord).where(PortRecord.id.in_(ids))) if ids else ()
    return {each.id: each for each in found}


def _check_port(port: PortRecord | None, port_id: str, project_id: str) -> None:
    if port is None or port.project_id != project_id:
        raise PortNotFound(id=port_id[:64])
    if port.device_id:
        raise PortInUse(id=port_id)
    if port.device_owner.startswith("network:"):
        raise PortNotUsable(id=port_id)


def _take(session: Session, port_id: str, device_id: str, owner: str, hostname: str) -> str:
    port = session.scalar(select(PortRecord).where(PortRecord.id == port_id).with_for_update())
    if port is None:
        raise PortNotFound(id=port_id[:64])
    if port.device_id not in ("", device_id):
        raise PortInUse(id=port_id)
    if port.device_id != device_id:
        port.device_id, port.device_owner = device_id, owner
        port.dns_name = port.dns_name or hostname
        touch(port)
        session.flush()
    return port_id


def _made(
    session: Session, project_id: str, missing: Sequence[tuple[int, Requested]],
    guards: Sequence[str] | None, attributes: dict[str, Any],
) -> list[tuple[int, PortRecord]]:  # fmt: skip
    by_network: dict[str, list[tuple[int, Requested]]] = {}
    for index, each in missing:
        by_network.setdefault(str(each.network_id), []).append((index, each))
    networks = session.scalars(select(NetworkRecord).where(NetworkRecord.id.in_(by_network)))
    found: list[tuple[int, PortRecord]] = []
    known = {each.id: each for each in networks}
    for network_id, several in by_network.items():
        network = known.get(network_id)
        if network is None:
            raise NetworkNotFound(id=network_id[:64])
        is_secured = network.port_security_enabled
        new = [
            add.NewPort(
                project_id, "", [(None, each.address)] if each.address else None,
                guards if is_secured else (), dict(attributes),
            )
            for _, each in several
        ]  # fmt: skip
        records = add.many(session, network, new)
        found += [(index, made) for (index, _), made in zip(several, records, strict=True)]
    return found


def _addresses(session: Session, port_ids: Sequence[str]) -> dict[str, list[Address]]:
    rows = session.execute(_ADDRESSES_OF, {"ports": port_ids}).all()
    outside: dict[tuple[str | None, str | None], list[str]] = {}
    floating = session.execute(_FLOATING_OF, {"ports": port_ids})
    for port_id, fixed, address in floating:
        outside.setdefault((port_id, fixed), []).append(address)
    found: dict[str, list[Address]] = {}
    for row in rows:
        found.setdefault(row.port_id, []).append(
            Address(
                address=row.ip_address, version=row.ip_version, subnet_id=row.subnet_id,
                floating=outside.get((row.port_id, row.ip_address), []),
            )
        )  # fmt: skip
    return found


def _wired(session: Session, port_ids: Sequence[str]) -> set[tuple[str, str]]:
    """Which ports which hosts have, in some revision."""
    rows = session.execute(_WIRED, {"ports": port_ids})
    return {(row.host, row.item_id) for row in rows}
