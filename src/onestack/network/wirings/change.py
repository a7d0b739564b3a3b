"""Telling hosts that something of theirs changed: every change of a wiring goes through here."""

from collections.abc import Iterable
from typing import cast

from sqlalchemy import Table, event, select, text, update
from sqlalchemy.orm import Session

from onestack.core import doorbell, flow_record
from onestack.core.flow_record import DOORBELL, FlowBusy, FlowLockRecord, FlowRecord
from onestack.network.switch import Kind
from onestack.network.wirings.record import SwitchHostRecord, WiringRecord

TRIES = 5
RUNG, MISSED = "hosts rung", "hosts missed"

_WIRINGS = cast(Table, WiringRecord.__table__)
_ADD_HOST = text(
    "INSERT INTO switch_hosts (host, tunnel_address) VALUES (:host, '') ON CONFLICT DO NOTHING"
)


def touch(session: Session, kind: Kind, ids: Iterable[str], *, but: str = "") -> None:
    """Let every host that has these items apply them anew; `but` names one that need not."""
    wanted = sorted(set(ids))
    if not wanted:
        return
    changed = session.connection().execute(
        update(_WIRINGS)
        .where(
            _WIRINGS.c.kind == kind, _WIRINGS.c.item_id.in_(wanted), _WIRINGS.c.host != but,
            _WIRINGS.c.is_gone.is_(False),
        )
        .values(wanted=_WIRINGS.c.wanted + 1, is_pending=True, trouble=None)
        .returning(_WIRINGS.c.host)
    )  # fmt: skip
    ring(session, changed.scalars())


def touch_on(session: Session, host: str, kind: Kind, item_id: str) -> None:
    """Let one host apply an item anew, if it has it."""
    changed = session.connection().execute(
        update(_WIRINGS)
        .where(
            _WIRINGS.c.host == host, _WIRINGS.c.kind == kind, _WIRINGS.c.item_id == item_id,
            _WIRINGS.c.is_gone.is_(False),
        )
        .values(wanted=_WIRINGS.c.wanted + 1, is_pending=True, trouble=None)
    )  # fmt: skip
    if changed.rowcount:
        ring(session, [host])


def ring(session: Session, hosts: Iterable[str]) -> None:
    """Let hosts be compared with what they must have, when this transaction commits."""
    session.info.setdefault(RUNG, set()).update(each for each in hosts if each)


@event.listens_for(Session, "before_commit")
def _ring_all(session: Session) -> None:
    """Take the rows of hosts' flows last and in one order: transactions that ring several hosts
    never wait for each other. A flow that is at work at this moment holds its row, and may wait for
    one of ours: its host is rung afterwards."""
    hosts = None if session.in_nested_transaction() else session.info.pop(RUNG, None)
    if hosts:
        session.flush()
        rung = {host: _ring(session, host, waits=False) for host in sorted(hosts)}
        session.info[MISSED] = [host for host, is_rung in rung.items() if not is_rung]


@event.listens_for(Session, "after_commit")
def _ring_missed(session: Session) -> None:
    """Let flows look again that were at work while this was committed; should this process die
    before it is done, the next watch finds what they missed."""
    missed = None if session.in_nested_transaction() else session.info.pop(MISSED, None)
    if missed:
        with Session(session.bind) as another, another.begin():
            for host in missed:
                _ring(another, host, waits=True)


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop(RUNG, None)
        session.info.pop(MISSED, None)


def _ring(session: Session, host: str, *, waits: bool) -> bool:
    """Wake a host's flow, or begin one; False when there is one that is not to be waited for."""
    session.connection().execute(_ADD_HOST, {"host": host})
    subject = SwitchHostRecord(host=host)
    held = FlowLockRecord.subject == flow_record.subject_key(session, subject)
    row = select(FlowRecord.id).join(FlowLockRecord, FlowLockRecord.flow_id == FlowRecord.id)
    taking = row.where(held).with_for_update(of=FlowRecord, skip_locked=not waits)
    for _ in range(TRIES):
        if session.scalar(taking) is not None:
            flow_record.wake(session, subject)
            doorbell.ring(session, DOORBELL)
            return True
        if not waits and session.scalar(row.where(held)) is not None:
            return False
        if _begun(session, host):
            return True
    return False


def _begun(session: Session, host: str) -> bool:
    from onestack.network.wirings.flow import WireHost

    try:
        WireHost.start(session, SwitchHostRecord(host=host))
    except FlowBusy:
        return False
    return True
