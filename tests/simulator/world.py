"""A whole cloud in one thread: its database, its agents and its clock do what a plan says."""

import datetime as dt
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import delete, event, func, select
from sqlalchemy.orm import Session

from onestack.core import clock, fence
from onestack.core.db import Database, Record
from onestack.core.engine import Engine
from onestack.core.event import Event, EventRecord, Publisher, SubscriberRecord
from onestack.core.flow_record import FlowLockRecord, FlowRecord
from onestack.core.holding import holding
from tests.simulator.scenario import Scenario
from tests.simulator.toys import Toy

TURNS_MAX = 2000
CALL_TIMEOUT_S = 20.0
LEASE_S = 30.0
CLOCKS_APART_S = 60.0
FILE_CHANGES = frozenset({"open", "os.rename", "os.remove"})
ENDS = frozenset({"start", "end", "error"})
# At these points no transaction is open.
QUIET = frozenset({"committed", "taken", "call", "called"})


class Killed(BaseException):
    """The process is gone; nothing that it still wanted to do happens."""


class Lost(Exception):
    """No answer came in time."""


@dataclass(frozen=True)
class Message:
    agent: str
    method: str
    arguments: str
    fence: fence.Fence | None


class Ground:
    """A database that tells of each statement and commit, and files that tell of each change;
    used by one world after the other."""

    def __init__(self, url: str) -> None:
        self.database = Database(url, durable=False)
        self.world: World | None = None
        Record.metadata.create_all(self.database.engine)
        Toy.metadata.create_all(self.database.engine)
        event.listen(self.database.engine, "before_cursor_execute", self._statement)
        event.listen(self.database.engine, "commit", self._commit)
        event.listen(Session, "after_commit", self._committed)
        sys.addaudithook(self._file)

    def close(self) -> None:
        event.remove(Session, "after_commit", self._committed)
        self.database.close()

    def prepare(self, scenario: Scenario) -> None:
        """Leave nothing but what is there when the scenario begins."""
        self.world = None
        kinds: list[Any] = [
            EventRecord, SubscriberRecord, FlowLockRecord, FlowRecord, *scenario.records,
        ]  # fmt: skip
        with self.database.transaction() as session:
            for table in [*(k.__table__ for k in kinds), *Toy.metadata.tables.values()]:
                session.execute(delete(table))
            scenario.prepare(session)

    def _statement(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if self.world is not None and not statement.startswith("BEGIN"):
            self.world.point("sql")

    def _commit(self, _connection: Any) -> None:
        if self.world is not None:
            self.world.point("commit")

    def _committed(self, session: Session) -> None:
        if self.world is not None and session.bind is self.database.engine:
            self.world.point("committed")

    def _file(self, what: str, arguments: tuple[Any, ...]) -> None:
        if self.world is None or what not in FILE_CHANGES:
            return
        path, folder = arguments[0], self.world.scenario.folder
        is_reading = what == "open" and arguments[2] & os.O_ACCMODE == os.O_RDONLY
        if folder is None or is_reading or not isinstance(path, str | Path):
            return
        if Path(path).is_relative_to(folder):
            self.world.point("file")


class Skewed:
    """The same clock, as a host reads it whose time is wrong."""

    def __init__(self, true: clock.Simulated, offset_s: float) -> None:
        self.true, self.offset = true, dt.timedelta(seconds=offset_s)
        self.monotonic, self.sleep = true.monotonic, true.sleep
        self.new_id, self.randomness = true.new_id, true.randomness

    def now(self) -> dt.datetime:
        return self.true.now() + self.offset


class Watched(Engine):
    """An engine that may stand still before a step that it has leased."""

    def take(self) -> FlowRecord | None:
        found = super().take()
        if found is not None:
            assert isinstance(self.agents, World)
            self.agents.point("taken")
        return found


class World:
    """One run of a scenario."""

    def __init__(self, ground: Ground, scenario: Scenario, time: clock.Simulated) -> None:
        ground.prepare(scenario)
        self.ground, self.scenario, self.time = ground, scenario, time
        self.lasting = {each.kind: each for each in scenario.flows if each.every_s is not None}
        self.waits: dict[str, set[dt.datetime | None]] = {each: set() for each in self.lasting}
        self.is_prepared = False
        self.database = ground.database
        self.agents = scenario.agents()
        self.points = 0
        self.calls = 0
        self.seen: list[str] = []
        self.mail: list[Message] = []
        self.paused = 0
        self.violations: list[str] = []
        self.was_interrupted = False
        self.at_point: Callable[[int, str], None] = lambda number, kind: None
        self.at_call: Callable[[int], str] = lambda number: "deliver"
        ground.world = self

    # What happens in it

    def point(self, kind: str) -> None:
        """A moment at which something may go wrong."""
        self.points += 1
        self.seen.append(kind)
        self.at_point(self.points, kind)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Within the block, nothing is counted and nothing goes wrong."""
        self.ground.world = None
        try:
            yield
        finally:
            self.ground.world = self

    def ask(self, agent: str, method: str, arguments: Any, timeout_s: float) -> Any:
        """The simulated bus: it may lose, double or delay what it carries."""
        if holding.get() or self._connections() != self.paused:
            self.violations.append(f"{method} was asked while a transaction was open")
        message = Message(agent, method, json.dumps(arguments), fence.current.get())
        self.point("call")
        self.calls += 1
        what = self.at_call(self.calls)
        if what in ("lose request", "delay"):
            self.mail += [message] if what == "delay" else []
            self.time.advance(min(timeout_s, CALL_TIMEOUT_S))
            raise Lost(what)
        answer = self._deliver(message)
        if what == "double":
            answer = self._deliver(message)
        if what == "lose answer":
            self.time.advance(min(timeout_s, CALL_TIMEOUT_S))
            raise Lost(what)
        self.point("called")
        return answer

    def _deliver(self, message: Message) -> Any:
        token = fence.current.set(message.fence)
        try:
            method = getattr(self.agents[message.agent], message.method.rpartition(".")[2])
            return json.loads(json.dumps(method(**json.loads(message.arguments))))
        finally:
            fence.current.reset(token)

    def deliver_mail(self) -> None:
        """What was delayed arrives now, the last first."""
        while self.mail:
            try:
                self._deliver(self.mail.pop())
            except Exception:  # noqa: S112 - nobody waits for this answer any more
                continue

    # What is done with it

    def engine(self) -> Engine:
        """The engine of a process that just started."""
        scenario = self.scenario
        if not self.is_prepared:
            with self.undisturbed():
                self.cloud = scenario.wire(self.database)
        return Watched(self.database, self, scenario.flows, lease_s=LEASE_S, cloud=self.cloud)

    def request(self, what: Callable[[Session], None]) -> None:
        """What a client asks, again and again until it hears that it was done."""
        while True:
            try:
                with self.database.transaction() as session:
                    what(session)
            except Killed:
                continue
            return

    def interrupt(self) -> None:
        self.was_interrupted = True
        Context().run(self.request, self.scenario.interrupt)

    def run(self, time_of: Callable[[int], clock.Source] | None = None) -> None:
        """Let the processes work, time pass and dead ones start again, until all is at rest."""
        for turn in range(TURNS_MAX):
            with clock.use(time_of(turn) if time_of else self.time):
                if not self._turn():
                    return
        raise AssertionError(f"stuck: {self._rows()}")

    def overtake(self) -> None:
        """Another process finishes everything while the one that is at this point stands still for
        longer than its lease."""
        before, self.paused = self.paused, self._connections()
        try:
            self.time.advance(LEASE_S + 1)
            Context().run(self.run)  # as another process, it knows nothing of what is paused
        finally:
            self.paused = before

    def _connections(self) -> int:
        return int(self.database.engine.pool.checkedout())  # type: ignore[attr-defined]

    def _turn(self) -> bool:
        engine = self.engine()
        try:
            if not self.is_prepared:
                engine.prepare()
                self.is_prepared = True
            if engine.run_one():
                return True
        except Killed:
            self.is_prepared = False  # another process starts
            return True
        with self.undisturbed():
            due_at = engine.next_due()
        if self._is_at_rest():
            return False
        assert due_at is not None, f"nobody will ever wake these: {self._rows()}"
        self.time.advance(max((due_at - clock.now()).total_seconds(), 0.0) + 0.001)
        return True

    def _is_at_rest(self) -> bool:
        """Whether flows have ended, and periodic ones ran often enough and wait."""
        with self.undisturbed(), self.database.transaction(write=False) as session:
            rows = list(session.scalars(select(FlowRecord)))
            waiting = [row for row in rows if self._waits_for_next_run(row)]
        for row in waiting:
            self.waits[row.kind].add(row.due_at)
        # Each run ends with another moment to wait for; there was one before the first, too.
        has_run = all(len(moments) > self.scenario.runs for moments in self.waits.values())
        return has_run and len(waiting) == len(rows)

    def _waits_for_next_run(self, row: FlowRecord) -> bool:
        kind = self.lasting.get(row.kind)
        is_under_way = row.tries > 0 or row.errand is not None or row.failure is not None
        return kind is not None and row.step == kind.steps[0] and not is_under_way

    def _rows(self) -> list[Any]:
        with self.undisturbed(), self.database.transaction(write=False) as session:
            rows = session.scalars(select(FlowRecord))
            return [(r.kind, r.step, r.tries, r.due_at, r.errand, r.failure) for r in rows]

    # What must be true

    def check(self) -> None:
        """Nothing stuck, nothing leaked, everything reported, and what the scenario says."""
        with self.undisturbed():
            self.deliver_mail()
            assert (self._connections(), self.violations) == (0, [])
            heard: list[Event] = []
            Publisher(self.database, {f"listener {id(self)}": heard.append}).publish_once()
            with self.database.transaction(write=False) as session:
                flows = set(session.scalars(select(FlowRecord.id)))
                locks = set(session.scalars(select(FlowLockRecord.flow_id)))
                assert locks == flows, "a lock outlived its flow, or a flow has none"
                self._check_lasting(session)
                assert len(heard) == session.scalar(select(func.count(EventRecord.id)))
                self.scenario.check(session, self.agents, was_interrupted=self.was_interrupted)
        started, ended = Counter[Any](), Counter[Any]()
        reported = {flow.event for flow in self.scenario.flows}
        for each in heard:
            name, _, what = each.name.rpartition(".")
            if what in ENDS and name in reported:
                (started if what == "start" else ended)[name, each.resource] += 1
        assert started == ended, "each start has one end or one error"

    def _check_lasting(self, session: Session) -> None:
        """Each periodic flow is there once, ran not long ago, and runs again."""
        rows = session.execute(select(FlowRecord.kind, FlowRecord.due_at)).all()
        assert sorted(kind for kind, _ in rows) == sorted(self.lasting)
        for kind, due_at in rows:
            assert due_at is not None
            wait_s = (due_at - self.time.now()).total_seconds()
            every_s = self.lasting[kind].every_s or 0.0
            assert -CLOCKS_APART_S < wait_s < every_s + CLOCKS_APART_S, (kind, wait_s)
