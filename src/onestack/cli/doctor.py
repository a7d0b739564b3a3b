"""`onestack doctor`: everything that a cloud needs, checked, each with what mends it."""

from pathlib import Path

import click

from onestack.cli import checks, output
from onestack.cli import folder as folders
from onestack.cli.errors import Failure


@click.command()
@folders.data_option
@output.output_option
def command(data: Path | None, form: str) -> None:
    """Check what a cloud needs, and say how to mend what fails.

    Exit code 0 when nothing fails (warnings do not count), 1 otherwise.
    """
    folder = folders.chosen(data)
    found = []
    for check in checks.ALL:
        try:
            found.append(check(folder))
        except Failure as error:
            name = check.__name__.strip("_").replace("_", " ")
            why = f"{error.message}: {error.why}" if error.why else error.message
            found.append(checks.fail(name, why, error.next_step))
    rows = [
        {"check": each.name, "state": each.state, "finding": each.finding, "mend": each.mend}
        for each in found
    ]
    if form == "json":
        output.document(rows)
    else:
        output.rows(rows, ("check", "state", "finding"), "table")
        for each in found:
            if each.mend:
                click.echo(f"\n{each.name}: {each.mend}")
    if any(each.state == "fail" for each in found):
        raise SystemExit(1)
