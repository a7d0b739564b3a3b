"""The rows of flows: one for each that runs, and one for each resource that it holds."""

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any, cast

from sqlalchemy import (
    JSON,
    ForeignKey,
    Table,
    delete,
    insert,
    inspect,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import clock, doorbell, event
from onestack.core.db import Record, by_key
from onestack.core.errors import Conflict

DOORBELL = "flows"
LOCK_TRIES = 5


class FlowRecord(Record):
    """A flow on its way: the step that comes next, and what it needs to know.

    A lease is `fence`, a number that no other lease has; `due_at` is then when it ends. Whoever
    comes later draws a new number, and what the old one writes no longer finds its row. `holder`
    is the worker that had the last lease: one that starts again need not wait for its own to end.
    """

    __tablename__ = "flows"
    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    event: Mapped[str | None]
    subject: Mapped[str] = mapped_column(index=True)
    preempts: Mapped[bool]
    parent_id: Mapped[str | None] = mapped_column(
        ForeignKey("flows.id", ondelete="SET NULL"), index=True
    )
    step: Mapped[str]
    state: Mapped[dict[str, Any]]
    errand: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    failure: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    preempted: Mapped[list[Any]]
    due_at: Mapped[dt.datetime | None] = mapped_column(index=True)  # None: a child will wake it
    fence: Mapped[int]
    holder: Mapped[str] = mapped_column(default="")
    tries: Mapped[int]
    deadline: Mapped[dt.datetime | None]
    started_at: Mapped[dt.datetime]
    request_id: Mapped[str]

    @property
    def subject_id(self) -> str:
        return self.subject.partition("/")[2]


class FlowLockRecord(Record):
    """A resource that a flow holds: there is one row for it, so there is one flow."""

    __tablename__ = "flow_locks"
    subject: Mapped[str] = mapped_column(primary_key=True)
    flow_id: Mapped[str] = mapped_column(ForeignKey("flows.id", ondelete="CASCADE"), index=True)


_ADD = insert(cast(Table, FlowRecord.__table__))
_ADD_LOCKS = insert(cast(Table, FlowLockRecord.__table__))
_ADD_LOCK = text(
    "INSERT INTO flow_locks (subject, flow_id) VALUES (:subject, :flow) ON CONFLICT DO NOTHING"
)


class FlowBusy(Conflict):
    message = "{subject} is busy: {kind} is at its step {step}."


def subject_key(session: Session, subject: Any) -> str:
    """How a resource is called among flows: table/id."""
    mapper = inspect(type(subject))
    (column,) = mapper.primary_key
    name = mapper.get_property_by_column(column).key
    if getattr(subject, name) is None:
        session.flush()
    return f"{mapper.local_table.name}/{getattr(subject, name)}"


def subject_of(session: Session, kind: Any, key: str) -> Any:
    """The resource that a key names; None when it is gone."""
    (column,) = inspect(kind).primary_key
    return by_key(session, kind, column.type.python_type(key.partition("/")[2]))


def running(session: Session, key: str) -> FlowRecord | None:
    """The flow that holds a resource."""
    return session.scalar(
        select(FlowRecord)
        .join(FlowLockRecord, FlowLockRecord.flow_id == FlowRecord.id)
        .where(FlowLockRecord.subject == key)
    )


def begin(session: Session, record: FlowRecord, also: Iterable[str] = ()) -> None:
    """Add a flow that holds its subject and `also` others, or raise `FlowBusy`.

    Nothing of the caller is written before the locks are taken: a step takes its flow's row first
    and its resource's afterwards, and so must whoever replaces it.
    """
    with session.no_autoflush:
        session.connection().execute(_ADD, _values(record))
        try:
            for key in sorted({record.subject, *also}):
                _lock(session, record, key)
        except FlowBusy:
            session.execute(delete(FlowRecord).where(FlowRecord.id == record.id))
            raise
        if record.preempted:
            session.execute(
                update(FlowRecord)
                .where(FlowRecord.id == record.id)
                .values(preempted=record.preempted)
            )
    doorbell.ring(session, DOORBELL)


def begin_all(session: Session, records: Iterable[FlowRecord]) -> None:
    """Add flows whose subjects nobody else can hold yet."""
    rows = [_values(each) for each in records]
    connection = session.connection()
    connection.execute(_ADD, rows)
    locks = [{"subject": each["subject"], "flow_id": each["id"]} for each in rows]
    connection.execute(_ADD_LOCKS, locks)
    doorbell.ring(session, DOORBELL)


def _values(record: FlowRecord) -> dict[str, Any]:
    return {name.key: getattr(record, name.key) for name in inspect(FlowRecord).column_attrs}


def wake_parent(session: Session, parent_id: str, answer: dict[str, Any]) -> None:
    """Hand a waiting parent what became of its child, in the transaction that ends the child."""
    session.execute(
        update(FlowRecord)
        .where(FlowRecord.id == parent_id, FlowRecord.due_at.is_(None))
        .values(answer=answer, due_at=clock.now(), tries=0)
    )
    doorbell.ring(session, DOORBELL)


def wake(session: Session, subject: Any) -> None:
    """Let the flow that sleeps on a resource, or a child of it that works under its lock, look
    again when this transaction commits.

    A step that runs at this moment is not disturbed: it takes its row before it looks, so either
    it sees what this transaction did, or it sleeps already when its row is found here.
    """
    key = subject_key(session, subject)
    holder = select(FlowLockRecord.flow_id).where(FlowLockRecord.subject == key)
    session.connection().execute(
        update(cast(Table, FlowRecord.__table__))
        .where(
            or_(FlowRecord.id.in_(holder), FlowRecord.subject == key),
            FlowRecord.tries == 0, FlowRecord.errand.is_(None), FlowRecord.due_at.is_not(None),
        )
        .values(due_at=clock.now())
    )  # fmt: skip
    doorbell.ring(session, DOORBELL)


def _lock(session: Session, record: FlowRecord, key: str) -> None:
    for _ in range(LOCK_TRIES):
        if session.connection().execute(_ADD_LOCK, {"subject": key, "flow": record.id}).rowcount:
            return
        holder = _holder(session, key)
        if holder is None:
            continue  # it ended just now
        if holder.id in _ancestors(session, record):
            return  # a child works under the lock of its parent
        is_replaceable = record.preempts and key == record.subject == holder.subject
        if not is_replaceable or holder.preempts:
            raise FlowBusy(subject=key.replace("/", " "), kind=holder.kind, step=holder.step)
        _preempt(session, holder, record)
    raise FlowBusy(subject=key.replace("/", " "), kind="another flow", step="start")


def _holder(session: Session, key: str) -> FlowRecord | None:
    """The flow that holds a resource, its row taken: nobody else changes it from here on."""
    found = running(session, key)
    if found is None:
        return None
    # From parent to child: everybody takes rows in this order, so nobody waits in a circle.
    for flow_id in (found.parent_id, found.id):
        taken = session.scalar(
            select(FlowRecord)
            .where(FlowRecord.id == flow_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    return taken


def _ancestors(session: Session, record: FlowRecord) -> set[str]:
    found: set[str] = set()
    parent_id = record.parent_id
    while parent_id is not None:
        found.add(parent_id)
        parent_id = session.scalar(select(FlowRecord.parent_id).where(FlowRecord.id == parent_id))
    return found


def _preempt(session: Session, holder: FlowRecord, successor: FlowRecord) -> None:
    """Replace a flow, which is handed to its successor; its children on other resources fail."""
    ended = {"error": "Preempted", "text": f"{successor.kind} came first.", "step": holder.step}
    replaced = [holder]
    for child in _descendants(session, holder):
        if child.subject == holder.subject:
            replaced.append(child)
            continue
        session.execute(
            update(FlowRecord)
            .where(FlowRecord.id == child.id)
            .values(
                parent_id=None, errand=None, answer=None, failure=ended,
                due_at=clock.now(), tries=0, fence=0,
            )
        )  # fmt: skip
    if holder.parent_id is not None:
        wake_parent(session, holder.parent_id, {"failure": ended})
    for flow in replaced:
        payload = {"id": flow.subject_id, "error": "Preempted", "text": ended["text"]}
        if flow.event:
            event.emit(session, f"{flow.event}.error", payload, resource=flow.subject)
        session.execute(delete(FlowRecord).where(FlowRecord.id == flow.id))
    successor.preempted = [
        {"kind": flow.kind, "step": flow.step, "state": flow.state, "errand": flow.errand}
        for flow in replaced
    ]


def _descendants(session: Session, flow: FlowRecord) -> Iterator[FlowRecord]:
    """Its child, the child of that, and so on: a flow waits for one at a time."""
    parent: FlowRecord | None = flow
    while parent is not None:
        parent = session.scalar(
            select(FlowRecord)
            .where(FlowRecord.parent_id == parent.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if parent is not None:
            yield parent
