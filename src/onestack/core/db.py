"""The database: records, sessions, and revisions that tell a cache when it is stale."""

import contextlib
import sqlite3
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from functools import cache, partial
from typing import Any, ClassVar, TypeVar

import msgspec
from sqlalchemy import (
    JSON,
    Engine,
    MetaData,
    Result,
    Select,
    Table,
    Text,
    bindparam,
    create_engine,
    event,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    make_transient_to_detached,
    mapped_column,
)
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.pool import ConnectionPoolEntry

from onestack.core import trace
from onestack.core.commits import Commits

BUSY_TIMEOUT_S = 20
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Record(DeclarativeBase):
    """A row of ours."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {
        dict[str, Any]: JSON,
        list[Any]: JSON,
        list[str]: JSON,
        str: Text,
    }

    topic: ClassVar[str | None] = None  # the revision that a change of such a row bumps


R = TypeVar("R", bound=Record)


class RevisionRecord(Record):
    """How often what a topic names has changed: caches compare it before they trust themselves."""

    __tablename__ = "revisions"
    name: Mapped[str] = mapped_column("topic", primary_key=True)
    value: Mapped[int] = mapped_column(default=0)


_BUMP = text(
    "INSERT INTO revisions (topic, value) VALUES (:topic, 1) "
    "ON CONFLICT (topic) DO UPDATE SET value = revisions.value + 1"
)

statements: ContextVar[list[str] | None] = ContextVar("statements", default=None)


@contextlib.contextmanager
def counted() -> Iterator[list[str]]:
    """Collect every SQL statement that runs within the block."""
    seen: list[str] = []
    token = statements.set(seen)
    try:
        yield seen
    finally:
        statements.reset(token)


def by_key(session: Session, kind: type[R], key: Any) -> R | None:
    """The row with this key, if there is one: read, even when the session has it already."""
    found: R | None = session.scalar(_by_key(kind), {"key": key})
    return found


@cache
def _by_key(kind: type[Any]) -> Select[Any]:
    """Made once for each kind: putting a statement together costs more than running it."""
    (column,) = inspect(kind).primary_key
    return select(kind).where(column == bindparam("key"))


def insert_all(session: Session, records: Sequence[Any]) -> None:
    """Add new records of one kind by one statement, without the session's looking for what there is
    to do. They are the session's afterwards, as if it had read them."""
    if not records:
        return
    kind: Any = type(records[0])
    table, columns = _defaults(kind)
    rows = []
    for each in records:
        row = {key: value for key, value in each.__dict__.items() if key in columns}
        for key, default in columns.items():
            if key not in row:
                row[key] = default()
                set_committed_value(each, key, row[key])
        rows.append(row)
    session.flush()  # what they refer to is there before
    session.connection().execute(insert(table), rows)
    for each in records:
        make_transient_to_detached(each)
        session.add(each)
    if kind.topic is not None:
        bump(session, kind.topic)


@cache
def _defaults(kind: type[Any]) -> tuple[Table, dict[str, Callable[[], Any]]]:
    """A kind's table, and how each of its columns comes by a value that nobody gave."""
    made: dict[str, Callable[[], Any]] = {}
    for attribute in inspect(kind).column_attrs:
        default = attribute.columns[0].default
        value = None if default is None else default.arg
        made[attribute.key] = partial(value, None) if callable(value) else partial(_same, value)
    return kind.__table__, made


def _same(value: Any) -> Any:
    return value


def plain(result: Result[Any]) -> list[Any]:
    """A result's rows as named tuples, whose attributes cost a tenth of those of the driver's."""
    kind = _plain_kind(tuple(result.keys()))
    return list(map(kind._make, result))


@cache
def _plain_kind(names: tuple[str, ...]) -> type[Any]:
    return namedtuple("Row", names)


def bump(session: Session, topic: str) -> None:
    """Say that what `topic` names changed: once per transaction, committed with the change."""
    topics: set[str] = session.info.setdefault("bumped", set())
    if topic in topics:
        return
    topics.add(topic)
    session.connection().execute(_BUMP, {"topic": topic})


class Database:
    """One database by URL: SQLite in a file, or PostgreSQL."""

    def __init__(self, url: str, pool_size: int = 5, *, durable: bool = True) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.engine = (
            _sqlite_engine(url, durable) if self.is_sqlite else _postgres_engine(url, pool_size)
        )
        self._reading = self.engine.execution_options(write=False)
        self._local = threading.local()
        self._seen: dict[str, tuple[str | None, int]] = {}
        mark = "?" if self.is_sqlite else "%s"
        self._revision_of = f"SELECT value FROM revisions WHERE topic = {mark}"  # noqa: S608 - a mark
        self._readers: list[Any] = []
        self._turn = threading.Lock()
        self._commits: Commits | None = None
        self._revisions: dict[str, tuple[bytes | None, int]] = {}
        event.listen(self.engine, "before_cursor_execute", _before_statement)
        event.listen(self.engine, "after_cursor_execute", _after_statement)
        event.listen(self.engine, "handle_error", _failed_statement)

    def session(self, write: bool = True) -> Session:
        """A session; one that may write takes the writer's lock of SQLite when it begins."""
        return Session(self.engine if write else self._reading, expire_on_commit=False)

    @contextlib.contextmanager
    def transaction(self, write: bool = True) -> Iterator[Session]:
        """A session that commits at the end of the block, or rolls back when the block raises."""
        with self.session(write) as session, session.begin():
            yield session

    def known_revision(self, topic: str) -> int:
        """The committed revision of a topic, read once in a request."""
        request_id = trace.current_id()
        seen = self._seen.get(topic)
        if seen is None or request_id is None or seen[0] != request_id:
            seen = self._seen[topic] = (request_id, self.revision(topic))
        return seen[1]

    def revision(self, topic: str) -> int:
        """The committed revision of a topic: what it was, while nothing at all is committed."""
        newest = None if self._commits is None else self._commits.newest()
        kept = self._revisions.get(topic)
        if kept is None or newest is None or kept[0] != newest:
            kept = self._revisions[topic] = newest, self._read(topic)
        return kept[1]

    def ping(self) -> None:
        """Ask the database something, to learn whether it answers."""
        self._read("")

    def _read(self, topic: str) -> int:
        """A topic's revision, by the cheapest statement that there is."""
        _note("SELECT value FROM revisions")
        span = trace.begin("sql", "revision")
        try:
            row = self._row(topic)
        except Exception as error:
            # Drivers' own errors become what those of sessions are.
            raise OperationalError(self._revision_of, None, error) from error
        finally:
            trace.end(span)
        if self.is_sqlite and self._commits is None:
            self._watch()
        return int(row[0]) if row else 0

    def _watch(self) -> None:
        """Look at the file's commits, now that a connection is there that stays."""
        with self._turn:
            if self._commits is None:
                self._commits = Commits(self.engine.url.database or "")

    def _row(self, topic: str) -> Any:
        reader = self._reader()
        try:
            return reader.execute(self._revision_of, (topic,)).fetchone()
        except Exception:
            if not getattr(reader, "closed", False):
                raise
            # The server dropped the connection while it was idle: a new one, once.
            return self._reader().execute(self._revision_of, (topic,)).fetchone()

    def _reader(self) -> Any:
        """This thread's bare connection for single reads, outside any transaction."""
        reader = getattr(self._local, "reader", None)
        if reader is None or getattr(reader, "closed", False):
            if self.is_sqlite:
                path = self.engine.url.database or ""
                reader = sqlite3.connect(
                    path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S
                )
            else:
                import psycopg

                dsn = self.engine.url.set(drivername="postgresql")
                reader = psycopg.connect(
                    dsn.render_as_string(hide_password=False), autocommit=True, prepare_threshold=1
                )
            self._local.reader = reader
            self._readers.append(reader)
        return reader

    def close(self) -> None:
        """Give back every connection."""
        for reader in self._readers:
            reader.close()
        self._readers.clear()
        self._local = threading.local()
        self.engine.dispose()
        if self._commits is not None:
            self._commits.close()
            self._commits = None
            self._revisions.clear()


def _sqlite_engine(url: str, durable: bool) -> Engine:
    connecting = {"timeout": BUSY_TIMEOUT_S}
    engine = create_engine(
        url, connect_args=connecting, hide_parameters=True,
        # Several times as fast as Python's own, and lists are full of it.
        json_deserializer=msgspec.json.decode, json_serializer=_json_text,
    )  # fmt: skip

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'NORMAL' if durable else 'OFF'}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA case_sensitive_like = ON")  # as PostgreSQL has it

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        write = connection.get_execution_options().get("write", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _postgres_engine(url: str, pool_size: int) -> Engine:
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    return create_engine(
        url, pool_size=pool_size, max_overflow=2 * pool_size, pool_pre_ping=True,
        hide_parameters=True,
    )  # fmt: skip


def _note(statement: str) -> None:
    seen = statements.get()
    if seen is not None:
        seen.append(statement)


def _before_statement(
    _connection: Any, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool
) -> None:
    if statement.startswith("BEGIN"):
        return
    _note(statement)
    context.span = trace.begin("sql", statement)


def _after_statement(
    _connection: Any, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool
) -> None:
    if not statement.startswith("BEGIN"):
        trace.end(context.span)


def _failed_statement(problem: Any) -> None:
    context = problem.execution_context
    trace.end(getattr(context, "span", None), type(problem.original_exception).__name__)


@event.listens_for(Session, "before_flush")
def _bump_changed(session: Session, _context: Any, _instances: Any) -> None:
    for record in (*session.new, *session.dirty, *session.deleted):
        if record.topic is not None:
            bump(session, record.topic)


@event.listens_for(Session, "do_orm_execute")
def _bump_mass_change(state: Any) -> None:
    if state.is_update or state.is_delete or state.is_insert:
        for mapper in state.all_mappers:
            if mapper.class_.topic is not None:
                bump(state.session, mapper.class_.topic)


@event.listens_for(Session, "after_transaction_end")
def _forget_bumps(session: Session, transaction: Any) -> None:
    # What a savepoint takes back may hold a bump, and the next change must bump again.
    if transaction.parent is None or transaction.nested:
        session.info.pop("bumped", None)
