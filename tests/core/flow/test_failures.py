"""Flows that fail: tries and pauses, deadlines, leases that end, and orders that come too late."""

import itertools
import json

import pytest
from sqlalchemy import delete, insert

from onestack.core import clock
from onestack.core.db import Database
from onestack.core.engine import Engine
from onestack.core.errors import Conflict
from onestack.core.fence import Fence, Gate, Superseded
from onestack.core.flow import Ask, Failure, Flow, Next, Sleep, step
from tests.core.conftest import Logged
from tests.core.flow.stage import Agents, Answering, Walk, events, machine, rows, settle, start
from tests.simulator.toys import Machine


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


def test_a_step_that_fails_after_an_errand_is_tried_again_without_it(
    database: Database, time: clock.Simulated
) -> None:
    tried: list[int] = []

    class Clumsy(Flow[Machine]):
        notes: list[str] = []

        @step(shows="asking")
        def ask(self) -> Next:
            self.notes = [*self.notes, "asked"]
            return Ask("agent.a.toy", "Toy.add", {"left": 2, "right": 3}, then=self.write)

        @step(shows="writing")
        def write(self, total: int) -> Next:
            tried.append(total)
            self.notes = [*self.notes, "written"]
            self.subject.boots += total
            if len(tried) < 3:
                raise ValueError("dropped")
            self.subject.status = " ".join(self.notes)
            return None

    agents = Agents(lambda left, right: left + right)
    engine = Engine(database, agents, [Clumsy])
    start(database, Clumsy)
    assert engine.run_one()
    assert machine(database).task_state == "writing"
    settle(engine, time)
    assert (len(agents.asked), tried) == (1, [5, 5, 5])
    assert (machine(database).boots, machine(database).status) == (5, "asked written")


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


def test_what_a_database_refuses_is_told_without_the_rows(
    database: Database, time: clock.Simulated, logged: Logged
) -> None:
    class Careless(Flow[Machine]):
        event = "toy.careless"
        tries_max = 1

        @step()
        def write(self) -> Next:
            row = {"id": "other", "status": None, "host": "tell-nobody", "boots": 0}
            self.session.execute(insert(Machine).values(**row))
            return None

    engine = Engine(database, Agents(), [Careless])
    start(database, Careless)
    settle(engine, time)
    name, payload = events(database)[-1]
    assert (name, payload["error"]) == ("toy.careless.error", "IntegrityError")
    assert "status" in payload["text"]
    assert "tell-nobody" not in json.dumps(payload)
    messages = [line["message"] for line in logged()]
    assert messages == ["a step failed", "a flow failed"]
    assert "tell-nobody" not in json.dumps(logged())


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


def test_a_flow_that_always_has_another_errand_ends_at_its_deadline(
    database: Database, time: clock.Simulated
) -> None:
    class Restless(Flow[Machine]):
        deadline_s = 100.0

        @step()
        def ask(self) -> Next:
            return Ask("agent.a.toy", "Toy.wait", {}, then=self.ask)

        def failed(self, failure: Failure) -> None:
            self.subject.status = f"{failure.error} at {failure.step}"

    agents = Agents(lambda: time.advance(20))
    start(database, Restless)
    settle(Engine(database, agents, [Restless]), time)
    assert machine(database).status == "DeadlineExceeded at ask"
    assert len(agents.asked) == 5


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


def test_a_worker_that_starts_again_takes_back_what_it_held(
    database: Database, time: clock.Simulated
) -> None:
    dead, other, again = (Engine(database, Agents(), [Walk]) for _ in range(3))
    dead.holder = again.holder = "one"
    other.holder = "two"
    start(database, Walk, pace=1)
    row = dead.take()
    assert row is not None
    other.take_back()
    assert not other.run_one()
    again.take_back()
    assert again.run_one()
    assert dead.advance(row) is None
    assert [each.step for each in rows(database)] == ["second"]


def test_what_its_worker_died_of_several_times_waits_for_the_end_of_its_lease(
    database: Database, time: clock.Simulated
) -> None:
    engine = Engine(database, Agents(), [Walk])
    engine.holder = "one"
    start(database, Walk, pace=1)
    for _ in range(3):
        assert engine.take() is not None
        engine.take_back()
    assert engine.take() is None
    time.advance(engine.lease_s)
    assert engine.take() is not None


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


def test_a_flow_whose_resource_is_gone_ends(database: Database, time: clock.Simulated) -> None:
    engine = Engine(database, Agents(), [Walk])
    start(database, Walk, pace=2)
    with database.transaction() as session:
        session.execute(delete(Machine))
    settle(engine, time)
    assert events(database)[-1][1]["error"] == "SubjectGone"


def test_a_gate_refuses_what_was_overtaken() -> None:
    gate = Gate(subjects_max=2)
    with gate.enter(Fence("a", 5)):
        pass
    with gate.enter(Fence("a", 5)), gate.enter(Fence("b", 1)):
        pass
    with pytest.raises(Superseded), gate.enter(Fence("a", 4)):
        pass
