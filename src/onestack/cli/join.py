"""`onestack join`: let a host work for a cloud; and, at the cloud, the line that does it."""

import base64
import json
import os
import socket
from pathlib import Path
from typing import Any

import click

from onestack.cli import client, logs, process, settings
from onestack.cli import folder as folders
from onestack.cli.accounts import write_private
from onestack.cli.errors import Failure
from onestack.cli.folder import Folder
from onestack.cli.output import program_name
from onestack.core import clock

PATIENCE_S = 120.0
POLL_S = 0.05
KNOWN = "the control plane knows this agent"
METADATA = "metadata"


@click.command()
@click.argument("ticket", required=False)
@click.option("--print", "prints", is_flag=True, help="At the cloud: print the line for a host.")
@click.option("--url", help="With --print: where hosts reach the cloud.  [default: its address]")
@click.option("--host", help="What the cloud calls this host.  [default: the host's name]")
@click.option("--tunnel-address", help="The address that other hosts reach this one at.")
@click.option(
    "--physical-network",
    "physical",
    multiple=True,
    metavar="NAME:BRIDGE",
    help="A network outside, and the bridge by which this host is on it; may be given several "
    "times.  [default: `public`, which ends at this host]",
)
@click.option(
    "--drivers", type=click.Choice(["auto", "real", "simulated"]), default="auto", show_default=True
)
@folders.data_option
def command(  # noqa: PLR0913, PLR0917 - click gives each option by its name
    ticket: str | None, prints: bool, url: str | None, host: str | None,
    tunnel_address: str | None, physical: tuple[str, ...], drivers: str, data: Path | None,
) -> None:  # fmt: skip
    """Let this host run servers, networks and volumes for a cloud.

    At the cloud, `onestack join --print` prints the line that is run on the new host. It holds
    secrets of the cloud: treat it like a password. `onestack down` on the host ends its work.
    """
    if prints:
        folder = folders.chosen(data)
        click.echo(f"onestack join {_ticket(folder, url)}")
        return
    if ticket is None:
        raise click.UsageError("Missing TICKET; the cloud's `onestack join --print` gives it.")
    folder = folders.of(data)
    folder.create()
    agent = {
        "host": host or socket.gethostname(),
        "tunnel_address": tunnel_address or _own_address(),
        "drivers": drivers,
        "physical_networks": list(physical),
    }
    _settle(folder, _read(ticket), agent)
    if drivers != "simulated" and os.geteuid() == 0:
        _provide_guest()
    _start(folder, str(agent["host"]))


def _ticket(folder: Folder, url: str | None) -> str:
    """What a host must know of this cloud."""
    from onestack import main
    from onestack.core import seal

    chosen = settings.read(folder).get(main.CloudSettings)
    if chosen.bus == "local":
        raise Failure(
            "this cloud has no message broker, so no other host can join it",
            next_step=f'set bus = "amqp://..." under [cloud] in {folder.settings}, then restart it',
        )
    secret = seal.of_file(folder.keys / "cloud").derive(METADATA).key
    known = {
        "bus": chosen.bus,
        "url": url or chosen.internal_url or client.running(folder).url,
        "metadata": base64.b64encode(secret).decode(),
    }
    return base64.urlsafe_b64encode(json.dumps(known).encode()).decode()


def _read(ticket: str) -> dict[str, Any]:
    try:
        known = json.loads(base64.urlsafe_b64decode(ticket))
        return {name: str(known[name]) for name in ("bus", "url", "metadata")}
    except (ValueError, LookupError, TypeError):
        raise Failure(
            "this is no ticket of a cloud", next_step="at the cloud: onestack join --print"
        ) from None


def _settle(folder: Folder, known: dict[str, Any], agent: dict[str, Any]) -> None:
    """Write down what the agent must know; only its owner may read it."""
    folder.keys.mkdir(mode=0o700, exist_ok=True)
    secret = folder.keys / METADATA
    secret.touch(mode=0o600)
    secret.write_bytes(base64.b64decode(known["metadata"]))
    lines = ["[cloud]", f"bus = {json.dumps(known['bus'])}"]
    lines += ["", "[agent]", *(f"{name} = {json.dumps(text)}" for name, text in agent.items())]
    lines += [f"control_url = {json.dumps(known['url'])}"]
    write_private(folder.settings, "\n".join(lines) + "\n")


def _provide_guest() -> None:
    """Whether this host's KVM runs guests is found out with one."""
    from onestack.cli import guest

    why = guest.provide()
    if why:
        click.echo(f"warning: guests run without KVM here: {why}", err=True)


def _start(folder: Folder, host: str) -> None:
    if process.servers(folder):
        raise Failure(
            f"an agent runs on {folder.path} already", next_step=f"onestack down{folder.option}"
        )
    child, at = process.start(folder, ["--role", "agent"])
    deadline = clock.monotonic() + PATIENCE_S
    while clock.monotonic() < deadline:
        said = folder.log.read_bytes()[at:].decode(errors="replace")
        if KNOWN in said:
            click.echo(f"{host} works for the cloud (pid {child.pid}); to end that: "
                       f"{program_name()} down{folder.option}")  # fmt: skip
            return
        if child.poll() is not None:
            break
        clock.sleep(POLL_S)
    child.terminate()
    lines = logs.last(folder.log, 5, logs.Wanted(level="warning"))
    why = "\n       ".join(logs.pretty(line) for line in lines)
    raise Failure(
        "the agent did not reach the cloud", why=why or "the log says nothing",
        next_step=f"onestack logs{folder.option}",
    )  # fmt: skip


def _own_address() -> str:
    """The address that this host has towards others, found without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
