"""Flows: what their authors may say, what the engine makes of it, and what it refuses."""

import asyncio
import datetime as dt
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from onestack.core import clock, trace
from onestack.core.bus import Bus, Local
from onestack.core.db import Database, Record, counted
from onestack.core.engine import BusAgents, Engine
from onestack.core.errors import Conflict
from onestack.core.event import EventRecord
from onestack.core.fence import Fence, Gate, Superseded
from onestack.core.flow import (
    Ask,
    Child,
    Compute,
    Failure,
    Flow,
    FlowBusy,
    Next,
    Sleep,
    periodic,
    step,
)
from onestack.core.flow_record import FlowLockRecord, FlowRecord
from onestack.core.worker import Worker
from tests.servers.fixtures import (  # noqa: F401 - fixtures
    database_schema,
    database_url,
    postgres,
    postgres_databases,
    sqlite_databases,
)
from tests.simulator.toys import Disk, Machine, Toy


class Agents:
    """Answers with a function of the test's."""

    def __init__(self, answer: Any = lambda **_: None) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    def ask(self, agent: str, method: str, arguments: Any, timeout_s: float) -> Any:
        self.asked.append((agent, method))
        return self.answer(**arguments)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:  # noqa: F811
    found = Database(database_url, durable=False)
    Record.metadata.create_all(found.engine)
    Toy.metadata.create_all(found.engine)
    yield found
    found.close()


@pytest.fixture
def time() -> Iterator[clock.Simulated]:
    simulated = clock.Simulated(1)
    with clock.use(simulated):
        yield simulated


def start(database: Database, kind: type[Flow[Any]], name: str = "m", **state: Any) -> None:
    with database.transaction() as session:
        machine = session.get(Machine, name)
        if machine is None:
            machine = Machine(id=name)
            session.add(machine)
        kind.start(session, machine, **state)


def machine(database: Database, name: str = "m") -> Machine:
    with database.transaction(write=False) as session:
        return session.get_one(Machine, name)


def rows(database: Database) -> list[FlowRecord]:
    with database.transaction(write=False) as session:
        return list(session.scalars(select(FlowRecord)))


def events(database: Database) -> list[tuple[str, Any]]:
    with database.transaction(write=False) as session:
        found = session.scalars(select(EventRecord).order_by(EventRecord.id))
        return [(each.name, each.payload) for each in found]


def settle(engine: Engine, time: clock.Simulated) -> None:
    """Let time pass until no flow is left."""
    for _ in range(100):
        engine.run_until_idle()
        due_at = engine.next_due()
        if due_at is None:
            return
        time.advance((due_at - clock.now()).total_seconds())
    raise AssertionError(rows(engine.database))


class Walk(Flow[Machine]):
    event = "toy.walk"
    pace: int
    notes: list[str] = []

    @step(shows="starting")
    def first(self) -> Next:
        self.notes = [*self.notes, f"pace {self.pace}"]
        return self.second

    @step(shows="walking")
    def second(self) -> Next:
        self.subject.status = self.notes[0]
        return None


def test_a_flow_walks_through_its_steps(database: Database, time: clock.Simulated) -> None:
    engine = Engine(database, Agents(), [Walk])
    start(database, Walk, pace=3)
    assert machine(database).task_state == "starting"
    assert engine.run_one()
    assert machine(database).task_state == "walking"
    assert engine.run_one()
    assert not engine.run_one()
    assert (machine(database).status, machine(database).task_state) == ("pace 3", None)
    assert events(database) == [("toy.walk.start", {"id": "m"}), ("toy.walk.end", {"id": "m"})]
    assert rows(database) == []


def test_a_step_takes_few_statements(database: Database, time: clock.Simulated) -> None:
    engine = Engine(database, Agents(), [Walk])
    start(database, Walk, pace=3)
    with counted() as statements:
        engine.run_one()
    assert len(statements) <= 8, statements


@pytest.mark.parametrize("state", [{}, {"pace": "fast"}, {"pace": 1, "colour": "red"}])
def test_state_that_a_flow_does_not_declare_is_refused(database: Database, state: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        start(database, Walk, **state)
    assert rows(database) == []


def test_a_resource_has_one_flow_at_a_time(database: Database) -> None:
    start(database, Walk, pace=1)
    with pytest.raises(FlowBusy) as refused:
        start(database, Walk, pace=2)
    assert isinstance(refused.value, Conflict)
    assert refused.value.text == "toy_machines m is busy: Walk is at its step first."
    start(database, Walk, "other", pace=1)


def test_a_refused_start_leaves_nothing_when_its_caller_goes_on(database: Database) -> None:
    start(database, Walk, pace=1)
    with database.transaction() as session:
        found = session.get_one(Machine, "m")
        with pytest.raises(FlowBusy):
            Walk.start(session, Machine(id="fresh"), also=[found], pace=2)
    assert len(rows(database)) == 1
    with database.transaction(write=False) as session:
        assert session.scalar(select(func.count()).select_from(FlowLockRecord)) == 1


def test_a_flow_holds_several_resources(database: Database, time: clock.Simulated) -> None:
    with database.transaction() as session:
        held, taken = Machine(id="m"), Disk(id="d")
        session.add_all([held, taken])
        Walk.start(session, held, also=[taken], pace=1)

    class Grow(Flow[Disk]):
        @step()
        def grow(self) -> Next:
            return None

    with pytest.raises(FlowBusy, match="toy_disks d is busy: Walk"), database.transaction() as s:
        Grow.start(s, s.get_one(Disk, "d"))
    Engine(database, Agents(), [Walk, Grow]).run_until_idle()
    with database.transaction() as session:
        Grow.start(session, session.get_one(Disk, "d"))


class Nap(Flow[Machine]):
    @step()
    def rest(self) -> Next:
        self.subject.boots += 1
        return Sleep(60) if self.subject.boots < 3 else None


def test_a_sleeping_flow_is_due_when_it_wakes(database: Database, time: clock.Simulated) -> None:
    engine = Engine(database, Agents(), [Nap])
    start(database, Nap)
    assert engine.run_until_idle() == 1
    assert engine.next_due() == clock.now() + dt.timedelta(seconds=60)
    time.advance(59)
    assert not engine.run_one()
    time.advance(1)
    assert engine.run_one()
    settle(engine, time)
    assert machine(database).boots == 3


class Answering(Flow[Machine]):
    @step(shows="asking")
    def ask(self) -> Next:
        return Ask("agent.a.toy", "Toy.add", {"left": 2, "right": 3}, then=self.write)

    @step(shows="writing")
    def write(self, total: int) -> Next:
        self.subject.boots = total
        return Compute(self.double, {"number": total}, then=self.again)

    @staticmethod
    def double(number: int) -> int:
        return 2 * number

    @step()
    def again(self, number: int) -> Next:
        self.subject.status = str(number)
        return None

    def failed(self, failure: Failure) -> None:
        self.subject.status = f"{failure.error} at {failure.step}"


def test_answers_go_to_the_next_step(database: Database, time: clock.Simulated) -> None:
    agents = Agents(lambda left, right: left + right)
    engine = Engine(database, agents, [Answering])
    start(database, Answering)
    settle(engine, time)
    assert (machine(database).boots, machine(database).status) == (5, "10")
    assert agents.asked == [("agent.a.toy", "Toy.add")]


def test_an_agent_that_fails_is_asked_again_and_the_step_is_not_repeated(
    database: Database, time: clock.Simulated
) -> None:
    failures = iter([OSError("one"), OSError("two")])

    def answer(left: int, right: int) -> int:
        for failure in failures:
            raise failure
        return left + right

    agents = Agents(answer)
    engine = Engine(database, agents, [Answering])
    start(database, Answering)
    settle(engine, time)
    assert len(agents.asked) == 3
    assert machine(database).boots == 5


def test_a_poison_step_fails_after_its_tries_with_growing_pauses(
    database: Database, time: clock.Simulated
) -> None:
    tried: list[float] = []

    class Poison(Flow[Machine]):
        event = "toy.poison"
        tries_max = 4

        @step(shows="poisoned")
        def swallow(self) -> Next:
            tried.append(time.monotonic())
            self.subject.boots += 1
            raise ValueError("bitter")

        def failed(self, failure: Failure) -> None:
            self.subject.status = f"{failure.error}: {failure.text} at {failure.step}"

    engine = Engine(database, Agents(), [Poison])
    start(database, Poison)
    settle(engine, time)
    pauses = [after - before for before, after in itertools.pairwise(tried)]
    assert len(tried) == 4
    assert 1 <= pauses[0] <= 2 <= pauses[1] <= 4 <= pauses[2] <= 8
    found = machine(database)
    assert (found.status, found.boots, found.task_state) == (
        "ValueError: bitter at swallow", 0, None,
    )  # fmt: skip
    assert events(database)[-1] == (
        "toy.poison.error", {"id": "m", "error": "ValueError", "text": "bitter"},
    )  # fmt: skip


def test_an_error_of_the_client_is_not_tried_again(
    database: Database, time: clock.Simulated
) -> None:
    class Hopeless(Flow[Machine]):
        @step()
        def refuse(self) -> Next:
            raise Conflict("never")

        def failed(self, failure: Failure) -> None:
            self.subject.status = f"{failure.text} {failure.status}"

    engine = Engine(database, Agents(), [Hopeless])
    start(database, Hopeless)
    assert engine.run_until_idle() == 2
    assert machine(database).status == "never 409"


def test_a_failed_that_fails_does_not_hold_the_resource_for_ever(
    database: Database, time: clock.Simulated
) -> None:
    class Worse(Flow[Machine]):
        @step(shows="sinking")
        def sink(self) -> Next:
            raise Conflict("first")

        def failed(self, failure: Failure) -> None:
            raise RuntimeError("second")

    engine = Engine(database, Agents(), [Worse])
    start(database, Worse)
    settle(engine, time)
    assert machine(database).task_state is None


def test_a_process_that_dies_at_each_try_ends_the_flow(
    database: Database, time: clock.Simulated
) -> None:
    class Death(BaseException):
        pass

    class Deadly(Flow[Machine]):
        @step()
        def press(self) -> Next:
            raise Death

        def failed(self, failure: Failure) -> None:
            self.subject.status = failure.error

    start(database, Deadly)
    deaths = 0
    for _ in range(20):
        engine = Engine(database, Agents(), [Deadly])
        try:
            engine.run_until_idle()
        except Death:
            deaths += 1
        time.advance(engine.lease_s)
    assert (deaths, machine(database).status) == (Deadly.tries_max, "Crashed")
    assert rows(database) == []


def test_a_flow_ends_at_its_deadline(database: Database, time: clock.Simulated) -> None:
    class Endless(Flow[Machine]):
        deadline_s = 100.0

        @step()
        def wait(self) -> Next:
            return Sleep(70)

        def failed(self, failure: Failure) -> None:
            self.subject.status = failure.error

    engine = Engine(database, Agents(), [Endless])
    start(database, Endless)
    began = time.monotonic()
    settle(engine, time)
    assert machine(database).status == "DeadlineExceeded"
    assert time.monotonic() - began == 100


def test_a_step_that_outlived_its_lease_writes_nothing(
    database: Database, time: clock.Simulated
) -> None:
    slow, quick = (Engine(database, Agents(), [Walk]) for _ in range(2))
    start(database, Walk, pace=1)
    row = slow.take()
    assert row is not None
    time.advance(slow.lease_s)
    assert quick.run_one()
    assert slow.advance(row) is None
    assert [each.step for each in rows(database)] == ["second"]
    assert machine(database).task_state == "walking"


def test_a_lease_is_renewed_while_an_agent_works(database: Database, time: clock.Simulated) -> None:
    first, second = (Engine(database, Agents(lambda **_: 5), [Answering]) for _ in range(2))
    start(database, Answering)
    row = first.take()
    assert row is not None
    work = first.advance(row)
    assert work is not None
    for _ in range(5):
        time.advance(first.lease_s / 2)
        first.renew([row])
        assert not second.run_one()
    first.settle(work, first.carry_out(work))
    assert rows(database)[0].step == "write"


class Parent(Flow[Machine]):
    fragile: bool = False

    @step(shows="waiting")
    def send(self) -> Next:
        disk = Disk(id="d")
        self.session.add(disk)
        otherwise = None if self.fragile else self.comfort
        return Child(Errand, disk, then=self.praise, otherwise=otherwise)

    @step()
    def praise(self) -> Next:
        self.subject.status = "proud"
        return None

    @step()
    def comfort(self, failure: Failure) -> Next:
        self.subject.status = f"comforted: {failure.error} {failure.text}"
        return None

    def failed(self, failure: Failure) -> None:
        self.subject.status = f"failed: {failure.error}"


class Errand(Flow[Disk]):
    is_lost = False

    @step()
    def run(self) -> Next:
        if type(self).is_lost:
            raise Conflict("lost")
        self.subject.status = "fetched"
        return None


@pytest.mark.parametrize(
    ("is_lost", "fragile", "status"),
    [
        (False, False, "proud"),
        (True, False, "comforted: Conflict lost"),
        (True, True, "failed: Conflict"),
    ],
)
def test_a_parent_waits_for_its_child(
    database: Database, time: clock.Simulated, monkeypatch: pytest.MonkeyPatch,
    is_lost: bool, fragile: bool, status: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(Errand, "is_lost", is_lost)
    engine = Engine(database, Agents(), [Parent, Errand])
    start(database, Parent, fragile=fragile)
    engine.run_one()
    assert sum(each.due_at is None for each in rows(database)) == 1
    engine.run_until_idle()
    assert machine(database).status == status
    assert rows(database) == []


class Stop(Flow[Machine]):
    event = "toy.stop"
    preempts = True

    @step(shows="stopping")
    def stop(self) -> Next:
        (before,) = self.preempted
        self.subject.status = f"stopped {before.kind} at {before.step} {before.state}"
        return None


def test_a_pre_empting_flow_learns_what_it_replaced(
    database: Database, time: clock.Simulated
) -> None:
    engine = Engine(database, Agents(), [Walk, Stop])
    start(database, Walk, pace=2)
    engine.run_one()
    row = engine.take()
    assert row is not None
    start(database, Stop)
    assert engine.advance(row) is None
    assert machine(database).task_state == "stopping"
    with pytest.raises(FlowBusy):
        start(database, Stop)
    engine.run_until_idle()
    assert machine(database).status == ("stopped Walk at second {'pace': 2, 'notes': ['pace 2']}")
    assert [name for name, _ in events(database)] == [
        "toy.walk.start", "toy.walk.error", "toy.stop.start", "toy.stop.end",
    ]  # fmt: skip


def test_the_child_of_a_pre_empted_flow_fails_and_its_step_under_way_writes_nothing(
    database: Database, time: clock.Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(self: Flow[Disk], failure: Failure) -> None:
        self.subject.status = failure.error

    monkeypatch.setattr(Errand, "failed", failed)
    engine = Engine(database, Agents(), [Parent, Errand, Stop])
    start(database, Parent)
    engine.run_one()
    child = engine.take()
    assert child is not None
    assert child.kind == "Errand"
    start(database, Stop)
    engine.advance(child)
    with database.transaction(write=False) as session:
        assert session.get_one(Disk, "d").status == "creating"
    engine.run_until_idle()
    with database.transaction(write=False) as session:
        assert session.get_one(Disk, "d").status == "Preempted"
    assert machine(database).status.startswith("stopped Parent at send")
    assert rows(database) == []


def test_a_flow_whose_resource_is_gone_ends(database: Database, time: clock.Simulated) -> None:
    engine = Engine(database, Agents(), [Walk])
    start(database, Walk, pace=2)
    with database.transaction() as session:
        session.execute(delete(Machine))
    settle(engine, time)
    assert events(database)[-1][1]["error"] == "SubjectGone"


def test_a_periodic_task_runs_once_in_the_cluster(
    database: Database, time: clock.Simulated
) -> None:
    runs: list[float] = []

    @periodic(300)
    def sweep(session: Any) -> None:
        """Sweep."""
        runs.append(time.monotonic())
        if len(runs) == 2:
            raise Conflict("not now")

    engines = [Engine(database, Agents(), [sweep]) for _ in range(2)]
    for engine in engines:
        engine.prepare()
    time.advance(60)
    for _ in range(10):
        for engine in engines:
            engine.run_until_idle()
        time.advance(100)
    assert [round(after - before) for before, after in itertools.pairwise(runs)] == (
        [300] * (len(runs) - 1)
    )
    assert len(runs) == 4


def test_nothing_of_a_step_may_call_an_agent(database: Database, time: clock.Simulated) -> None:
    bus = Bus(Local())

    class Impatient(Flow[Machine]):
        tries_max = 1

        @step()
        def call(self) -> Next:
            bus.call(Engineer, "agent.a.toy", "add", {"left": 1, "right": 1})
            return None

        def failed(self, failure: Failure) -> None:
            self.subject.status = failure.text

    engine = Engine(database, BusAgents(bus, []), [Impatient])
    start(database, Impatient)
    settle(engine, time)
    assert "holds the database" in machine(database).status


class Engineer:
    """A contract, and an agent that keeps it."""

    def add(self, left: int, right: int) -> int:
        return left + right


def test_agents_are_reached_over_the_bus(database: Database, time: clock.Simulated) -> None:
    bus = Bus(Local())
    bus.serve("agent.a.toy", Engineer(), Engineer)

    class Calling(Flow[Machine]):
        @step()
        def call(self) -> Next:
            return Ask("agent.a.toy", Engineer.add, {"left": 1, "right": 3}, then=self.write)

        @step()
        def write(self, total: int) -> Next:
            self.subject.boots = total
            return None

    engine = Engine(database, BusAgents(bus, [Engineer]), [Calling])
    with trace.recording("req-1"):
        start(database, Calling)
    settle(engine, time)
    assert machine(database).boots == 4
    kinds = {span.kind for found in trace.find("req-1") for span in found.spans}
    assert {"flow", "sql", "bus", "driver"} <= kinds
    assert trace.find("m")


def test_two_flows_of_one_name_are_refused(database: Database) -> None:
    class Other(Flow[Machine]):
        kind = "Walk"

        @step()
        def only(self) -> Next:
            return None

    with pytest.raises(ValueError, match="two flows are called Walk"):
        Engine(database, Agents(), [Walk, Other])


def test_each_due_step_is_run_by_one_of_many_engines(database: Database) -> None:
    for number in range(20):
        start(database, Walk, f"m{number}", pace=number)
    engines = [Engine(database, Agents(), [Walk]) for _ in range(4)]
    steps: list[int] = []
    threads = [
        threading.Thread(target=lambda engine=each: steps.append(engine.run_until_idle()))
        for each in engines
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(steps) == 40
    assert [machine(database, f"m{n}").status for n in range(20)] == [
        f"pace {n}" for n in range(20)
    ]


def test_a_worker_sleeps_until_a_flow_is_started(database: Database) -> None:
    release = threading.Event()

    def answer(left: int, right: int) -> int:
        release.wait(10)
        return left + right

    async def scenario() -> None:
        worker = Worker(Engine(database, Agents(answer), [Walk, Answering]))
        serving = asyncio.create_task(worker.serve())
        await asyncio.sleep(0.05)
        start(database, Answering)
        while machine(database).task_state is None:
            await asyncio.sleep(0.01)
        start(database, Walk, "other", pace=8)  # goes on while an agent is being waited for
        while machine(database, "other").status != "pace 8":
            await asyncio.sleep(0.01)
        release.set()
        while machine(database).status != "10":
            await asyncio.sleep(0.01)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scenario(), 20))
    assert rows(database) == []


def test_a_stopped_worker_gives_its_leases_back(database: Database) -> None:
    release = threading.Event()

    def answer(**_: int) -> int:
        release.wait(10)
        return 5

    async def scenario() -> None:
        worker = Worker(Engine(database, Agents(answer), [Answering]))
        start(database, Answering)
        serving = asyncio.create_task(worker.serve())
        while not rows(database)[0].errand:
            await asyncio.sleep(0.01)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scenario(), 20))
    release.set()
    Engine(database, Agents(lambda **_: 5), [Answering]).run_until_idle()
    assert machine(database).status == "10"


def test_a_gate_refuses_what_was_overtaken() -> None:
    gate = Gate(subjects_max=2)
    with gate.enter(Fence("a", 5)):
        pass
    with gate.enter(Fence("a", 5)), gate.enter(Fence("b", 1)):
        pass
    with pytest.raises(Superseded), gate.enter(Fence("a", 4)):
        pass


def test_a_started_flow_is_of_its_parents_time(database: Database, time: clock.Simulated) -> None:
    engine = Engine(database, Agents(), [Parent, Errand])
    start(database, Parent)
    engine.run_one()
    parent, child = sorted(rows(database), key=lambda row: row.kind, reverse=True)
    assert (parent.kind, child.parent_id) == ("Parent", parent.id)
    assert child.deadline is not None
    assert parent.deadline is not None
    assert child.deadline <= parent.deadline
