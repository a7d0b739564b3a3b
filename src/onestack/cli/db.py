"""`onestack db`: the schema of a cloud's database."""

from pathlib import Path
from typing import Any

import click

from onestack.cli import folder as folders
from onestack.cli import output, process, settings
from onestack.cli.errors import Failure
from onestack.cli.folder import Folder

DIFFERENCES_SHOWN = 10


@click.group()
def command() -> None:
    """Look after the database's schema.

    A cloud brings its database up to date when it starts; these commands are for doing it by hand.
    """


@command.command()
@folders.data_option
@output.output_option
def current(data: Path | None, form: str) -> None:
    """Show the database's revision, and the newest one."""
    found = revisions(folders.chosen(data))
    if form == "json":
        output.document(found)
    else:
        click.echo(f"{found['current'] or 'none'} (newest: {found['newest']})")


@command.command()
@folders.data_option
def check(data: Path | None) -> None:
    """Check that the database is up to date and is what the program expects."""
    folder = folders.chosen(data)
    found = revisions(folder)
    if found["current"] != found["newest"]:
        raise Failure(
            f"the database is at revision {found['current'] or 'none'}, the newest is "
            f"{found['newest']}",
            next_step=f"onestack db upgrade{folder.option}",
        )
    differences = _differences(folder)
    if differences:
        raise Failure(
            f"the database differs from what revision {found['current']} should be",
            why="; ".join(differences[:DIFFERENCES_SHOWN]),
            next_step="restore it from a backup, or make the change undone by hand",
        )
    click.echo(f"the database is up to date at {found['current']}")


@command.command()
@click.argument("revision", default="head")
@folders.data_option
def upgrade(revision: str, data: Path | None) -> None:
    """Bring the database up to REVISION (default: the newest)."""
    _migrate(folders.chosen(data), revision)


@command.command(context_settings={"ignore_unknown_options": True})  # -1 is none
@click.argument("revision")
@folders.data_option
def downgrade(revision: str, data: Path | None) -> None:
    """Bring the database back to REVISION, `-1` (one step), or `base` (empty).

    What only newer revisions can hold is lost. The cloud must not run.
    """
    _migrate(folders.chosen(data), revision)


def revisions(folder: Folder) -> dict[str, str | None]:
    """The revision that the database is at, and the newest."""
    from onestack.core.schema import current_revision, newest_revision

    with settings.database(folder) as database, database.engine.connect() as connection:
        return {"current": current_revision(connection), "newest": newest_revision()}


def _migrate(folder: Folder, revision: str) -> None:
    from onestack.core.schema import SchemaTooNew, migrate

    if process.servers(folder):
        raise Failure(
            f"a cloud runs on {folder.path}",
            why="its schema must not change under it",
            next_step=f"onestack down{folder.option}",
        )
    before = revisions(folder)["current"]
    try:
        with settings.database(folder) as database:
            migrate(database, revision)
    except SchemaTooNew as error:
        raise Failure(str(error), next_step=f"onestack db current{folder.option}") from None
    after = revisions(folder)["current"]
    if before == after:
        click.echo(f"the database is at {after or 'base'}; nothing was changed.")
    else:
        click.echo(f"the database went from {before or 'base'} to {after or 'base'}")


def _differences(folder: Folder) -> list[str]:
    """What the tables are, other than the records say."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from onestack import main  # noqa: F401 - its services bring all records
    from onestack.core.db import Record

    with settings.database(folder) as database, database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [_said(difference) for difference in compare_metadata(context, Record.metadata)]


def _said(difference: Any) -> str:
    if isinstance(difference, list):
        return ", ".join(_said(each) for each in difference)
    action, *what = difference
    names = [str(getattr(each, "name", each)) for each in what if each is not None]
    return f"{str(action).replace('_', ' ')} {' '.join(names[:4])}"
