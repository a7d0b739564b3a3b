"""`onestack ssh`: a shell on a server, or one command on it."""

from pathlib import Path

import click

from onestack.cli import folder as folders
from onestack.cli import rest, ssh_access


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("words", nargs=-1, metavar="[-- COMMAND...]")
@folders.data_option
def command(name: str, words: tuple[str, ...], data: Path | None) -> None:
    """Open a shell on a server, or run one command there.

    NAME is a server's name or id. It signs in with the key that `onestack launch` gave it.
    """
    session = rest.signed_in(data)
    server = session.server_named(name)
    ssh_access.execute(ssh_access.command(session, server, words))
