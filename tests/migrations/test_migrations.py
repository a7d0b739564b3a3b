"""The migrations lead to the schema that the records describe, and back, on either database."""

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

import onestack.main
from onestack.core.db import Database, Record
from onestack.core.schema import (
    SchemaTooNew,
    current_revision,
    ensure_schema,
    migrate,
    newest_revision,
)


def _differences(database: Database) -> list[Any]:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Record.metadata))


def _tables(database: Database) -> set[str]:
    with database.engine.connect() as connection:
        return set(inspect(connection).get_table_names()) - {"alembic_version"}


@pytest.fixture
def empty(empty_database_url: str) -> Any:
    database = Database(empty_database_url)
    yield database
    database.close()


def test_migrations_make_what_the_records_describe(empty: Database) -> None:
    migrate(empty, "head")
    assert _differences(empty) == []


def test_migrations_go_down_and_up_again(empty: Database) -> None:
    migrate(empty, "head")
    before = _tables(empty)
    migrate(empty, "base")
    assert _tables(empty) == set()
    migrate(empty, "head")
    assert _tables(empty) == before == set(Record.metadata.tables)


def test_each_migration_goes_down_by_itself(empty: Database) -> None:
    migrate(empty, "head")
    while True:
        with empty.engine.connect() as connection:
            revision = current_revision(connection)
        if revision is None:
            break
        migrate(empty, "-1")
    assert _tables(empty) == set()


def test_a_new_database_is_made_at_once_and_stamped(empty: Database) -> None:
    ensure_schema(empty)
    with empty.engine.connect() as connection:
        assert current_revision(connection) == newest_revision()
    assert _differences(empty) == []
    ensure_schema(empty)


def test_an_old_database_is_brought_up(empty: Database) -> None:
    migrate(empty, "0001_ground_floor")
    ensure_schema(empty)
    assert _differences(empty) == []


def test_a_database_of_the_future_is_left_alone(empty: Database) -> None:
    ensure_schema(empty)
    with empty.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999_future'")
    with pytest.raises(SchemaTooNew):
        ensure_schema(empty)


def test_the_history_is_one_line() -> None:
    versions = Path(onestack.main.__file__).parent / "migrations" / "versions"
    names = sorted(path.stem for path in versions.glob("[0-9]*.py"))
    numbers = [name.split("_")[0] for name in names]
    assert numbers == [f"{number:04d}" for number in range(1, len(names) + 1)]
