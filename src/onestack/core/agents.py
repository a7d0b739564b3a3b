"""Agents: who serves which host, for what, and when it was last heard of.

A host's agent reports to the control plane over the bus, again and again; the control plane asks it
over the bus too, at the address `agent_address(host, kind)`. An agent never holds the database.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

import msgspec
from sqlalchemy import Table, UniqueConstraint, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import clock
from onestack.core.db import Database, Record
from onestack.core.errors import NotFound

ROSTER_ADDRESS = "agent.control.roster"
REPORT_S = 10.0
SILENT_S = 60.0


class AgentRecord(Record):
    """What one host does of one kind, such as `hypervisor`, `switch` or `backend`."""

    __tablename__ = "agents"
    __table_args__ = (UniqueConstraint("host", "kind"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    kind: Mapped[str] = mapped_column(index=True)
    driver: Mapped[str]  # as its driver calls itself: what is simulated says so
    boot: Mapped[str]  # another one at each start of the agent
    description: Mapped[dict[str, Any]]  # what its driver's `describe` says
    is_enabled: Mapped[bool] = mapped_column(default=True)
    is_forced_down: Mapped[bool] = mapped_column(default=False)
    disabled_reason: Mapped[str | None]
    created_at: Mapped[dt.datetime]
    started_at: Mapped[dt.datetime]
    changed_at: Mapped[dt.datetime]
    seen_at: Mapped[dt.datetime] = mapped_column(index=True)

    @property
    def is_alive(self) -> bool:
        """Whether it was heard of lately, and nobody said that it is down."""
        return not self.is_forced_down and self.is_heard

    @property
    def is_heard(self) -> bool:
        """Whether it reported lately."""
        return clock.now() - self.seen_at < _silence()


class NoSuchAgent(NotFound):
    message = "There is no {kind} agent on host {host}."


class Report(msgspec.Struct, frozen=True):
    """What an agent says of one host, for one kind."""

    host: str
    kind: str
    driver: str
    boot: str
    description: dict[str, Any]


class Roster(Protocol):
    """What agents ask of the control plane."""

    def report(self, reports: list[Report]) -> None:
        """These are alive, and this is what they have."""


# What a service does when an agent is new, was restarted (True), is back after silence, or has
# other things to offer.
Listener = Callable[[Session, AgentRecord, bool], None]

_AGENTS = cast(Table, AgentRecord.__table__)


class Registry:
    """The control plane's side: writes down what agents report, and tells the services."""

    def __init__(self, database: Database, listeners: Mapping[str, Listener]) -> None:
        self._database, self._listeners = database, listeners

    def report(self, reports: list[Report]) -> None:
        """Keep what agents say; a service hears of it in the same transaction."""
        with self._database.transaction() as session:
            records = _by_place(session, reports)
            for each in reports:
                self._note(session, each, records.get((each.host, each.kind)))
            seen = [records[each.host, each.kind].id for each in reports
                    if (each.host, each.kind) in records]  # fmt: skip
            session.execute(
                update(_AGENTS).where(_AGENTS.c.id.in_(seen)).values(seen_at=clock.now())
            )

    def _note(self, session: Session, report: Report, record: AgentRecord | None) -> None:
        now = clock.now()
        is_restarted = record is None or record.boot != report.boot
        is_same = (
            record is not None and record.is_heard and record.description == report.description
        )
        if is_same and not is_restarted:
            return
        if record is None:
            record = AgentRecord(
                id=clock.new_id(), host=report.host, kind=report.kind, created_at=now, seen_at=now
            )
            session.add(record)
        record.driver, record.boot = report.driver, report.boot
        record.description, record.changed_at = report.description, now
        if is_restarted:
            record.started_at = now
        record.seen_at = now
        session.flush()
        listener = self._listeners.get(report.kind)
        if listener is not None:
            listener(session, record, is_restarted)


def known(session: Session) -> Sequence[AgentRecord]:
    """Every agent, by host and kind."""
    return session.scalars(select(AgentRecord).order_by(AgentRecord.host, AgentRecord.kind)).all()


def of_kind(session: Session, kind: str) -> Sequence[AgentRecord]:
    """Every agent of a kind, by host."""
    wanted = select(AgentRecord).where(AgentRecord.kind == kind)
    return session.scalars(wanted.order_by(AgentRecord.host)).all()


def of_host(session: Session, host: str, kind: str) -> AgentRecord:
    """The agent of a kind on a host, or `NoSuchAgent`."""
    wanted = select(AgentRecord).where(AgentRecord.host == host, AgentRecord.kind == kind)
    found = session.scalar(wanted)
    if found is None:
        raise NoSuchAgent(kind=kind, host=host)
    return found


def alive(session: Session, kind: str) -> list[AgentRecord]:
    """The agents of a kind that work may be given to."""
    return [each for each in of_kind(session, kind) if each.is_enabled and each.is_alive]


def _silence() -> dt.timedelta:
    return dt.timedelta(seconds=SILENT_S)


def _by_place(session: Session, reports: Iterable[Report]) -> dict[tuple[str, str], AgentRecord]:
    hosts = {each.host for each in reports}
    rows = session.scalars(select(AgentRecord).where(AgentRecord.host.in_(hosts)))
    return {(each.host, each.kind): each for each in rows}
