"""The data folder: everything that one cloud keeps, and which folder a command means."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from onestack.cli.errors import Failure, NotRunning

EPHEMERAL_PREFIX = "onestack-"

Command = Callable[..., Any]


@dataclass(frozen=True)
class Folder:
    """One cloud's data folder, by its absolute path."""

    path: Path

    @property
    def settings(self) -> Path:
        return self.path / "onestack.toml"

    @property
    def policy(self) -> Path:
        return self.path / "policy.yaml"

    @property
    def log(self) -> Path:
        return self.path / "logs" / "onestack.log"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def admin(self) -> Path:
        return self.path / "admin.json"

    @property
    def clouds(self) -> Path:
        """A clouds.yaml with nothing but this cloud in it."""
        return self.path / "clouds.yaml"

    @property
    def address(self) -> Path:
        """Where the cloud listened last: the catalogue's addresses should outlive a restart."""
        return self.run / "address"

    @property
    def ephemeral_mark(self) -> Path:
        return self.run / "ephemeral"

    @property
    def furnished(self) -> Path:
        """There when the server has made what a new cloud has, or could not."""
        return self.run / "furnished"

    @property
    def is_ephemeral(self) -> bool:
        return self.ephemeral_mark.exists()

    @cached_property
    def option(self) -> str:
        """How to name this folder to another command: nothing when it is the usual one."""
        return "" if self.path == default_path() else f" --data {self.path}"

    def create(self, ephemeral: bool = False) -> None:
        """Make the folder and what this command needs inside, closed to others."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if ephemeral and any(self.path.iterdir()):
                raise Failure(
                    f"{self.path} is not empty, so it cannot be an ephemeral cloud's folder",
                    why="an ephemeral cloud's folder is deleted when the cloud stops",
                    next_step="leave --data out, or name a folder that does not exist yet",
                )
            for part in (self.run, self.log.parent):
                part.mkdir(mode=0o700, exist_ok=True)
            if ephemeral:
                self.ephemeral_mark.touch()
        except OSError as error:
            raise Failure(
                f"the data folder {self.path} cannot be used",
                why=error.strerror or str(error),
                next_step="name a folder of your own: onestack up --data DIR",
            ) from None

    def remove_if_ephemeral(self) -> bool:
        """Delete the folder when it was meant to be thrown away."""
        if not self.is_ephemeral:
            return False
        shutil.rmtree(self.path, ignore_errors=True)
        return True

    def credentials(self) -> dict[str, Any]:
        """What the bootstrap wrote about the administrator and the member."""
        try:
            content: dict[str, Any] = json.loads(self.admin.read_text())
        except FileNotFoundError:
            raise NotRunning(
                f"there is no cloud in {self.path} yet",
                next_step=f"onestack up{self.option}",
            ) from None
        except (OSError, ValueError) as error:
            raise Failure(f"{self.admin} cannot be read", why=str(error)) from None
        return content


def default_path() -> Path:
    """Where a cloud lives when nobody says otherwise."""
    if os.environ.get("ONESTACK_DATA"):
        return Path(os.environ["ONESTACK_DATA"]).absolute()
    named = os.environ.get("XDG_DATA_HOME")
    usual = Path("/var/lib") if os.geteuid() == 0 else Path.home() / ".local" / "share"
    return Path(named or usual) / "onestack"


def of(data: Path | None) -> Folder:
    """The folder that `--data` names, or the usual one."""
    return Folder((data or default_path()).resolve())


def temporary() -> Folder:
    """A fresh folder for an ephemeral cloud."""
    return Folder(Path(tempfile.mkdtemp(prefix=EPHEMERAL_PREFIX)).resolve())


def ephemerals() -> list[Folder]:
    """The folders of this user's ephemeral clouds, oldest first."""
    found = []
    for path in Path(tempfile.gettempdir()).glob(f"{EPHEMERAL_PREFIX}*"):
        folder = Folder(path.resolve())
        try:
            if not path.is_symlink() and path.stat().st_uid == os.geteuid() and folder.is_ephemeral:
                found.append((path.stat().st_mtime, folder))
        except OSError:
            continue
    return [folder for _, folder in sorted(found, key=lambda pair: pair[0])]


def chosen(data: Path | None) -> Folder:
    """The folder that a command means: named, the usual one, or the only ephemeral one."""
    usual = of(data)
    if data is not None or os.environ.get("ONESTACK_DATA") or usual.admin.exists():
        return usual
    others = ephemerals()
    if len(others) > 1:
        choices = "\n".join(f"       --data {folder.path}" for folder in others)
        raise Failure(
            f"{len(others)} ephemeral clouds exist",
            next_step=f"say which one is meant:\n{choices}",
        )
    return others[0] if others else usual


def data_option(command: Command) -> Command:
    """Give a verb the option --data."""
    return click.option(
        "--data", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
        help="The cloud's data folder (default: $ONESTACK_DATA, or /var/lib/onestack for root, "
        "or ~/.local/share/onestack).",
    )(command)  # fmt: skip
