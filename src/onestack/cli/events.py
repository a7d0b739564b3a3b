"""`onestack events`: what happened in a cloud, and what is happening."""

from pathlib import Path
from typing import Any

import click

from onestack.cli import client, output
from onestack.cli import folder as folders
from onestack.core import clock

PAUSE_S = 0.5
COLUMNS = ("time", "name", "resource", "project_id", "request_id")


@click.command()
@click.option("--follow", is_flag=True, help="Go on showing what happens; Ctrl-C ends it.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--resource", help="Of this resource only, by its id.")
@folders.data_option
@output.output_option
def command(follow: bool, limit: int, resource: str | None, data: Path | None, form: str) -> None:
    """Show what happened in a cloud, oldest first."""
    folder = folders.chosen(data)
    server = client.running(folder)
    token = client.admin_token(server, folder)
    asked = f"&resource={resource}" if resource else ""
    address = f"{server.url}/onestack/v1/events"
    found = client.get(f"{address}?limit={limit}{asked}", token)["events"]
    output.rows([_row(each) for each in found], COLUMNS, form)
    last = found[-1]["position"] if found else 0
    while follow:
        clock.sleep(PAUSE_S)
        for each in client.get(f"{address}?after={last}&limit=1000{asked}", token)["events"]:
            last = each["position"]
            row = _row(each)
            click.echo("  ".join(output.printable(str(row[name] or "-")) for name in COLUMNS))


def _row(happened: dict[str, Any]) -> dict[str, Any]:
    return {**happened, "time": happened["emitted_at"]}
