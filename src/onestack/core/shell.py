"""Host programs: the only door to them; arguments are lists, and never pass through a shell."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from onestack.core import log, trace
from onestack.core.shell_host import (
    OUTPUT_BYTES_MAX,
    Daemon,
    Host,
    Result,
    TooMuch,
    search_path,
)

__all__ = (
    "CommandFailed", "Daemon", "Limits", "OutputTooLarge", "ProgramMissing", "Result", "Secret",
    "Simulated", "TimedOut", "find", "is_alive", "run", "spawn", "stop", "stop_spawned", "use",
    "value",
)  # fmt: skip

SHOWN_MAX = 2000
# Limits are set between fork and exec by a program of ours: code that runs there in a process with
# threads may hang, and limits that are set from outside come late.
LIMITER = (
    "import os,resource,sys\n"
    "for pair in sys.argv[1].split(','):\n"
    " name,_,most=pair.partition('=')\n"
    " resource.setrlimit(getattr(resource,name),(int(most),int(most)))\n"
    "os.execv(sys.argv[2],sys.argv[3:])\n"
)


@dataclass(frozen=True, slots=True)
class Secret:
    """An argument that is shown nowhere; better still is to give it on standard input."""

    text: str = field(repr=False)


Argument = str | Secret


class Limits(msgspec.Struct, frozen=True):
    """What a program may use; None is as much as it likes."""

    address_space_mb: int | None = None
    cpu_s: int | None = None


UNLIMITED = Limits()


class UnsafeValue(ValueError):
    """A text that must not become an argument."""


class CommandFailed(Exception):
    """A program could not do what it was asked to; the text says what and why."""

    def __init__(self, shown: str, reason: str, result: Result | None = None) -> None:
        self.shown, self.reason, self.result = shown, reason, result
        super().__init__(f"{shown}: {reason}")


class ProgramMissing(CommandFailed):
    """The host has no such program."""


class TimedOut(CommandFailed):
    """It was killed, with all that it had started, because it took too long."""


class OutputTooLarge(CommandFailed):
    """It was killed because it wrote too much."""


class Source(Protocol):
    """Where programs run."""

    def run(
        self, argv: Sequence[str], input: bytes | None, timeout_s: float,  # noqa: A002
        environment: Mapping[str, str],
    ) -> Result: ...  # fmt: skip
    def spawn(
        self, argv: Sequence[str], log_path: Path, environment: Mapping[str, str]
    ) -> Daemon: ...
    def spawned(self, log_path: Path) -> list[Daemon]: ...
    def is_alive(self, daemon: Daemon) -> bool: ...
    def stop(self, daemon: Daemon, patience_s: float) -> bool: ...
    def pause(self, daemon: Daemon) -> None: ...
    def resume(self, daemon: Daemon) -> None: ...
    def find(self, program: str) -> str | None: ...


def value(text: str) -> str:
    """A user's text as an argument: refused where a program could take it for something else."""
    if not text:
        raise UnsafeValue("An argument must not be empty.")
    if text.startswith("-"):
        raise UnsafeValue("An argument must not begin with a dash.")
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise UnsafeValue("An argument must not hold control characters.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnsafeValue("An argument must be valid Unicode.") from None
    return text


def run(
    argv: Sequence[Argument], *, input: bytes | None = None,  # noqa: A002 - as subprocess has it
    timeout_s: float, limits: Limits = UNLIMITED, ok_codes: Sequence[int] = (0,),
    environment: Mapping[str, str] = {},
) -> Result:  # fmt: skip
    """Run a program to its end; another code than `ok_codes` is an error."""
    shown = show(argv)
    with trace.span("command", shown):
        try:
            plain = _prepared(argv, limits, shown)
            result = _source.run(plain, input, timeout_s, _environment(environment))
            if result.code not in ok_codes:
                said = _masked(result.stderr or result.stdout, argv)
                raise CommandFailed(shown, f"{_ending(result.code)}: {said}".rstrip(": "), result)
        except subprocess.TimeoutExpired:
            raise _logged(TimedOut(shown, f"took longer than {timeout_s:g} seconds")) from None
        except TooMuch:
            reason = f"wrote more than {OUTPUT_BYTES_MAX} bytes"
            raise _logged(OutputTooLarge(shown, reason)) from None
        except OSError as error:
            raise _logged(CommandFailed(shown, str(error))) from None
        except CommandFailed as error:
            raise _logged(error) from None
    return result


def spawn(
    argv: Sequence[Argument], *, log_path: Path, limits: Limits = UNLIMITED,
    environment: Mapping[str, str] = {},
) -> Daemon:  # fmt: skip
    """Start a program that outlives this call, and this process; what it says goes to a file, which
    is its own: another that says something there is ended."""
    shown = show(argv)
    with trace.span("command", shown):
        stop_spawned(log_path)
        try:
            plain = _prepared(argv, limits, shown)
            return _source.spawn(plain, log_path, _environment(environment))
        except OSError as error:
            raise _logged(CommandFailed(shown, str(error))) from None
        except CommandFailed as error:
            raise _logged(error) from None


def is_alive(daemon: Daemon) -> bool:
    """Whether it still runs: it, not another program that was given its number."""
    return _source.is_alive(daemon)


def stop(daemon: Daemon, patience_s: float = 10.0) -> bool:
    """End a program, kindly at first; whether it had to be killed."""
    with trace.span("command", f"stop {daemon.pid}"):
        return _source.stop(daemon, patience_s)


def stop_spawned(log_path: Path, patience_s: float = 10.0) -> None:
    """End what was spawned with this log and runs still: also what nobody knows of, because whoever
    started it died before it had noted that."""
    for daemon in _source.spawned(log_path):
        stop(daemon, patience_s)


def pause(daemon: Daemon) -> None:
    """Let a program do nothing until it is resumed; it does nothing any more when this returns."""
    with trace.span("command", f"pause {daemon.pid}"):
        _source.pause(daemon)


def resume(daemon: Daemon) -> None:
    """Let a program go on, if it was paused."""
    _source.resume(daemon)


def find(program: str) -> str | None:
    """Where a program is on this host, if it is there."""
    return _source.find(program)


def show(argv: Sequence[Argument]) -> str:
    """A command as logs and traces have it, without its secrets."""
    words = ["***" if isinstance(each, Secret) else each for each in argv]
    text = " ".join(word if word and " " not in word else repr(word) for word in words)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}..."


class Simulated:
    """Programs that a function stands for; their commands are kept."""

    def __init__(self, answer: Callable[[tuple[str, ...], bytes | None], Result]) -> None:
        self.answer = answer
        self.commands: list[tuple[str, ...]] = []
        self.running: dict[int, tuple[str, ...]] = {}
        self._logs: dict[int, Path] = {}

    def run(
        self, argv: Sequence[str], input: bytes | None, timeout_s: float,  # noqa: A002
        environment: Mapping[str, str],
    ) -> Result:  # fmt: skip
        self.commands.append(tuple(argv))
        return self.answer(tuple(argv), input)

    def spawn(self, argv: Sequence[str], log_path: Path, environment: Mapping[str, str]) -> Daemon:
        self.commands.append(tuple(argv))
        daemon = Daemon(len(self.commands), len(self.commands), "simulated")
        self.running[daemon.pid] = tuple(argv)
        self._logs[daemon.pid] = log_path
        return daemon

    def spawned(self, log_path: Path) -> list[Daemon]:
        return [
            Daemon(pid, pid, "simulated") for pid in self.running if self._logs[pid] == log_path
        ]

    def is_alive(self, daemon: Daemon) -> bool:
        return daemon.pid in self.running

    def stop(self, daemon: Daemon, patience_s: float) -> bool:
        self.running.pop(daemon.pid, None)
        return False

    def pause(self, daemon: Daemon) -> None:
        pass

    def resume(self, daemon: Daemon) -> None:
        pass

    def find(self, program: str) -> str | None:
        return program


_source: Source = Host()


@contextmanager
def use(source: Source) -> Iterator[Source]:
    """Let `source` run the programs within the block."""
    global _source  # noqa: PLW0603 - the one switch that simulation needs
    before, _source = _source, source
    try:
        yield source
    finally:
        _source = before


def _prepared(argv: Sequence[Argument], limits: Limits, shown: str) -> list[str]:
    if isinstance(argv, str) or not argv:
        raise TypeError("a command is a list of arguments")
    plain = [each.text if isinstance(each, Secret) else each for each in argv]
    program = find(plain[0])
    if program is None:
        raise ProgramMissing(shown, f"this host has no program {plain[0]}")
    most = []
    if limits.address_space_mb is not None:
        most.append(f"RLIMIT_AS={limits.address_space_mb << 20}")
    if limits.cpu_s is not None:
        most.append(f"RLIMIT_CPU={limits.cpu_s}")
    if not most:
        return [program, *plain[1:]]
    return [sys.executable, "-I", "-S", "-c", LIMITER, ",".join(most), program, *plain]


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {"LC_ALL": "C", "PATH": search_path(), **more}


def _masked(output: bytes, argv: Sequence[Argument]) -> str:
    text = output.decode(errors="replace").strip()
    for each in argv:
        if isinstance(each, Secret) and each.text:
            text = text.replace(each.text, "***")
    return text[-SHOWN_MAX:]


def _ending(code: int) -> str:
    return f"exited with {code}" if code >= 0 else f"was killed by signal {-code}"


def _logged(error: CommandFailed) -> CommandFailed:
    code = error.result.code if error.result else None
    log.warning("a command failed", command=error.shown, code=code, reason=error.reason)
    return error
