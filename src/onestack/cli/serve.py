"""`onestack serve`: the server itself, in the foreground."""

import gc
import signal
import sys
from pathlib import Path

import click

from onestack.cli import folder as folders
from onestack.cli import ports, process

# Long lists make many objects and no circles: looking for these that often would cost a third.
COLLECTED = (50_000, 20, 50)


@click.command()
@folders.data_option
@click.option("--listen", default=ports.DEFAULT_LISTEN, show_default=True, metavar="ADDRESS")
@click.option("--port", default=ports.DEFAULT_PORT, show_default=True, type=ports.PORT)
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(process.ROLES),
    help="Run this role only; may be given several times.  [default: all]",
)
@click.option("--parent", type=int, hidden=True)
def command(
    data: Path | None, listen: str, port: int, roles: tuple[str, ...], parent: int | None
) -> None:
    """Run a cloud, or some of its roles, in the foreground.

    It logs to standard error and stops on SIGTERM or Ctrl-C. `onestack up` starts it in the
    background; a service manager runs it like this.
    """
    # Whoever handles the signal while the server runs gives it back to us at its end.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    if parent is not None:
        process.end_with(parent)
    folder = folders.of(data)
    folder.create()
    chosen = tuple(role for role in process.ROLES if role in roles) or process.ROLES
    with process.registered(folder, listen, port, chosen):
        try:
            if "api" in chosen:
                ports.check(listen, port)
            gc.disable()  # nothing of what is imported ever becomes garbage
            from onestack import main

            gc.freeze()
            gc.set_threshold(*COLLECTED)
            gc.enable()
            ephemeral = folder.is_ephemeral
            main.serve(folder.path, listen=listen, port=port, roles=chosen, ephemeral=ephemeral)
        finally:
            folder.remove_if_ephemeral()
