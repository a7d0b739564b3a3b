"""A server's process: started as the user it wants, waited for, and ended by its id."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

STOP_S = 10.0


class ServerFailed(RuntimeError):
    """A server did not come up; the text holds the end of its log."""


class Folder:
    """A temporary folder that belongs to a server's user."""

    def __init__(self, name: str, user: str) -> None:
        # Not below pytest's own folder: others than its owner may not enter that one.
        self.path = Path(tempfile.mkdtemp(prefix=f"onestack-{name}-", dir="/tmp"))
        self.user = user_of(user)
        self.own(self.path)

    def file(self, name: str, text: str) -> Path:
        path = self.path / name
        path.write_text(text)
        path.chmod(0o600)
        self.own(path)
        return path

    def folder(self, name: str) -> Path:
        path = self.path / name
        path.mkdir(mode=0o700)
        self.own(path)
        return path

    def own(self, path: Path) -> None:
        if self.user is not None:
            shutil.chown(path, self.user)

    def remove(self) -> None:
        shutil.rmtree(self.path)


class Process:
    """One process, whose output is kept in a file."""

    def __init__(
        self,
        command: Sequence[str | Path],
        folder: Folder,
        environ: Mapping[str, str] | None = None,
        stop_signal: int = signal.SIGTERM,
    ) -> None:
        self.command = [*_as_user(folder.user), *map(str, command)]
        self.name = Path(str(command[0])).name
        self.folder = folder
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(folder.path), **(environ or {})}
        self.stop_signal = stop_signal
        self.log = folder.path / f"{self.name}.log"
        self.running: subprocess.Popen[bytes] | None = None

    def start(self, is_ready: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Start it and return once it is ready."""
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.command, cwd=self.folder.path, env=self.environ, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + timeout_s
        while not is_ready():
            if self.running.poll() is not None or time.monotonic() > deadline:
                self.kill()
                output = self.log.read_text(errors="replace")[-2000:]
                raise ServerFailed(f"{self.name} did not start:\n{output}")
            time.sleep(0.03)

    def run(self, timeout_s: float = 60.0) -> None:
        """Run it to its end."""
        result = subprocess.run(
            self.command, cwd=self.folder.path, env=self.environ, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip
        if result.returncode != 0:
            output = (result.stdout + result.stderr)[-2000:]
            raise ServerFailed(f"{self.name} failed with {result.returncode}:\n{output}")

    def stop(self) -> None:
        """Ask it to end, and see to it."""
        if self.running is None:
            return
        self.running.send_signal(self.stop_signal)
        try:
            self.running.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()
        self.running = None

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.running is not None:
            self.running.kill()
            self.running.wait()
        self.running = None


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def answers(port: int, greeting: bytes = b"", size: int = 0, expected: bytes = b"") -> bool:
    """Whether a server listens and, when greeted, answers with what is expected."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(greeting)
            return not size or connection.recv(size) == expected
    except OSError:
        return False


def user_of(name: str) -> str | None:
    """The user to become: Debian's own of that server, when we are root and it exists."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(name).pw_name
    except KeyError:
        return None


def _as_user(user: str | None) -> list[str]:
    # The servers end with the test run, even when that is killed.
    command = ["setpriv", "--pdeathsig", "KILL"]
    if user is not None:
        command += [f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups"]
    return [*command, "--"]
