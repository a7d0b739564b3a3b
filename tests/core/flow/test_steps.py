"""Flows: what their authors may say, what the engine makes of it, and what it refuses."""

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import func, select

from onestack.core import clock, trace
from onestack.core.bus import Bus, Local
from onestack.core.db import Database, counted
from onestack.core.engine import BusAgents, Engine
from onestack.core.errors import Conflict
from onestack.core.flow import Ask, Child, Failure, Flow, FlowBusy, Next, Sleep, step
from onestack.core.flow_record import FlowLockRecord, wake
from tests.core.flow.stage import Agents, Answering, Walk, events, machine, rows, settle, start
from tests.simulator.toys import Disk, Machine


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


def test_two_flows_of_one_name_are_refused(database: Database) -> None:
    class Other(Flow[Machine]):
        kind = "Walk"

        @step()
        def only(self) -> Next:
            return None

    with pytest.raises(ValueError, match="two flows are called Walk"):
        Engine(database, Agents(), [Walk, Other])


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


def test_many_flows_begin_by_few_statements(database: Database, time: clock.Simulated) -> None:
    names = [f"m{number}" for number in range(50)]
    with counted() as statements, database.transaction() as session:
        machines = [Machine(id=each) for each in names]
        session.add_all(machines)
        Walk.start_all(session, machines, pace=1)
    assert len(statements) <= 4, statements
    assert {machine(database, each).task_state for each in names} == {"starting"}
    with pytest.raises(FlowBusy):
        start(database, Walk, "m7", pace=2)
    Engine(database, Agents(), [Walk]).run_until_idle()
    assert {machine(database, each).status for each in names} == {"pace 1"}
    started = [told["id"] for name, told in events(database) if name == "toy.walk.start"]
    assert started == names
    assert rows(database) == []


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


def test_answers_go_to_the_next_step(database: Database, time: clock.Simulated) -> None:
    agents = Agents(lambda left, right: left + right)
    engine = Engine(database, agents, [Answering])
    start(database, Answering)
    settle(engine, time)
    assert (machine(database).boots, machine(database).status) == (5, "10")
    assert agents.asked == [("agent.a.toy", "Toy.add")]


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


def test_what_the_asking_step_remembered_is_known_when_the_answer_comes(
    database: Database, time: clock.Simulated
) -> None:
    class Remembering(Flow[Machine]):
        host: str = "nowhere"

        @step()
        def ask(self) -> Next:
            self.host = "here"
            return Ask("agent.a.toy", "Toy.add", {"left": 2, "right": 3}, then=self.write)

        @step()
        def write(self, total: int) -> Next:
            self.subject.status = f"{total} {self.host}"
            return None

    engine = Engine(database, Agents(lambda left, right: left + right), [Remembering])
    start(database, Remembering)
    settle(engine, time)
    assert machine(database).status == "5 here"


def test_a_child_that_works_under_its_parents_lock_is_woken_too(
    database: Database, time: clock.Simulated
) -> None:
    class Waiting(Flow[Machine]):
        shown_in = ""

        @step()
        def look(self) -> Next:
            return None if self.subject.status == "ready" else Sleep(1000)

    class Expecting(Flow[Machine]):
        @step(shows="expecting")
        def begin(self) -> Next:
            return Child(Waiting, self.subject, then=self.finish)

        @step(shows="expecting")
        def finish(self) -> Next:
            return None

    engine = Engine(database, Agents(), [Waiting, Expecting])
    start(database, Expecting)
    engine.run_until_idle()
    assert machine(database).task_state == "expecting"
    with database.transaction() as session:
        found = session.get_one(Machine, "m")
        found.status = "ready"
        wake(session, found)
    engine.run_until_idle()
    assert (rows(database), machine(database).task_state) == ([], None)
