"""The database, the same tests on SQLite and on PostgreSQL."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pytest
from sqlalchemy import ForeignKey, MetaData, delete, func, inspect, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from onestack.core import trace
from onestack.core.db import Database, Record, RevisionRecord, bump, counted, insert_all
from tests.servers.databases import PostgresDatabases, SqliteDatabases
from tests.servers.postgres import Postgres
from tests.servers.waiting import soon


class Scratch(DeclarativeBase):
    """Tables of these tests alone."""

    metadata = MetaData()
    topic: ClassVar[str | None] = None


class Shelf(Scratch):
    __tablename__ = "shelves"
    name: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(default=0)
    topic: ClassVar[str | None] = "shelves"


class Book(Scratch):
    __tablename__ = "books"
    title: Mapped[str] = mapped_column(primary_key=True)
    shelf: Mapped[str] = mapped_column(ForeignKey("shelves.name"))


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    databases: SqliteDatabases | PostgresDatabases
    databases = request.getfixturevalue(f"{request.param}_databases")
    with databases.fresh() as url:
        yield url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    Scratch.metadata.create_all(database.engine)
    yield database
    database.close()


def names(database: Database) -> list[str]:
    with database.transaction(write=False) as session:
        return list(session.scalars(select(Shelf.name).order_by(Shelf.name)))


def test_what_a_transaction_did_is_kept_at_its_end(database: Database) -> None:
    with database.transaction() as session:
        session.add(Shelf(name="a"))
    assert names(database) == ["a"]


def test_what_a_failed_transaction_did_is_undone(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as session:
            session.add(Shelf(name="a"))
            session.flush()
            bump(session, "things")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert names(database) == []
    assert database.revision("things") == 0
    assert database.revision("shelves") == 0


def test_a_session_without_commit_changes_nothing(database: Database) -> None:
    with database.session() as session:
        session.add(Shelf(name="a"))
        session.flush()
    assert names(database) == []


def test_a_row_that_is_there_already(database: Database) -> None:
    with database.transaction() as session:
        session.add(Shelf(name="a", size=1))
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.add(Shelf(name="a", size=2))
    with database.transaction() as session:
        assert session.get_one(Shelf, "a").size == 1


def test_many_are_added_by_one_statement_and_are_the_sessions_then(database: Database) -> None:
    with database.transaction() as session, counted() as statements:
        shelves = [Shelf(name=name) for name in ("a", "b", "c")]
        insert_all(session, shelves)
        assert len(statements) == 2  # the other says that shelves changed
        assert [each.size for each in shelves] == [0, 0, 0]
        shelves[1].size = 5
    with database.transaction(write=False) as session:
        assert list(session.scalars(select(Shelf.size).order_by(Shelf.name))) == [0, 5, 0]
    assert database.revision("shelves") == 1
    with pytest.raises(IntegrityError), database.transaction() as session:
        insert_all(session, [Shelf(name="d"), Shelf(name="a")])
    assert names(database) == ["a", "b", "c"]


def test_references_are_checked(database: Database) -> None:
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.add(Book(title="t", shelf="nowhere"))
    with database.transaction() as session:
        session.add(Shelf(name="a"))
        session.flush()
        session.add(Book(title="t", shelf="a"))
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.execute(delete(Shelf))


def test_a_revision_counts_the_transactions_that_bumped_it(database: Database) -> None:
    assert database.revision("things") == 0
    for expected in (1, 2, 3):
        with database.transaction() as session:
            bump(session, "things")
            bump(session, "things")
            bump(session, "others")
        assert database.revision("things") == expected
    assert database.revision("others") == 3


def test_a_revision_is_seen_when_it_is_committed(database: Database) -> None:
    with database.transaction() as session:
        bump(session, "things")
        session.flush()
        with ThreadPoolExecutor(1) as threads:
            assert threads.submit(database.revision, "things").result() == 0
        assert database.revision("things") == 0
    assert database.revision("things") == 1


def test_a_bump_of_one_topic_costs_one_statement(database: Database) -> None:
    with counted() as statements, database.transaction() as session:
        for _ in range(5):
            bump(session, "things")
    assert len(statements) == 1


def test_a_savepoint_takes_its_bump_back_but_not_the_next(database: Database) -> None:
    def fail() -> None:
        with session.begin_nested():
            session.add(Shelf(name="a"))
            session.flush()
            raise LookupError

    with database.transaction() as session:
        with pytest.raises(LookupError):
            fail()
        session.add(Shelf(name="b"))
    assert names(database) == ["b"]
    assert database.revision("shelves") == 1


def test_changes_of_a_record_with_a_topic_bump_it(database: Database) -> None:
    with database.transaction() as session:
        session.add(Shelf(name="a"))
        session.add(Shelf(name="b"))
    assert database.revision("shelves") == 1
    with database.transaction() as session:
        session.get_one(Shelf, "a").size = 5
    assert database.revision("shelves") == 2
    with database.transaction() as session:
        session.execute(update(Shelf).values(size=6))
    assert database.revision("shelves") == 3
    with database.transaction() as session:
        session.delete(session.get_one(Shelf, "b"))
    assert database.revision("shelves") == 4
    with database.transaction() as session:
        session.execute(delete(Shelf))
    assert database.revision("shelves") == 5
    assert names(database) == []
    assert database.revision("shelves") == 5


def test_writers_in_threads_lose_nothing(database: Database) -> None:
    with database.transaction() as session:
        session.add(Shelf(name="a"))

    def add_ten(_worker: int) -> None:
        for _ in range(10):
            with database.transaction() as session:
                query = select(Shelf).where(Shelf.name == "a").with_for_update()
                session.scalars(query).one().size += 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add_ten, range(8)))
    with database.transaction(write=False) as session:
        assert session.get_one(Shelf, "a").size == 80
    assert database.revision("shelves") == 81


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    with database.transaction() as session:
        session.add(Shelf(name="a", size=1))
    written, may_commit = threading.Event(), threading.Event()

    def write() -> None:
        with database.transaction() as session:
            session.get_one(Shelf, "a").size = 2
            session.flush()
            written.set()
            may_commit.wait(60)

    def read(_reader: int) -> int:
        with database.transaction(write=False) as session:
            return session.get_one(Shelf, "a").size

    with ThreadPoolExecutor(5) as threads:
        writing = threads.submit(write)
        assert written.wait(60)
        assert list(threads.map(read, range(8), timeout=60)) == [1] * 8
        assert database.revision("shelves") == 1
        may_commit.set()
        writing.result(60)
        assert list(threads.map(read, range(8), timeout=60)) == [2] * 8


def test_readers_and_writers_together(database: Database) -> None:
    """A reader always sees two shelves whose sizes a writer keeps equal."""
    with database.transaction() as session:
        session.add_all([Shelf(name="a"), Shelf(name="b")])
    done = threading.Event()

    def write(_worker: int) -> None:
        for _ in range(15):
            with database.transaction() as session:
                session.execute(update(Shelf).values(size=Shelf.size + 1))

    def read(_reader: int) -> int:
        seen = 0
        while not done.is_set() or not seen:
            with database.transaction(write=False) as session:
                sizes = set(session.scalars(select(Shelf.size)))
            assert len(sizes) == 1
            seen += 1
        return seen

    with ThreadPoolExecutor(5) as threads:
        readers = [threads.submit(read, number) for number in range(2)]
        list(threads.map(write, range(3)))
        done.set()
        assert all(reader.result(60) for reader in readers)
    with database.transaction(write=False) as session:
        assert session.scalar(select(func.max(Shelf.size))) == 45


def test_statements_are_counted_and_traced(database: Database) -> None:
    with trace.recording("req-database") as recorded, counted() as statements:
        names(database)
        database.revision("shelves")
    assert len(statements) == 2
    assert [span.kind for span in recorded.spans] == ["sql", "sql"]
    assert all(span.duration_s is not None for span in recorded.spans)
    with counted() as after:
        pass
    assert after == []


def test_a_statement_that_fails_ends_its_span(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as session:
            session.execute(text("SELECT nothing FROM nowhere"))

    with trace.recording("req-failing") as recorded:
        with pytest.raises(DBAPIError):
            fail()
        names(database)
    failed, good = recorded.spans
    assert failed.duration_s is not None
    assert failed.error is not None
    assert good.error is None
    assert failed.depth == good.depth == 0


def test_every_test_has_a_database_of_its_own_with_the_schema(
    url: str, request: pytest.FixtureRequest
) -> None:
    database = Database(url)
    with database.transaction() as session:
        session.add(RevisionRecord(name="mine", value=7))
    assert set(Record.metadata.tables) <= set(inspect(database.engine).get_table_names())
    database.close()
    kind = "sqlite" if url.startswith("sqlite") else "postgres"
    with request.getfixturevalue(f"{kind}_databases").fresh() as other_url:
        other = Database(other_url)
        assert other.revision("mine") == 0
        other.close()


def test_the_suites_own_database(database_url: str) -> None:
    database = Database(database_url)
    with database.transaction() as session:
        bump(session, "things")
    assert database.revision("things") == 1
    database.close()


def test_closing_gives_back_every_connection(postgres: Postgres, database: Database) -> None:
    with database.transaction() as session:
        session.add(Shelf(name="a"))
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(database.revision, ["shelves"] * 9))
        name = database.engine.url.database or ""
        assert _connections(postgres, name, is_sqlite=database.is_sqlite) > 0
        database.close()
        assert soon(lambda: not _connections(postgres, name, is_sqlite=database.is_sqlite))
    assert names(database) == ["a"]


def test_a_server_that_drops_its_connections(
    postgres: Postgres, postgres_databases: PostgresDatabases
) -> None:
    with postgres_databases.fresh() as url:
        database, other = Database(url), Database(postgres.url())
        with database.transaction() as session:
            bump(session, "things")
        assert database.revision("things") == 1
        with other.transaction() as session:
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
            session.execute(text(query), {"name": database.engine.url.database})
        assert database.revision("things") == 1
        with database.transaction() as session:
            bump(session, "things")
        assert database.revision("things") == 2
        database.close()
        other.close()


def _connections(postgres: Postgres, name: str, *, is_sqlite: bool) -> int:
    if is_sqlite:
        # The last connection that closes takes the write-ahead log with it.
        return int(Path(f"{name}-wal").exists())
    server = Database(postgres.url())
    with server.transaction() as session:
        query = text("SELECT count(*) FROM pg_stat_activity WHERE datname = :name")
        count = session.scalar(query, {"name": name})
    server.close()
    return int(count or 0)
