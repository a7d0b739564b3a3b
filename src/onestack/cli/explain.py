"""`onestack explain`: why a server is where it is, or nowhere; and where one would go."""

from pathlib import Path
from typing import Any

import click

from onestack.cli import folder as folders
from onestack.cli import output, rest
from onestack.cli.errors import Failure

HOSTS_SHOWN = 50


@click.command()
@click.argument("server", required=False)
@click.option("--dry-run", is_flag=True, help="Say where a server would go now; nothing is made.")
@click.option("--flavor", help="With --dry-run: its name or id.")
@click.option("--image", help="With --dry-run: its id.")
@click.option("--host", help="With --dry-run: this host only.")
@folders.data_option
@output.output_option
def command(  # noqa: PLR0913, PLR0917 - click gives each option by its name
    server: str | None, dry_run: bool, flavor: str | None, image: str | None,
    host: str | None, data: Path | None, form: str,
) -> None:  # fmt: skip
    """Say which hosts refused a server, and why.

    SERVER is a server's id, or its name in the project demo. What was decided is kept for a week.
    """
    session = rest.signed_in(data, rest.ADMIN)
    if dry_run:
        if flavor is None:
            raise click.UsageError("--dry-run needs --flavor.")
        wanted = {"flavorRef": _flavor(session, flavor), "imageRef": image, "host": host}
        found = [session.post("compute", "/onestack/explain", wanted)["decision"]]
    elif server is None:
        raise click.UsageError("Missing SERVER, or --dry-run --flavor FLAVOR.")
    else:
        found = session.get("compute", f"/onestack/explain/{_server(session, server)}")["decisions"]
    if form == "json":
        output.document(found)
        return
    for each in found:
        _show(each)


def _server(session: rest.Rest, name: str) -> str:
    """A server's id; the administrator may ask about those of all projects."""
    found = session.get("compute", "/servers", name=f"^{name}$", all_tenants="1")["servers"]
    if len(found) > 1:
        choices = "\n".join(f"       {each['id']}" for each in found)
        raise Failure(f"{len(found)} servers are called {name}", next_step=f"name one:\n{choices}")
    return str(found[0]["id"]) if found else name


def _flavor(session: rest.Rest, wanted: str) -> str:
    found = session.get("compute", "/flavors/detail", is_public="None")["flavors"]
    known = [each["id"] for each in found if wanted in (each["id"], each["name"])]
    if not known:
        raise Failure(f"there is no flavor {wanted}", next_step="openstack flavor list")
    return str(known[0])


def _show(decision: dict[str, Any]) -> None:
    if decision["decided_at"]:
        click.echo(f"{decision['decided_at']}  {decision['request_id']}")
    state = "ok" if decision["succeeded"] else "fail"
    where = f"host {decision['host']}" if decision["host"] else decision["reason"]
    click.echo(output.coloured(where, state))
    wanted = ", ".join(f"{name}={each}" for name, each in decision["wanted"].items() if each)
    click.echo(f"wanted: {wanted}; {decision['considered']} hosts were looked at")
    for name, count in decision["refused"].items():
        click.echo(f"  {name} refused {count}")
    rows = [
        {"host": host, "verdict": "; ".join(f"{name}: {why}" for name, why in verdict.items())}
        for host, verdict in list(decision["hosts"].items())[:HOSTS_SHOWN]
    ]
    if rows:
        output.rows(rows, ("host", "verdict"), "table")
    if decision["closest"]:
        told = ", ".join(f"{name}={each}" for name, each in decision["closest"].items())
        click.echo(f"closest: {told}")
    click.echo()
