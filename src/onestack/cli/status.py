"""`onestack status`: what runs, where it answers, and what of it is real."""

from pathlib import Path
from typing import Any

import click

from onestack.cli import client, output, process, settings
from onestack.cli import folder as folders
from onestack.cli.folder import Folder
from onestack.cli.process import Server


@click.command()
@folders.data_option
@output.output_option
def command(data: Path | None, form: str) -> None:
    """Show what runs, where it answers, and what is real.

    Exit code 0 when the cloud is healthy, 1 when it is not, 3 when it does not run.
    """
    folder = folders.chosen(data)
    server = client.running(folder)
    shown = _collect(folder, server)
    if form == "json":
        output.document(shown)
    else:
        _show(shown)
    if not shown["healthy"]:
        raise SystemExit(1)


def _collect(folder: Folder, server: Server) -> dict[str, Any]:
    healthy = client.is_healthy(server.url)
    states = client.get(f"{server.url}/healthz")["services"] if healthy else {}
    cloud = client.get(f"{server.url}/") if healthy else {"services": [], "drivers": []}
    return {
        "healthy": healthy,
        "url": server.url,
        "data": str(folder.path),
        "ephemeral": folder.is_ephemeral,
        "processes": [_process(each) for each in process.servers(folder)],
        "services": [
            {
                "name": each["name"],
                "type": each["type"],
                "version": each["version"],
                "url": f"{server.url}{each['path']}",
                "state": states.get(each["name"], "unknown"),
            }
            for each in cloud["services"]
        ],
        "engines": _engines(folder) + _drivers(cloud["drivers"]),
    }


def _process(server: Server) -> dict[str, Any]:
    used = process.usage(server)
    return {
        "pid": server.pid,
        "roles": list(server.roles),
        "uptime_s": used.uptime_s if used else None,
        "memory_mb": used.memory_mb if used else None,
    }


def _engines(folder: Folder) -> list[dict[str, str]]:
    """What stands behind the cloud, and whether it is the real thing."""
    from onestack.main import CloudSettings

    url = settings.database_url(folder)
    bus = settings.read(folder).get(CloudSettings).bus
    return [
        {"engine": "database", "driver": "SQLite" if url.startswith("sqlite") else "PostgreSQL",
         "state": "real"},
        {"engine": "bus", "driver": "local" if bus == "local" else "RabbitMQ", "state": "real"},
    ]  # fmt: skip


def _drivers(found: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What works for the cloud on its hosts."""
    return [
        {
            "engine": each["kind"],
            "driver": each["driver"],
            "state": "simulated" if each["driver"] == "simulated" else "real",
            "hosts": each["hosts"],
        }
        for each in found
    ]


def _show(shown: dict[str, Any]) -> None:
    state = ("healthy", "ok") if shown["healthy"] else ("not healthy: onestack logs", "fail")
    click.echo(f"{shown['url']} is {output.coloured(*state)}; data in {shown['data']}\n")
    processes = [
        {
            "pid": each["pid"],
            "roles": " ".join(each["roles"]),
            "uptime": "-" if each["uptime_s"] is None else output.duration(each["uptime_s"]),
            "memory": "-" if each["memory_mb"] is None else f"{each['memory_mb']:.0f} MB",
        }
        for each in shown["processes"]
    ]
    output.rows(processes, ("pid", "roles", "uptime", "memory"), "table")
    click.echo()
    output.rows(shown["services"], ("name", "type", "version", "url", "state"), "table")
    click.echo()
    output.rows(shown["engines"], ("engine", "driver", "state", "hosts"), "table")
