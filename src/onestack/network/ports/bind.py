"""Binding: ports are put on hosts, moved, and taken off again."""

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.network import dhcp
from onestack.network.ports.record import PortRecord
from onestack.network.ports.remove import touch_dhcp
from onestack.network.security_groups.ports import groups_of
from onestack.network.standard import touch
from onestack.network.wirings import change
from onestack.network.wirings.record import WiringRecord


def bind(session: Session, port_ids: Iterable[str], host: str, *, ahead: bool = False) -> None:
    """Put ports on a host ("" takes them off); they are ACTIVE when they are wired there.

    `ahead` wires them there too, for a server that is about to move: they stay where they are until
    they are bound there. To bind them anew where they are ends that.
    """
    ids = list(port_ids)
    found = select(PortRecord).where(PortRecord.id.in_(ids)).order_by(PortRecord.id)
    records = list(session.scalars(found.with_for_update()))
    hosts: set[str] = set()
    wired = _wired_on(session, host, ids)
    for each in records:
        before = (each.host, each.next_host)
        if ahead:
            each.next_host = "" if host == each.host else host
        else:
            each.host, each.next_host = host, ""
            each.status = "ACTIVE" if each.id in wired and each.admin_state_up else "DOWN"
        if (each.host, each.next_host) != before:
            touch(each)
            hosts.update((*before, each.host, each.next_host))
    session.flush()
    if hosts:
        announce(session, records, hosts)


def _wired_on(session: Session, host: str, port_ids: Sequence[str]) -> set[str]:
    """Which ports a host has as it must, for they were about to move there, or were there."""
    found = select(WiringRecord.item_id).where(
        WiringRecord.host == host, WiringRecord.kind == "port",
        WiringRecord.item_id.in_(port_ids), WiringRecord.applied > 0,
        WiringRecord.is_gone.is_(False), WiringRecord.is_pending.is_(False),
        WiringRecord.trouble.is_(None),
    )  # fmt: skip
    return set(session.scalars(found))


def announce(
    session: Session, records: Sequence[PortRecord], hosts: Iterable[str] | None = None
) -> None:
    """Let everybody know whom it concerns where these ports are: their hosts, the members of their
    groups, and the DHCP servers of their networks."""
    near = {each.network_id: each.host for each in records if each.host}
    for network_id in sorted(near):
        dhcp.ensure(session, network_id, near[network_id])
    touch_members(session, [each.id for each in records])
    touch_dhcp(session, {each.network_id for each in records})
    every = {host for each in records for host in (each.host, each.next_host)}
    change.ring(session, every if hosts is None else hosts)


def touch_members(session: Session, port_ids: Sequence[str]) -> None:
    """Let hosts hear that the members of these ports' groups have other addresses."""
    guards = groups_of(session, port_ids)
    change.touch(session, "group", {group for groups in guards.values() for group in groups})
