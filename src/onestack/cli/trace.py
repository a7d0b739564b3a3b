"""`onestack trace`: what one request did, as a tree with times."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from onestack.cli import client, output
from onestack.cli import folder as folders
from onestack.cli.errors import Failure

NAME_WIDTH = 100


@click.command()
@click.argument("request_id")
@folders.data_option
@output.output_option
def command(request_id: str, data: Path | None, form: str) -> None:
    """Show what one request did, with times.

    REQUEST_ID is the X-Openstack-Request-Id of an answer (it is in the log, too), or the id of a
    resource. A running cloud keeps the newest traces.
    """
    folder = folders.chosen(data)
    server = client.running(folder)
    token = client.admin_token(server, folder)
    try:
        address = f"{server.url}/onestack/v1/traces/{quote(request_id, safe='')}"
        traces = client.get(address, token)["traces"]
    except client.Refused as error:
        if error.status != 404:
            raise
        raise Failure(
            f"no trace of {request_id} is kept",
            why="a cloud keeps its newest traces, until it stops",
            next_step=f"find a newer request: onestack logs{folder.option}",
        ) from None
    if form == "json":
        output.document(traces)
        return
    for each in traces:
        _show(each)


def _show(trace: dict[str, Any]) -> None:
    from datetime import UTC, datetime

    began = datetime.fromtimestamp(trace["began_at"], UTC).isoformat(timespec="milliseconds")
    click.echo(f"{trace['request_id']}  {began.removesuffix('+00:00')}Z")
    click.echo(f"{'at':>10}  {'took':>10}")
    for span in trace["spans"]:
        click.echo(_line(span))
    if trace.get("dropped"):
        click.echo(f"{'':>10}  {'':>10}  and {trace['dropped']} more that were not kept")


def _line(span: dict[str, Any]) -> str:
    took = span["duration_s"]
    times = f"{_ms(span['start_s']):>10}  {'running' if took is None else _ms(took):>10}"
    name = output.printable(f"{span['kind']} {span['name']}")
    if len(name) > NAME_WIDTH:
        name = f"{name[: NAME_WIDTH - 3]}..."
    error = f"  {output.coloured('error: ' + span['error'], 'fail')}" if span["error"] else ""
    return f"{times}  {'  ' * span['depth']}{name}{error}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3f} ms"
