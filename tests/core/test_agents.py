"""Agents report to the control plane, which keeps what they say and tells its services."""

import datetime as dt
from collections.abc import Iterator
from typing import Protocol

import msgspec
import pytest
from sqlalchemy.orm import Session

from onestack.core import agents, clock
from onestack.core.agent import Agent, Post
from onestack.core.agents import AgentRecord, Registry, Report, Roster
from onestack.core.bus import Bus, Local, agent_address
from onestack.core.db import Database
from tests.conftest import Databases
from tests.servers.databases import Schema


class Said(msgspec.Struct):
    driver: str
    room: int = 1


class Keeper(Protocol):
    def describe(self) -> Said: ...
    def double(self, number: int) -> int: ...


class Shelf:
    """A driver whose room changes."""

    def __init__(self) -> None:
        self.room = 1

    def describe(self) -> Said:
        return Said("shelf", self.room)

    def double(self, number: int) -> int:
        return 2 * number


@pytest.fixture
def database(databases: Databases, database_schema: Schema) -> Iterator[Database]:
    with databases.fresh() as url:
        database_schema(url)
        opened = Database(url)
        yield opened
        opened.close()


@pytest.fixture
def heard() -> list[tuple[str, bool, int]]:
    return []


@pytest.fixture
def bus(database: Database, heard: list[tuple[str, bool, int]]) -> Bus:
    def listen(session: Session, agent: AgentRecord, is_restarted: bool) -> None:
        heard.append((agent.host, is_restarted, agent.description["room"]))

    bus = Bus(Local())
    bus.serve(agents.ROSTER_ADDRESS, Registry(database, {"shelf": listen}), Roster)
    return bus


def test_an_agent_serves_its_driver_on_every_host(bus: Bus, database: Database) -> None:
    agent = Agent(bus, [Post("shelf", Shelf(), Keeper, ["one", "two"])])
    agent.serve()
    agent.report()
    for host in ("one", "two"):
        assert bus.call(Keeper, agent_address(host, "shelf"), "double", {"number": 4}) == 8
    with database.transaction(write=False) as session:
        found = agents.alive(session, "shelf")
        assert [(each.host, each.driver) for each in found] == [("one", "shelf"), ("two", "shelf")]
        assert agents.of_host(session, "two", "shelf").description == {"driver": "shelf", "room": 1}
        with pytest.raises(agents.NoSuchAgent):
            agents.of_host(session, "three", "shelf")


def test_services_hear_of_what_is_new_and_of_nothing_else(
    bus: Bus, heard: list[tuple[str, bool, int]]
) -> None:
    shelf = Shelf()
    post = Post("shelf", shelf, Keeper, ["one"])
    agent = Agent(bus, [post])
    agent.report()
    agent.report()
    assert heard == [("one", True, 1)]
    shelf.room = 5
    agent.report()
    assert heard[1:] == [("one", False, 5)]
    Agent(bus, [post]).report()  # it was started anew
    assert heard[2:] == [("one", True, 5)]


def test_services_hear_of_who_is_back_after_silence(
    bus: Bus, heard: list[tuple[str, bool, int]]
) -> None:
    with clock.use(clock.Simulated(1)) as time:
        assert isinstance(time, clock.Simulated)
        agent = Agent(bus, [Post("shelf", Shelf(), Keeper, ["one"])])
        agent.report()
        time.advance(agents.SILENT_S - 1)
        agent.report()
        assert heard == [("one", True, 1)]
        time.advance(agents.SILENT_S)
        agent.report()
        assert heard[1:] == [("one", False, 1)]


def test_who_is_silent_gets_no_work(bus: Bus, database: Database) -> None:
    with clock.use(clock.Simulated(1)) as time:
        assert isinstance(time, clock.Simulated)
        agent = Agent(bus, [Post("shelf", Shelf(), Keeper, ["one"])])
        agent.report()
        for seconds, is_there in ((agents.SILENT_S - 1, True), (2, False)):
            time.advance(seconds)
            with database.transaction(write=False) as session:
                assert bool(agents.alive(session, "shelf")) is is_there
        agent.report()
        with database.transaction() as session:
            record = agents.alive(session, "shelf")[0]
            assert record.seen_at == clock.now()
            record.is_forced_down = True
        with database.transaction() as session:
            assert not agents.alive(session, "shelf")
            assert agents.of_kind(session, "shelf")[0].is_enabled


def test_a_disabled_agent_is_alive_but_gets_no_work(bus: Bus, database: Database) -> None:
    Agent(bus, [Post("shelf", Shelf(), Keeper, ["one"])]).report()
    with database.transaction() as session:
        agents.of_host(session, "one", "shelf").is_enabled = False
    with database.transaction(write=False) as session:
        assert agents.of_host(session, "one", "shelf").is_alive
        assert not agents.alive(session, "shelf")


def test_many_hosts_report_at_once(bus: Bus, database: Database) -> None:
    hosts = [f"host-{number}" for number in range(1200)]
    agent = Agent(bus, [Post("shelf", Shelf(), Keeper, hosts)])
    agent.report()
    agent.report()
    with database.transaction(write=False) as session:
        assert len(agents.alive(session, "shelf")) == 1200


def test_what_fails_in_a_service_leaves_the_report_to_be_made_again(database: Database) -> None:
    calls: list[str] = []

    def refuse(session: Session, agent: AgentRecord, is_restarted: bool) -> None:
        calls.append(agent.host)
        if len(calls) == 1:
            raise RuntimeError("not now")

    registry = Registry(database, {"shelf": refuse})
    report = Report("one", "shelf", "shelf", "boot", {"driver": "shelf"})
    with pytest.raises(RuntimeError):
        registry.report([report])
    with database.transaction(write=False) as session:
        assert not agents.of_kind(session, "shelf")
    registry.report([report])
    assert calls == ["one", "one"]
    with database.transaction(write=False) as session:
        assert agents.of_kind(session, "shelf")[0].started_at <= clock.now() + dt.timedelta(0)
