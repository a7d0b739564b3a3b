"""Drive a cloud's identity with the real `openstack` command and compare what it prints.

python tests/acceptance/openstack_client.py --cloud onestack-admin
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

import environment
import openstack_commands

import cloud

# The commands of OAuth need oauthlib, which the client does not ask for.
REQUIREMENT = "python-openstackclient==10.* oauthlib"
COMMAND_LIMIT_S = 60


class WrongAnswer(AssertionError):
    """A command did something else than it should."""


@dataclass
class Client:
    """Runs commands as one account, notes them, and undoes what they made."""

    program: str
    variables: Mapping[str, str]
    folder: Path
    commands: set[str] = field(default_factory=set)
    runs: int = 0
    _undo: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def show(self, command: str, *words: str) -> dict[str, Any]:
        """What a command that prints one thing says."""
        return dict(json.loads(self._succeed(command, *words, "-f", "json")))

    def rows(self, command: str, *words: str) -> list[dict[str, Any]]:
        """What a command that prints a table says."""
        return list(json.loads(self._succeed(command, *words, "-f", "json")))

    def do(self, command: str, *words: str) -> str:
        """Run a command that prints nothing of use."""
        return self._succeed(command, *words)

    def attempt(self, command: str, *words: str) -> None:
        """Run a command whose exit status says nothing; the caller looks at what it did."""
        self._run(command, *words)
        self.commands.add(command)

    def refused(self, command: str, *words: str) -> str:
        """What a command that must fail says."""
        done = self._run(command, *words)
        if done.returncode == 0:
            raise WrongAnswer(f"{command} {' '.join(words)} should have been refused")
        return done.stderr

    def later(self, command: str, *words: str) -> None:
        """What to run at the end, last first; it may find its work done already."""
        self._undo.append((command, words))

    def clean(self) -> None:
        """Remove all that was made."""
        while self._undo:
            command, words = self._undo.pop()
            self._run(command, *words)

    def as_account(self, **variables: str) -> "Client":
        """The same program for somebody else; its commands count here too."""
        kept = {
            name: value
            for name, value in self.variables.items()
            if name in {"OS_AUTH_URL", "OS_REGION_NAME", "OS_CACERT", "OS_IDENTITY_API_VERSION"}
        }
        return Client(self.program, {**kept, **variables}, self.folder, self.commands)

    def _succeed(self, command: str, *words: str) -> str:
        done = self._run(command, *words)
        if done.returncode != 0:
            raise WrongAnswer(f"{command} {' '.join(words)}: {done.stderr.strip()[-600:]}")
        self.commands.add(command)
        return done.stdout

    def _run(self, command: str, *words: str) -> subprocess.CompletedProcess[str]:
        self.runs += 1
        inherited = {name: value for name, value in os.environ.items() if name[:3] != "OS_"}
        return subprocess.run(
            [self.program, *command.split(), *words],
            env={**inherited, **self.variables, "OS_CLIENT_CONFIG_FILE": os.devnull},
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
            check=False,
        )


def run(client: Client, steps: Sequence[Callable[[Client], None]]) -> list[str]:
    """Run every step and clean up after each; what went wrong."""
    failures = []
    for step in steps:
        began = time.monotonic()
        try:
            step(client)
            print(f"passed  {step.__name__}  {time.monotonic() - began:.1f} s", flush=True)
        except (AssertionError, KeyError, ValueError, subprocess.TimeoutExpired) as error:
            said = f"{type(error).__name__}: {error}" + _place(error)
            failures.append(f"{step.__name__}: {said}")
            print(f"FAILED  {step.__name__}\n        {said}", flush=True)
        finally:
            client.clean()
    return failures


def main() -> int:
    """Run the scenario; the status says whether all of it holds."""
    parser = ArgumentParser(description=__doc__)
    cloud.add_arguments(parser)
    parser.add_argument("--client", help="an openstack command (default: install one)")
    parser.add_argument("--cache", type=Path, default=environment.cache_folder())
    parser.add_argument("--only", help="run only the steps whose name contains this")
    arguments = parser.parse_args()
    account = cloud.account_from_arguments(arguments)
    program = arguments.client
    if program is None:
        folder = environment.installed(arguments.cache, "openstack-client-10", REQUIREMENT)
        program = str(folder / "openstack")
    chosen = [
        step
        for step in openstack_commands.STEPS
        if arguments.only is None or arguments.only in step.__name__
    ]
    with tempfile.TemporaryDirectory(prefix="onestack-client-") as folder:
        client = Client(program, account.environment(), Path(folder))
        failures = run(client, chosen)
    print(
        f"\n{len(client.commands)} different commands succeeded in {client.runs} runs; "
        f"{len(chosen) - len(failures)} steps passed, {len(failures)} failed"
    )
    return 1 if failures else 0


def _place(error: BaseException) -> str:
    """Where in the scenario a bare assertion failed."""
    trace = error.__traceback__
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == openstack_commands.__file__:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (openstack_commands.py:{line})" if line else ""


if __name__ == "__main__":
    sys.exit(main())
