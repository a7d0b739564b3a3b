"""Making ports: any number on one network, in a few statements."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec
from sqlalchemy import Table, bindparam, select
from sqlalchemy.orm import Session

from onestack.core import clock, event
from onestack.core.db import insert_all
from onestack.core.errors import Conflict
from onestack.core.listed import among
from onestack.network import ipam
from onestack.network.networks.record import NetworkRecord
from onestack.network.ports.addresses import Allocator, Wish
from onestack.network.ports.record import PortRecord
from onestack.network.security_groups.ports import add_groups
from onestack.network.security_groups.record import default_group
from onestack.network.standard import new_id
from onestack.network.subnets.record import of_network

TRIES = 5

_PORTS = cast(Table, PortRecord.__table__)
_TAKEN = select(_PORTS.c.mac_address).where(_PORTS.c.network_id == bindparam("network_id"))
_TAKEN_OF = _TAKEN.where(among(_PORTS.c.mac_address, "macs"))
_TAKEN_ONE = _TAKEN.where(_PORTS.c.mac_address == bindparam("mac"))


class MacInUse(Conflict):
    type = "MacAddressInUse"
    message = (
        "Unable to complete operation for network {network_id}. The mac address {mac} is in use."
    )


class NewPort(msgspec.Struct):
    """A port to make; `attributes` are those of its row that are not as they always are. Once it is
    made, `given` and `guards` are what it got."""

    project_id: str
    mac: str = ""
    fixed: Sequence[tuple[str | None, str | None]] | None = None  # (subnet, address)
    groups: Sequence[str] | None = None  # None: the project's default group
    attributes: dict[str, Any] = {}
    given: Sequence[tuple[str, str]] = ()  # (subnet, address)
    guards: Sequence[str] = ()

    @property
    def owner(self) -> str:
        return str(self.attributes.get("device_owner", ""))


def many(session: Session, network: NetworkRecord, wanted: Sequence[NewPort]) -> list[PortRecord]:
    """New ports of a network, with their addresses and security groups."""
    macs = _macs(session, network.id, wanted)
    records = [_record(network, new, mac) for new, mac in zip(wanted, macs, strict=True)]
    allocator = Allocator(session, network.id, of_network(session, network.id))
    wishes = [Wish(record.id, record.mac_address, record.device_owner, new.fixed)
              for record, new in zip(records, wanted, strict=True)]  # fmt: skip
    allocator.give(wishes)
    insert_all(session, records)
    allocator.keep(wishes)
    for new, wish in zip(wanted, wishes, strict=True):
        new.given = wish.given
    _guard(session, wanted, records)
    for each in records:
        event.emit(session, "port.create.end", payload(each), each.project_id, each.id)
    return records


def plain(
    session: Session, network: NetworkRecord, wish: Wish, *, owner: str, device: str, host: str = ""
) -> PortRecord:
    """A port of the network's own, such as a DHCP server's: nothing guards it."""
    attributes = {"device_owner": owner, "device_id": device, "host": host,
                  "port_security_enabled": False}  # fmt: skip
    new = NewPort(network.project_id, wish.mac, wish.fixed, (), attributes)
    return many(session, network, [new])[0]


def payload(record: PortRecord) -> dict[str, Any]:
    """A port as events name it."""
    return {
        "id": record.id, "name": record.name, "project_id": record.project_id,
        "network_id": record.network_id, "mac_address": record.mac_address,
        "status": record.status, "device_id": record.device_id,
        "device_owner": record.device_owner, "binding:host_id": record.host,
    }  # fmt: skip


def refuse_mac(session: Session, network_id: str, mac: str) -> None:
    """Refuse a MAC address that another port of a network has."""
    if _taken(session, network_id, [mac]):
        raise MacInUse(network_id=network_id, mac=mac)


def _record(network: NetworkRecord, new: NewPort, mac: str) -> PortRecord:
    now = clock.now()
    attributes = {"port_security_enabled": network.port_security_enabled, **new.attributes}
    return PortRecord(
        id=new_id(), project_id=new.project_id, network_id=network.id, mac_address=mac,
        revision_number=1, created_at=now, updated_at=now, **attributes,
    )  # fmt: skip


def _macs(session: Session, network_id: str, wanted: Sequence[NewPort]) -> list[str]:
    """A MAC address for each: its own, or one that nobody on the network has."""
    chance = clock.randomness()
    chosen = [each.mac or ipam.new_mac(chance) for each in wanted]
    for _ in range(TRIES):
        taken = _taken(session, network_id, chosen)
        twins = {each for each in chosen if chosen.count(each) > 1} if len(chosen) > 1 else set()
        bad = taken | twins
        if not bad:
            return chosen
        for index, each in enumerate(wanted):
            if chosen[index] in bad:
                if each.mac:
                    raise MacInUse(network_id=network_id, mac=each.mac)
                chosen[index] = ipam.new_mac(chance)
    raise MacInUse(network_id=network_id, mac=chosen[0])


def _taken(session: Session, network_id: str, macs: Sequence[str]) -> set[str]:
    connection, found = session.connection(), {"network_id": network_id}
    if len(macs) == 1:
        return set(connection.execute(_TAKEN_ONE, {**found, "mac": macs[0]}).scalars())
    return set(connection.execute(_TAKEN_OF, {**found, "macs": macs}).scalars())


def _guard(session: Session, wanted: Sequence[NewPort], records: Sequence[PortRecord]) -> None:
    """Let security groups guard new ports: those that were asked for, or the default one."""
    defaults: dict[str, str] = {}
    by_groups: dict[tuple[str, ...], list[str]] = {}
    for new, record in zip(wanted, records, strict=True):
        groups = new.groups
        if groups is None:
            if not record.port_security_enabled or new.owner.startswith("network:"):
                continue
            project_id = new.project_id
            if project_id not in defaults:
                defaults[project_id] = default_group(session, project_id)
            groups = (defaults[project_id],)
        new.guards = sorted(set(groups))
        by_groups.setdefault(tuple(new.guards), []).append(record.id)
    for guards, ids in by_groups.items():
        add_groups(session, ids, guards)
