"""What tests of flows have in common: agents, flows of toys, and how to look at rows."""

from typing import Any

from sqlalchemy import select

from onestack.core import clock
from onestack.core.db import Database
from onestack.core.engine import Engine
from onestack.core.errors import Conflict
from onestack.core.event import EventRecord
from onestack.core.flow import Ask, Child, Compute, Failure, Flow, Next, step
from onestack.core.flow_record import FlowRecord
from tests.simulator.toys import Disk, Machine


class Agents:
    """Answers with a function of the test's."""

    def __init__(self, answer: Any = lambda **_: None) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    def ask(self, agent: str, method: str, arguments: Any, timeout_s: float) -> Any:
        self.asked.append((agent, method))
        return self.answer(**arguments)


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
