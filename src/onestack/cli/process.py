"""Server processes: started, recognised and stopped without ever touching a stranger's process."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from onestack.cli.errors import Failure
from onestack.cli.folder import Folder

ROLES = ("api", "worker", "agent")
PID_FILE = "onestack.pid"
LOG_BYTES_MAX = 64 << 20
STOP_PATIENCE_S = 15.0
KILL_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Server:
    """A server process that is alive and is the one that wrote its pid file."""

    pid: int
    listen: str
    port: int
    roles: tuple[str, ...]
    pid_file: Path

    @property
    def url(self) -> str:
        return address(self.listen, self.port)


@dataclass(frozen=True)
class Usage:
    """What a process uses of its machine."""

    uptime_s: float
    memory_mb: float


def address(listen: str, port: int) -> str:
    """Where a client on this host reaches what listens there."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen, listen)  # noqa: S104 - compared only
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def start(
    folder: Folder, arguments: list[str], dies_with_us: bool = False
) -> tuple["subprocess.Popen[bytes]", int]:
    """Start a server that writes into the folder's log; the process, and where its lines begin."""
    # -P: the folder one happens to stand in must not supply Python modules to the server.
    command = [sys.executable, "-P", "-m", "onestack.cli", "serve", "--data", str(folder.path)]
    if dies_with_us:
        arguments = [*arguments, "--parent", str(os.getpid())]
    if folder.log.exists() and folder.log.stat().st_size > LOG_BYTES_MAX:
        folder.log.replace(folder.log.with_suffix(".log.1"))
    with open(os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
        child = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # closing the terminal does not end it
            cwd="/",
        )
        return child, log.seek(0, os.SEEK_END)


@contextmanager
def registered(folder: Folder, listen: str, port: int, roles: tuple[str, ...]) -> Iterator[None]:
    """Be this folder's server within the block; a second one for the same roles is refused."""
    path = folder.run / (PID_FILE if roles == ROLES else f"onestack-{'-'.join(roles)}.pid")
    with _locked(path, folder) as file:
        if "api" in roles:
            folder.address.write_text(f"{listen} {port}\n")
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def servers(folder: Folder) -> list[Server]:
    """The servers that run on a folder; what a crash left behind is not one."""
    found = (_read(path, folder) for path in sorted(folder.run.glob("onestack*.pid")))
    return [server for server in found if server is not None]


def api_server(folder: Folder) -> Server | None:
    """The server that answers HTTP for a folder."""
    return next((server for server in servers(folder) if "api" in server.roles), None)


def stop(server: Server) -> bool:
    """End a server, kindly at first; whether it had to be killed."""
    try:
        handle = os.pidfd_open(server.pid)
    except ProcessLookupError:
        return False
    try:
        # The handle pins the process: if the pid is still the server's now, it stays so.
        if _lock_holder(server.pid_file) != server.pid:
            return False
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        if _ended(handle, STOP_PATIENCE_S):
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        _ended(handle, KILL_PATIENCE_S)
        return True
    finally:
        os.close(handle)


def usage(server: Server) -> Usage | None:
    """Uptime and memory; nothing when the process ended meanwhile."""
    process = Path(f"/proc/{server.pid}")
    with suppress(OSError, ValueError, LookupError):
        up_s = float(Path("/proc/uptime").read_text().split()[0])
        began_ticks = int((process / "stat").read_text().rpartition(")")[2].split()[19])
        lines = (process / "status").read_text().splitlines()
        resident_kb = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
        uptime_s = up_s - began_ticks / os.sysconf("SC_CLK_TCK")
        return Usage(round(uptime_s, 2), round(resident_kb / 1024, 1))
    return None


def end_with(parent: int) -> None:
    """Let the kernel end this process when its parent dies, however that happens."""
    import ctypes

    set_parent_death_signal = 1
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(0)


def _locked(path: Path, folder: Folder) -> IO[str]:
    while True:
        file = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")  # noqa: SIM115 - returned
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                return file
        except BlockingIOError:
            file.close()
            raise Failure(
                f"a server runs on {folder.path} already",
                next_step=f"onestack status{folder.option}",
            ) from None
        except FileNotFoundError:
            pass
        # A server that ended just now took the file away between our opening and locking it.
        file.close()


def _read(path: Path, folder: Folder) -> Server | None:
    holder = _lock_holder(path)
    with suppress(OSError, ValueError):
        if int(path.read_text()) == holder:
            listen, port = _address(folder) if "api" in _roles_of(path) else ("", 0)
            return Server(holder, listen, port, _roles_of(path), path)
    return None


def _address(folder: Folder) -> tuple[str, int]:
    listen, port = folder.address.read_text().split()
    return listen, int(port)


def _roles_of(path: Path) -> tuple[str, ...]:
    return tuple(path.stem.split("-")[1:]) or ROLES


def _lock_holder(path: Path) -> int | None:
    """The process that holds a pid file's lock, as the kernel knows it.

    A lock ends with its process, so neither a crash nor a pid used again can mislead.
    """
    form = "hhqqi"  # struct flock: type, whence, start, length, pid
    try:
        with path.open() as file:
            asked = struct.pack(form, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(form, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except OSError:
        return None
    return None if kind == fcntl.F_UNLCK else int(pid)


def _ended(handle: int, patience_s: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(int(patience_s * 1000)))
