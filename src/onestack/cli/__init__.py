"""The onestack command: one file per verb, loaded when that verb is asked for."""

import os
import sys
from importlib import import_module

import click

from onestack.cli.errors import Failure

VERBS = {
    "up": "Start a cloud in the background and say how to use it.",
    "down": "Stop a cloud.",
    "launch": "Launch a server and wait until one can sign in to it.",
    "ssh": "Open a shell on a server, or run one command there.",
    "console": "Show what a server writes to its console.",
    "explain": "Say which hosts refused a server, and why.",
    "status": "Show what runs, where it answers, and what is real.",
    "doctor": "Check what a cloud needs, and say how to mend what fails.",
    "logs": "Show a cloud's log.",
    "serve": "Run a cloud, or some of its roles, in the foreground.",
    "db": "Look after the database's schema.",
    "policy": "Show who may do what.",
    "openapi": "Print a service's OpenAPI document.",
    "trace": "Show what one request did, with times.",
    "events": "Show what happened in a cloud, oldest first.",
    "join": "Let this host run servers, networks and volumes for a cloud.",
    "keys": "Look after the keys that encrypt tokens and secrets.",
    "version": "Show the version.",
}

EXIT_CODES = """\b
Exit codes:
  0    done (or there was nothing to do)
  1    it failed; the message says why and what to do next
  2    the command line is wrong
  3    the cloud is not running
  130  interrupted"""


class Verbs(click.Group):
    """Imports a verb only when it is used, so that --help is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        from onestack.cli import examples

        command: click.Command = import_module(f"onestack.cli.{cmd_name}").command
        command.epilog = examples.shown(cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.command(
    cls=Verbs, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}
)
def onestack() -> None:
    """OpenStack in one package: `onestack up` starts a cloud."""


def main() -> None:
    """Run the command line; every way out has its exit code."""
    try:
        sys.exit(onestack.main(prog_name="onestack", standalone_mode=False))
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if os.environ.get("ONESTACK_DEBUG") == "1":
            raise
        Failure(
            f"{type(error).__name__}: {error}" if str(error) else type(error).__name__,
            next_step="run it again with ONESTACK_DEBUG=1 to see where this comes from",
        ).show()
        sys.exit(1)
