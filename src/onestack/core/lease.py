"""Leases: whoever runs a flow's step has its row, and writes it only as long as that is so."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, cast

from sqlalchemy import Executable, Table, bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.db import Database
from onestack.core.flow_record import DOORBELL, FlowRecord
from onestack.core.listed import among
from onestack.core.sequence import draw

HASTY_TRIES = 2

# Built once: what a step costs is mostly the building of its statements.
_FLOWS = cast(Table, FlowRecord.__table__)
_OURS = (_FLOWS.c.id == bindparam("taken"), _FLOWS.c.fence == bindparam("drawn"))
_KNOWN = among(_FLOWS.c.kind, "kinds")
_NEXT_DUE = select(func.min(_FLOWS.c.due_at)).where(_KNOWN)
_DUE = (
    select(_FLOWS)
    .where(_FLOWS.c.due_at <= bindparam("now"), _KNOWN)
    .order_by(_FLOWS.c.due_at, _FLOWS.c.started_at)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_LEASE = update(_FLOWS).where(_OURS[0])
_WRITE = update(_FLOWS).where(*_OURS)
_DELETE = delete(_FLOWS).where(*_OURS)
_HOLD = select(_FLOWS.c.id).where(*_OURS).with_for_update()
_HOLD_PARENT = select(_FLOWS.c.id).where(_FLOWS.c.id == bindparam("parent")).with_for_update()


class LeaseLost(Exception):
    """The flow is somebody else's by now; nothing of this step may be written."""


def next_due(database: Database, kinds: list[str]) -> dt.datetime | None:
    """When the first of all flows is due; for those that are under way, when their lease ends."""
    with database.transaction(write=False) as session:
        found: dt.datetime | None = session.connection().scalar(_NEXT_DUE, {"kinds": kinds})
        return found


def take(database: Database, kinds: list[str], holder: str, seconds: float) -> FlowRecord | None:
    """Lease the flow that has been due for the longest time. This counts as a try, so that a step
    that kills its process comes to an end too."""
    now = clock.now()
    with database.engine.begin() as connection:
        found = connection.execute(_DUE, {"now": now, "kinds": kinds}).first()
        if found is None:
            return None
        row = FlowRecord(**found._mapping)
        row.fence = draw(connection, DOORBELL)
        row.tries += 1
        row.due_at = now + dt.timedelta(seconds=seconds)
        lease = {"tries": row.tries, "due_at": row.due_at, "fence": row.fence, "holder": holder}
        connection.execute(_LEASE, {"taken": row.id, **lease})
    return row


def extend(session: Session, rows: Iterable[FlowRecord], seconds: float) -> None:
    """Let leases end so many seconds from now."""
    ours = FlowRecord.fence.in_([row.fence for row in rows])
    due_at = clock.now() + dt.timedelta(seconds=seconds)
    session.execute(update(FlowRecord).where(ours).values(due_at=due_at))


def take_back(session: Session, holder: str) -> None:
    """Let go of what a worker held when it died: nobody else has its name, so nobody is at it. What
    was under way at several deaths may be why, and waits."""
    now, ours = clock.now(), FlowRecord.holder == holder
    held = (ours, FlowRecord.tries.between(1, HASTY_TRIES), FlowRecord.due_at > now)
    session.execute(update(FlowRecord).where(*held).values(due_at=now))


def hold(session: Session, row: FlowRecord) -> None:
    """Take the row before those of resources, as whoever pre-empts the flow does: nobody waits in
    a circle."""
    connection = session.connection()
    if row.parent_id is not None:
        connection.execute(_HOLD_PARENT, {"parent": row.parent_id})
    if connection.execute(_HOLD, {"taken": row.id, "drawn": row.fence}).first() is None:
        raise LeaseLost


def write(session: Session, row: FlowRecord, **changes: Any) -> None:
    """Change the flow's row, if the lease is still ours."""
    _fenced(session, _WRITE, row, changes)


def end(session: Session, row: FlowRecord) -> None:
    """Remove the flow's row, if the lease is still ours."""
    _fenced(session, _DELETE, row, {})


def _fenced(
    session: Session, statement: Executable, row: FlowRecord, values: Mapping[str, Any]
) -> None:
    session.flush()
    ours = {"taken": row.id, "drawn": row.fence}
    if session.connection().execute(statement, {**values, **ours}).rowcount != 1:
        raise LeaseLost
