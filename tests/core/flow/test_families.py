"""Flows among each other: parents and children, and those that replace another."""

import pytest

from onestack.core import clock
from onestack.core.db import Database
from onestack.core.engine import Engine
from onestack.core.flow import Failure, Flow, FlowBusy, Next, step
from tests.core.flow.stage import Agents, Errand, Parent, Walk, events, machine, rows, start
from tests.simulator.toys import Disk, Machine


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


def test_a_started_flow_is_of_its_parents_time(database: Database, time: clock.Simulated) -> None:
    engine = Engine(database, Agents(), [Parent, Errand])
    start(database, Parent)
    engine.run_one()
    parent, child = sorted(rows(database), key=lambda row: row.kind, reverse=True)
    assert (parent.kind, child.parent_id) == ("Parent", parent.id)
    assert child.deadline is not None
    assert parent.deadline is not None
    assert child.deadline <= parent.deadline


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
