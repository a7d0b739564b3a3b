"""Events: with the change or not at all, in order, and at least once."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select

from onestack.core import clock, event, trace
from onestack.core.db import Database, Record
from onestack.core.event import Event, EventRecord, Publisher


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = Database(database_url, durable=False)
    Record.metadata.create_all(found.engine)
    yield found
    found.close()


def emit(database: Database, *names: str) -> None:
    with database.transaction() as session:
        for name in names:
            event.emit(session, name, {"id": name[-1]}, project_id="p", resource=f"toys/{name}")


def test_an_event_tells_what_happened(database: Database) -> None:
    heard: list[Event] = []
    with clock.use(clock.Simulated(1)), trace.recording("req-7"):
        emit(database, "toy.a")
        now = clock.now()
    assert Publisher(database, {"ear": heard.append}).publish_once() == 1
    (told,) = heard
    assert told == Event(
        position=told.position, name="toy.a", payload={"id": "a"}, project_id="p",
        resource="toys/toy.a", request_id="req-7", emitted_at=now,
    )  # fmt: skip


def test_a_change_that_is_rolled_back_was_never_reported(database: Database) -> None:
    heard: list[Event] = []
    with database.session() as session:
        event.emit(session, "toy.a", {})
        session.rollback()
    Publisher(database, {"ear": heard.append}).publish_once()
    assert heard == []


def test_a_subscriber_that_fails_gets_the_event_again_and_holds_nobody_up(
    database: Database,
) -> None:
    steady: list[str] = []
    shaky: list[str] = []

    def stumble(told: Event) -> None:
        shaky.append(told.name)
        if told.name == "toy.b" and shaky.count("toy.b") < 3:
            raise OSError("not now")

    publisher = Publisher(
        database, {"shaky": stumble, "steady": lambda told: steady.append(told.name)}
    )
    emit(database, "toy.a", "toy.b", "toy.c")
    for _ in range(3):
        publisher.publish_once()
    assert steady == ["toy.a", "toy.b", "toy.c"]
    assert shaky == ["toy.a", "toy.b", "toy.b", "toy.b", "toy.c"]


def test_what_a_crash_cut_off_is_delivered_by_the_next_publisher(database: Database) -> None:
    class Death(BaseException):
        pass

    heard: list[str] = []

    def die(told: Event) -> None:
        heard.append(told.name)
        if told.name == "toy.b":
            raise Death

    emit(database, "toy.a", "toy.b")
    with pytest.raises(Death):
        Publisher(database, {"ear": die}).publish_once()
    Publisher(database, {"ear": lambda told: heard.append(told.name)}).publish_once()
    assert heard == ["toy.a", "toy.b", "toy.a", "toy.b"]


def test_many_events_come_in_order_and_once(database: Database) -> None:
    heard: list[int] = []
    publisher = Publisher(database, {"ear": lambda told: heard.append(told.payload["number"])})
    with database.transaction() as session:
        for number in range(250):
            event.emit(session, "toy.many", {"number": number})
    assert publisher.publish_once() == 250
    assert publisher.publish_once() == 0
    assert heard == list(range(250))


def test_a_poller_reads_on_from_where_it_was(database: Database) -> None:
    publisher = Publisher(database, {})
    emit(database, "toy.a", "toy.b")
    publisher.publish_once()
    with database.transaction(write=False) as session:
        first = event.stream(session, limit=1)
        rest = event.stream(session, after=first[-1].position)
    assert [each.name for each in first + rest] == ["toy.a", "toy.b"]
    emit(database, "toy.c")
    publisher.publish_once()
    with database.transaction(write=False) as session:
        assert [each.name for each in event.stream(session, rest[-1].position)] == ["toy.c"]


def test_an_event_that_commits_late_is_behind_what_was_read(database: Database) -> None:
    if database.is_sqlite:
        emit(database, "toy.early", "toy.late")  # one writer at a time: ids are in their order
    else:
        with database.transaction() as slow:
            event.emit(slow, "toy.late", {})
            emit(database, "toy.early")
            Publisher(database, {}).publish_once()
    Publisher(database, {}).publish_once()
    with database.transaction(write=False) as session:
        assert [each.name for each in event.stream(session)] == ["toy.early", "toy.late"]


def test_history_is_kept_for_a_while(database: Database) -> None:
    with clock.use(clock.Simulated(1)) as time:
        assert isinstance(time, clock.Simulated)
        emit(database, "toy.old")
        time.advance(1000)
        emit(database, "toy.new")
        with database.transaction() as session:
            assert event.forget(session, keep_s=1000) == 0
        time.advance(1)
        with database.transaction() as session:
            assert event.forget(session, keep_s=1000) == 1
            assert session.scalars(select(EventRecord.name)).all() == ["toy.new"]


def test_positions_go_on_when_history_was_dropped(database: Database) -> None:
    heard: list[str] = []
    publisher = Publisher(database, {"ear": lambda told: heard.append(told.name)})
    emit(database, "toy.a")
    publisher.publish_once()
    with database.transaction() as session:
        event.forget(session, keep_s=-1)
    emit(database, "toy.b")
    publisher.publish_once()
    assert heard == ["toy.a", "toy.b"]


def test_one_publisher_works_at_a_time(database: Database) -> None:
    first = Publisher(database, {})
    inside, leave = threading.Event(), threading.Event()
    heard: list[str] = []

    def linger(told: Event) -> None:
        heard.append(told.name)
        inside.set()
        leave.wait(60)

    first.subscribers = {"ear": linger}
    emit(database, "toy.a")
    thread = threading.Thread(target=first.publish_once)
    thread.start()
    assert inside.wait(60)
    if database.is_sqlite:
        assert first.publish_once() == 0
    else:
        assert Publisher(database, {"ear": linger}).publish_once() == 0
    leave.set()
    thread.join()
    assert heard == ["toy.a"]


def test_events_are_published_when_their_doorbell_rings(database: Database) -> None:
    heard: list[str] = []

    async def scenario() -> None:
        publisher = Publisher(database, {"ear": lambda told: heard.append(told.name)})
        serving = asyncio.create_task(event.serve(publisher))
        await asyncio.sleep(0.1)
        emit(database, "toy.a")
        while not heard:
            await asyncio.sleep(0.01)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scenario(), 10))
    assert heard == ["toy.a"]
    with database.transaction(write=False) as session:
        assert session.scalar(select(func.count(EventRecord.id))) == 1
