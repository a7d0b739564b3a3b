"""The real command, run by its own interpreter in a home of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE_S = 120
CHEAP = {
    "ONESTACK_IDENTITY_PASSWORD_HASH_ROUNDS": "4",
    "ONESTACK_AGENT_DRIVERS": "simulated",
}


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Shell:
    """A user: a home folder, and commands run from it."""

    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OS_", "ONESTACK_", "XDG_"))
        }
        temporary = self.home / "tmp"
        temporary.mkdir(exist_ok=True)
        data = self.home / ".local" / "share"  # root's usual folder is everybody's on this host
        return {**kept, **CHEAP, "HOME": str(self.home), "TMPDIR": str(temporary),
                "XDG_DATA_HOME": str(data), **self.variables}  # fmt: skip

    def run(self, *words: object, **variables: str) -> Said:
        """Run `onestack WORDS...` to its end."""
        done = subprocess.run(
            command(*words), env={**self.environ, **variables}, cwd=self.home, text=True,
            capture_output=True, timeout=PATIENCE_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Said(done.returncode, done.stdout, done.stderr)

    def good(self, *words: object, **variables: str) -> Said:
        """Run a command that must succeed."""
        said = self.run(*words, **variables)
        assert said.code == 0, said
        return said

    def start(self, *words: object) -> "subprocess.Popen[str]":
        """Start a command that stays, and that Ctrl-C ends wherever the tests were started."""
        return subprocess.Popen(
            ["env", "--default-signal=INT", *command(*words)], env=self.environ, cwd=self.home,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    @property
    def clouds_yaml(self) -> Path:
        return self.home / ".config" / "openstack" / "clouds.yaml"


def command(*words: object) -> list[str]:
    """The command line of `onestack WORDS...`."""
    return [sys.executable, "-P", "-m", "onestack.cli", *map(str, words)]


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def kill(pid: int) -> None:
    """End a process the way a power cut does."""
    os.kill(pid, signal.SIGKILL)


def entries(path: Path) -> Mapping[str, Any]:
    """The clouds in a clouds.yaml, as a client reads them."""
    import yaml

    found: Mapping[str, Any] = yaml.safe_load(path.read_text())["clouds"]
    return found
