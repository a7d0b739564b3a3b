"""Events: committed with the change that they report, then delivered in order, at least once."""

import asyncio
import datetime as dt
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import takewhile
from typing import Any, NamedTuple, cast

import msgspec
from sqlalchemy import Table, delete, insert, or_, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import clock, doorbell, log, trace
from onestack.core.db import Database, Record
from onestack.core.sequence import draw

DOORBELL = "events"
BATCH = 100
POLL_S = 30.0
GATHER_S = 0.05


class EventRecord(Record):
    """The outbox and, for a while, the history: an event is in it once it has a position."""

    __tablename__ = "events"
    __table_args__ = {"sqlite_autoincrement": True}
    id: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int | None] = mapped_column(unique=True)
    name: Mapped[str]
    payload: Mapped[dict[str, Any]]
    project_id: Mapped[str | None] = mapped_column(index=True)
    resource: Mapped[str | None] = mapped_column(index=True)
    request_id: Mapped[str | None]
    emitted_at: Mapped[dt.datetime] = mapped_column(index=True)


class SubscriberRecord(Record):
    """How far a subscriber has read."""

    __tablename__ = "event_subscribers"
    name: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]


class Event(msgspec.Struct, frozen=True):
    """What happened."""

    position: int
    name: str
    payload: dict[str, Any]
    project_id: str | None
    resource: str | None
    request_id: str | None
    emitted_at: dt.datetime


class News(NamedTuple):
    """What an event says besides what happened, whose it is, and of which resource."""

    payload: Mapping[str, Any]
    project_id: str | None = None
    resource: str | None = None


_ADD = insert(cast(Table, EventRecord.__table__))

Deliver = Callable[[Event], None]


def emit(
    session: Session,
    name: str,
    payload: Mapping[str, Any],
    project_id: str | None = None,
    resource: str | None = None,
) -> None:
    """Report a change, in the transaction that makes it."""
    emit_all(session, name, [News(payload, project_id, resource)])


def emit_all(session: Session, name: str, news: Iterable[News]) -> None:
    """Report that the same happened to several resources."""
    rows = [
        {
            "name": name, "payload": dict(each.payload), "project_id": each.project_id,
            "resource": each.resource, "request_id": trace.current_id(), "emitted_at": clock.now(),
        }
        for each in news
    ]  # fmt: skip
    session.connection().execute(_ADD, rows)
    doorbell.ring(session, DOORBELL)


def stream(session: Session, after: int = 0, limit: int = BATCH) -> list[Event]:
    """The events behind a position, oldest first: nothing ever appears before what was read."""
    rows = session.scalars(
        select(EventRecord)
        .where(EventRecord.position > after)
        .order_by(EventRecord.position)
        .limit(limit)
    )
    return [msgspec.convert(row, Event, from_attributes=True) for row in rows]


def history(session: Session, after: int | None, limit: int, resource: str | None) -> list[Event]:
    """What happened behind a position, or the newest that is known; oldest first."""
    wanted = select(EventRecord).where(EventRecord.position.is_not(None)).limit(limit)
    if resource is not None:
        known = (
            EventRecord.resource == resource,
            EventRecord.resource.endswith(f"/{resource}", autoescape=True),
        )
        wanted = wanted.where(or_(*known))
    if after is not None:
        wanted = wanted.where(EventRecord.position > after).order_by(EventRecord.position)
        rows = list(session.scalars(wanted))
    else:
        rows = list(session.scalars(wanted.order_by(EventRecord.position.desc())))[::-1]
    return [msgspec.convert(row, Event, from_attributes=True) for row in rows]


def forget(session: Session, keep_s: float) -> int:
    """Drop what is older, whether everybody has read it or not; how many there were."""
    oldest = clock.now() - dt.timedelta(seconds=keep_s)
    return session.execute(delete(EventRecord).where(EventRecord.emitted_at < oldest)).rowcount  # type: ignore[attr-defined,no-any-return]


class Publisher:
    """Delivers events to subscribers, each at its own pace; one publisher works at a time."""

    def __init__(self, database: Database, subscribers: Mapping[str, Deliver]) -> None:
        self.database = database
        self.subscribers = subscribers
        self.bell = doorbell.Bell()
        self._turn = threading.Lock()

    def publish_once(self) -> int:
        """Deliver what there is; how many deliveries succeeded. A failing subscriber is behind
        alone, and gets the same event again next time."""
        with self._alone() as is_alone:
            if not is_alone:
                return 0
            self._put_in_order()
            return sum(self._deliver(name, each) for name, each in self.subscribers.items())

    def _put_in_order(self) -> None:
        """Ids are drawn before the commit, so a late one may be low; positions never are."""
        with self.database.transaction(write=False) as session:
            waiting = select(EventRecord.id).where(EventRecord.position.is_(None))
            ids = list(session.scalars(waiting.order_by(EventRecord.id)))
        if not ids:
            return
        with self.database.transaction() as session:
            last = draw(session.connection(), DOORBELL, len(ids))
            positions = range(last - len(ids) + 1, last + 1)
            session.execute(
                update(EventRecord),
                [{"id": one, "position": each} for one, each in zip(ids, positions, strict=True)],
            )

    def _deliver(self, name: str, deliver: Deliver) -> int:
        """Everything that this subscriber has not read; it stops where the subscriber fails."""
        done = 0
        position = self._position(name)
        while True:
            with self.database.transaction(write=False) as session:
                events = stream(session, position)
            accepted = [each.position for each in takewhile(partial(_hand, name, deliver), events)]
            if accepted:
                position = accepted[-1]
                self._remember(name, position)
            done += len(accepted)
            if len(accepted) < BATCH:
                return done

    def _position(self, name: str) -> int:
        """Where a subscriber is; a new one starts with the oldest event that is kept."""
        with self.database.transaction(write=False) as session:
            known = session.get(SubscriberRecord, name)
            return known.position if known else 0

    def _remember(self, name: str, position: int) -> None:
        with self.database.transaction() as session:
            session.merge(SubscriberRecord(name=name, position=position))

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether no other publisher works, here or in another process."""
        with _tried(self._turn) as is_first:
            if not is_first or self.database.is_sqlite:
                yield is_first
                return
            with self.database.engine.connect() as connection:
                key = {"key": DOORBELL}
                take = text("SELECT pg_try_advisory_lock(hashtext(:key))")
                taken = bool(connection.execute(take, key).scalar())
                connection.commit()
                try:
                    yield taken
                finally:
                    if taken:
                        connection.execute(text("SELECT pg_advisory_unlock(hashtext(:key))"), key)
                        connection.commit()


async def serve(publisher: Publisher) -> None:
    """Publish whenever an event is committed; now and then also without having been told."""
    with doorbell.hearing(publisher.database, DOORBELL, publisher.bell.ring):
        while True:
            try:
                await asyncio.to_thread(publisher.publish_once)
            except Exception as error:
                log.exception("events could not be published", error)
            await publisher.bell.wait(POLL_S)
            await asyncio.sleep(GATHER_S)


def _hand(name: str, deliver: Deliver, event: Event) -> bool:
    try:
        deliver(event)
    except Exception as error:
        log.exception("a subscriber failed", error, subscriber=name, event=event.name)
        return False
    return True


@contextmanager
def _tried(lock: threading.Lock) -> Iterator[bool]:
    is_held = lock.acquire(blocking=False)
    try:
        yield is_held
    finally:
        if is_held:
            lock.release()
