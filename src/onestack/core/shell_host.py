"""The machine's own programs, as processes: run to their end, or left running."""

import contextlib
import os
import select
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec

OUTPUT_BYTES_MAX = 16 << 20
KILL_PATIENCE_S, PAUSE_S = 5.0, 5.0
MARK = "ONESTACK_SPAWNED_WITH"  # in the environment of what was spawned: its log
SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


class Result(msgspec.Struct, frozen=True):
    """How a program ended; a negative code is the signal that killed it."""

    stdout: bytes
    stderr: bytes
    code: int

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")


class Daemon(msgspec.Struct, frozen=True):
    """A program that goes on running: known by more than a number, which is used again."""

    pid: int
    started_ticks: int
    boot_id: str


class TooMuch(Exception):
    """A program wrote more than is kept of its output."""


def search_path() -> str:
    """Where programs are looked for: where we look, and where systems keep theirs."""
    own = os.environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(dict.fromkeys([*filter(None, own), *SYSTEM_PATH]))


class Host:
    """The machine's own programs."""

    def __init__(self) -> None:
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def run(
        self, argv: Sequence[str], input: bytes | None, timeout_s: float,  # noqa: A002
        environment: Mapping[str, str],
    ) -> Result:  # fmt: skip
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd="/",
            start_new_session=True,  # so that it can be killed with all that it started
        )
        with process:
            try:
                return _Conversation(process, input or b"", timeout_s).hold()
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise

    def spawn(self, argv: Sequence[str], log_path: Path, environment: Mapping[str, str]) -> Daemon:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with open(os.open(log_path, flags, 0o600), "ab") as file:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**environment, MARK: str(log_path.resolve())},
                cwd="/",
                start_new_session=True,
            )
        self._children[process.pid] = process
        return Daemon(process.pid, _started_ticks(process.pid) or 0, _boot_id())

    def spawned(self, log_path: Path) -> list[Daemon]:
        found, mark = [], os.fsencode(f"{MARK}={log_path.resolve()}\0")
        for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
            with contextlib.suppress(OSError):
                if os.getsid(pid) == pid and mark in Path(f"/proc/{pid}/environ").read_bytes():
                    found.append(Daemon(pid, _started_ticks(pid) or 0, _boot_id()))
        return found

    def is_alive(self, daemon: Daemon) -> bool:
        child = self._children.get(daemon.pid)
        if child is not None and child.poll() is not None:
            del self._children[daemon.pid]
        is_same = _started_ticks(daemon.pid) == daemon.started_ticks
        return is_same and daemon.boot_id == _boot_id()

    def stop(self, daemon: Daemon, patience_s: float) -> bool:
        try:
            handle = os.pidfd_open(daemon.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.is_alive(daemon):
                return False
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            if _ends(handle, patience_s):
                return False
            with contextlib.suppress(ProcessLookupError):
                os.killpg(daemon.pid, signal.SIGKILL)
            _ends(handle, KILL_PATIENCE_S)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
            self.is_alive(daemon)  # reaps it

    def pause(self, daemon: Daemon) -> None:
        self._signal(daemon, signal.SIGSTOP)
        until = time.monotonic() + PAUSE_S
        while self.is_alive(daemon) and _is_at_work(daemon.pid) and time.monotonic() < until:
            time.sleep(0.001)

    def resume(self, daemon: Daemon) -> None:
        self._signal(daemon, signal.SIGCONT)

    def _signal(self, daemon: Daemon, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(daemon.pid)
            try:
                if self.is_alive(daemon):
                    signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)

    def find(self, program: str) -> str | None:
        return shutil.which(program, path=search_path())


class _Conversation:
    """Gives a process its input and takes its output, until it ends or has had its time."""

    def __init__(self, process: "subprocess.Popen[bytes]", given: bytes, timeout_s: float) -> None:
        self.process, self.timeout_s = process, timeout_s
        self.until = time.monotonic() + timeout_s
        self.left = memoryview(given)
        self.taken = {process.stdout: bytearray(), process.stderr: bytearray()}
        self.selector = selectors.DefaultSelector()

    def hold(self) -> Result:
        process = self.process
        ended = os.pidfd_open(process.pid)
        try:
            self.selector.register(ended, selectors.EVENT_READ)
            for pipe in (process.stdout, process.stderr):
                self._open(pipe, selectors.EVENT_READ)
            self._open(process.stdin, selectors.EVENT_WRITE)
            while not self._turn(ended):
                pass
            # A program that it left running may hold the pipes: what they hold now is all.
            for pipe in self.taken:
                self._take(pipe)
        finally:
            self.selector.close()
            os.close(ended)
        stdout, stderr = (bytes(each) for each in self.taken.values())
        return Result(stdout, stderr, process.wait())

    def _open(self, pipe: IO[bytes] | None, event: int) -> None:
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)
            self.selector.register(pipe, event)

    def _turn(self, ended: int) -> bool:
        remaining_s = self.until - time.monotonic()
        if remaining_s <= 0:
            raise subprocess.TimeoutExpired(self.process.args, self.timeout_s)
        for key, _ in self.selector.select(remaining_s):
            if key.fileobj == ended:
                return True
            if key.fileobj is self.process.stdin:
                self._give()
            elif not self._take(key.fileobj):  # type: ignore[arg-type]
                self.selector.unregister(key.fileobj)
        return False

    def _give(self) -> None:
        pipe = self.process.stdin
        assert pipe is not None
        with contextlib.suppress(BrokenPipeError):
            self.left = self.left[os.write(pipe.fileno(), self.left[: 1 << 16]) :]
            if self.left:
                return
        self.selector.unregister(pipe)
        pipe.close()

    def _take(self, pipe: IO[bytes] | None) -> bool:
        """Take what is there; whether more may come."""
        assert pipe is not None
        kept = self.taken[pipe]
        while True:
            try:
                piece = os.read(pipe.fileno(), 1 << 16)
            except BlockingIOError:
                return True
            if not piece:
                return False
            kept += piece
            if len(kept) > OUTPUT_BYTES_MAX:
                raise TooMuch


def _ends(handle: int, within_s: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(max(within_s, 0) * 1000))


def _is_at_work(pid: int) -> bool:
    """Whether a thread of a program is not stopped yet."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            if (task / "stat").read_text().rpartition(")")[2].split()[0] not in "Tt":
                return True
    return False


def _started_ticks(pid: int) -> int | None:
    """When a living process started, in ticks since boot."""
    try:
        # The name in parentheses may itself hold spaces and parentheses.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
