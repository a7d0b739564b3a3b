"""`onestack down`: stop a cloud; what it keeps stays, unless it was ephemeral."""

import os
from pathlib import Path

import click

from onestack.cli import folder as folders
from onestack.cli import process
from onestack.cli.folder import Folder


@click.command()
@folders.data_option
@click.option("--all", "everything", is_flag=True, help="The usual cloud and all ephemeral ones.")
def command(data: Path | None, everything: bool) -> None:
    """Stop a cloud.

    Its data, and its entries in clouds.yaml, stay for the next `onestack up`. An ephemeral cloud's
    folder is deleted. Without --data it is the usual cloud, or the only ephemeral one.
    """
    if not everything:
        _stop(folders.chosen(data))
        return
    for folder in (folders.of(data), *folders.ephemerals()):
        _stop(folder)


def _stop(folder: Folder) -> None:
    running = process.servers(folder)
    is_ephemeral = folder.is_ephemeral
    for server in running:
        killed = process.stop(server)
        how = f"killed it after {process.STOP_PATIENCE_S:.0f} s" if killed else "stopped"
        click.echo(f"onestack on {folder.path} (pid {server.pid}): {how}")
    if (folder.run / "real").exists():
        from onestack import hosts

        hosts.take_down(folder.path, os.environ)
        click.echo(f"took down what ran on this host for {folder.path}")
    if is_ephemeral:
        folder.remove_if_ephemeral()  # the server did it, unless it was killed
        click.echo(f"deleted the ephemeral cloud's folder {folder.path}")
    elif not running:
        click.echo(f"no cloud runs on {folder.path}; nothing was changed.")
