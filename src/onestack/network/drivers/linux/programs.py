"""Programs that go on without us: started, known again after a restart, and ended."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec

from onestack.core import clock, shell
from onestack.core.shell_host import Daemon
from onestack.network.drivers.linux.namespaces import Namespace
from onestack.network.drivers.linux.store import write

BEGINS_S, POLL_S, PATIENCE_S = 2.0, 0.005, 2.0


class Note(msgspec.Struct, frozen=True):
    """What is kept of a program that was started."""

    pid: int
    started_ticks: int
    boot_id: str
    argv: list[str]


class Program:
    """One program, whose note and log are in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._note, self._log = folder / f"{name}.process", folder / f"{name}.log"

    def is_running(self) -> bool:
        note = self._read()
        return note is not None and shell.is_alive(_daemon(note))

    def start(self, argv: Sequence[str], namespace: Namespace) -> None:
        """Start it in a namespace, in the place of one that may be running."""
        self.stop()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._log.unlink(missing_ok=True)  # what the last one said matters no more
        daemon = namespace.run(lambda: shell.spawn(argv, log_path=self._log))
        note = Note(daemon.pid, daemon.started_ticks, daemon.boot_id, list(argv))
        write(self._note, msgspec.json.encode(note))

    def read_again(self) -> None:
        """Have it read its files again."""
        note = self._read()
        if note is not None and shell.is_alive(_daemon(note)):
            until = clock.monotonic() + BEGINS_S
            while not _listens(note.pid) and clock.monotonic() < until:
                clock.sleep(POLL_S)  # one that has just begun would end of the signal
            os.kill(note.pid, signal.SIGHUP)

    def stop(self) -> None:
        """End it, noted or not."""
        note = self._read()
        if note is not None:
            shell.stop(_daemon(note), PATIENCE_S)
        shell.stop_spawned(self._log, PATIENCE_S)
        self._note.unlink(missing_ok=True)

    def _read(self) -> Note | None:
        try:
            return msgspec.json.decode(self._note.read_bytes(), type=Note)
        except (FileNotFoundError, msgspec.DecodeError):
            return None


def _listens(pid: int) -> bool:
    """Whether a program has said what it does when it is told to read again."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, mask = line.partition(":")
        if name == "SigCgt":
            return bool(int(mask, 16) >> (signal.SIGHUP - 1) & 1)
    return False


def _daemon(note: Note) -> Daemon:
    return Daemon(note.pid, note.started_ticks, note.boot_id)
