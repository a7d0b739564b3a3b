"""Telling hosts that something of theirs changed: every change of a wiring goes through here."""

from collections.abc import Iterable
from typing import cast

from sqlalchemy import Table, select, text, update
from sqlalchemy.orm import Session

from onestack.core import doorbell, flow_record
from onestack.core.flow_record import DOORBELL, FlowBusy, FlowLockRecord, FlowRecord
from onestack.network.switch import Kind
from onestack.network.wirings.record import SwitchHostRecord, WiringRecord

TRIES = 5

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
    ring(session, set(changed.scalars()), waits=not but)


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


def ring(session: Session, hosts: Iterable[str], *, waits: bool = True) -> None:
    """Let hosts be compared with what they must have, when this transaction commits.

    While a host is being wired, we take its flow's row, and the flow looks again after us. A flow
    that rings others must not wait for theirs: what it misses is found by the next watch.
    """
    for host in sorted(set(hosts) - {""}):
        session.connection().execute(_ADD_HOST, {"host": host})
        for _ in range(TRIES):
            if _has_flow(session, host, waits) or _begun(session, host):
                break


def _has_flow(session: Session, host: str, waits: bool) -> bool:
    subject = SwitchHostRecord(host=host)
    key = flow_record.subject_key(session, subject)
    found = session.scalar(
        select(FlowRecord.id)
        .join(FlowLockRecord, FlowLockRecord.flow_id == FlowRecord.id)
        .where(FlowLockRecord.subject == key)
        .with_for_update(of=FlowRecord, skip_locked=not waits)
    )
    if found is None:
        return False
    flow_record.wake(session, subject)
    doorbell.ring(session, DOORBELL)
    return True


def _begun(session: Session, host: str) -> bool:
    from onestack.network.wirings.flow import WireHost

    try:
        WireHost.start(session, SwitchHostRecord(host=host))
    except FlowBusy:
        return False
    return True
