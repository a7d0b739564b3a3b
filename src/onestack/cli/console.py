"""`onestack console`: what a server writes to its console, or the address of its screen."""

from pathlib import Path

import click

from onestack.cli import folder as folders
from onestack.cli import rest
from onestack.core import clock

PAUSE_S = 1.0


@click.command()
@click.argument("name")
@click.option("--lines", type=click.IntRange(1), default=100, show_default=True)
@click.option("--follow", is_flag=True, help="Go on showing what comes; Ctrl-C ends it.")
@click.option("--url", "wants_url", is_flag=True, help="Print an address for a browser instead.")
@folders.data_option
def command(name: str, lines: int, follow: bool, wants_url: bool, data: Path | None) -> None:
    """Show what a server writes to its console.

    With --url it prints the address of the server's screen, which is good for one visit.
    """
    session = rest.signed_in(data)
    server_id = session.server_named(name)["id"]
    if wants_url:
        wanted = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        path = f"/servers/{server_id}/remote-consoles"
        click.echo(session.post("compute", path, wanted)["remote_console"]["url"])
        return
    shown = _output(session, server_id, lines)
    click.echo(shown, nl=not shown.endswith("\n"))
    while follow:
        clock.sleep(PAUSE_S)
        now = _output(session, server_id, None)
        at = now.rfind(shown[-200:]) if shown else -1
        click.echo(now[at + len(shown[-200:]) :] if at >= 0 else now, nl=False)
        shown = now


def _output(session: rest.Rest, server_id: str, lines: int | None) -> str:
    wanted = {"os-getConsoleOutput": {"length": lines}}
    answer = session.post("compute", f"/servers/{server_id}/action", wanted)
    return str(answer["output"])
