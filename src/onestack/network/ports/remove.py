"""Deleting ports, with what depends on them."""

from collections.abc import Callable, Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from onestack.core import event
from onestack.network.ports.record import PortRecord
from onestack.network.security_groups.ports import groups_of
from onestack.network.security_groups.record import PortSecurityGroupRecord
from onestack.network.wirings import change
from onestack.network.wirings.record import DhcpServerRecord

BeforeRemoval = Callable[[Session, list[str]], None]
OnDeletion = Callable[[Session, str], None]
_before: list[BeforeRemoval] = []
_when_deleted: list[OnDeletion] = []


def before_removal(function: BeforeRemoval) -> BeforeRemoval:
    """Have a function called with the ids of ports that are about to be deleted."""
    if function not in _before:
        _before.append(function)
    return function


def on_deleted(function: OnDeletion) -> OnDeletion:
    """Have a function called with the id of a port that a client deletes, just before that: whose
    flows it ends are held before the port is, as their own steps hold both."""
    if function not in _when_deleted:
        _when_deleted.append(function)
    return function


def drop(session: Session, record: PortRecord) -> None:
    """Delete a port for a client; who has it in use hears of it."""
    for function in _when_deleted:
        function(session, record.id)
    remove(session, [record])


def remove(session: Session, records: Sequence[PortRecord]) -> None:
    """Delete ports; whoever depends on them has been asked already."""
    if not records:
        return
    ids = [each.id for each in records]
    for function in _before:
        function(session, ids)
    left_behind(session, records)
    session.execute(delete(PortSecurityGroupRecord).where(PortSecurityGroupRecord.port_id.in_(ids)))
    session.execute(delete(PortRecord).where(PortRecord.id.in_(ids)))
    for each in records:
        payload = {"id": each.id, "network_id": each.network_id, "device_id": each.device_id}
        event.emit(session, "port.delete.end", payload, each.project_id, each.id)


def left_behind(session: Session, records: Sequence[PortRecord]) -> None:
    """Let hosts know that these ports are on them no more, or not as they were."""
    bound = [each for each in records if each.host or each.next_host]
    if not bound:
        return
    guards = groups_of(session, [each.id for each in bound])
    change.touch(session, "group", {group for groups in guards.values() for group in groups})
    touch_dhcp(session, {each.network_id for each in bound})
    change.ring(session, {host for each in bound for host in (each.host, each.next_host)})


def touch_dhcp(session: Session, network_ids: set[str]) -> None:
    """Let the DHCP servers of networks hear of other leases."""
    served = select(DhcpServerRecord.host, DhcpServerRecord.network_id).where(
        DhcpServerRecord.network_id.in_(sorted(network_ids))
    )
    for row in session.execute(served):
        change.touch_on(session, row.host, "network", row.network_id)
