"""The schema: made at once in a new database, brought up by migrations in an old one."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from onestack.core.db import Database, Record

MIGRATIONS = Path(__file__).parent.parent / "migrations"


class SchemaTooNew(Exception):
    """The database was written by a newer onestack."""


def ensure_schema(database: Database) -> None:
    """Bring the database to the newest schema; a current one costs one statement."""
    head = newest_revision()
    with database.engine.begin() as connection:
        if not inspect(connection).get_table_names():
            Record.metadata.create_all(connection, checkfirst=False)
            _stamp(connection, head)
            return
        if current_revision(connection) == head:
            return
    migrate(database, "head")


def newest_revision() -> str:
    """The newest migration's name: the files are numbered, and their history is one line."""
    return max(path.stem for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def current_revision(connection: Connection) -> str | None:
    """The revision that a database is at."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def migrate(database: Database, revision: str) -> None:
    """Run migrations up, or down when the revision lies behind."""
    from alembic import command
    from alembic.util import CommandError

    try:
        with database.engine.connect() as connection:
            settings = alembic_settings(connection)
            if _is_behind(revision, current_revision(connection)):
                command.downgrade(settings, revision)
            else:
                command.upgrade(settings, revision)
            connection.commit()
    except CommandError as error:
        raise SchemaTooNew(f"the database cannot be migrated: {error}") from None


def alembic_settings(connection: Connection) -> Any:
    """What Alembic must know."""
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    settings.attributes["connection"] = connection
    return settings


def _is_behind(revision: str, current: str | None) -> bool:
    if revision == "head" or current is None:
        return False
    return revision == "base" or revision.startswith("-") or revision < current


def _stamp(connection: Connection, revision: str) -> None:
    connection.execute(
        text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    )
    connection.execute(
        text("INSERT INTO alembic_version (version_num) VALUES (:revision)"),
        {"revision": revision},
    )
