"""Ports: whether one is free, and who holds it when it is not."""

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path

import click

from onestack.cli.errors import Failure

# Identity's own port since the first OpenStack: the address that people type (and that clients'
# examples hold) is identity's, and every other service is found through its catalogue.
DEFAULT_PORT = 5000
DEFAULT_LISTEN = "127.0.0.1"
PORT = click.IntRange(1, 65535)

LISTENING = "0A"
SEARCH = 100


def check(listen: str, port: int) -> None:
    """Refuse an address that cannot be listened on, saying why."""
    problem = problem_with(listen, port)
    if problem is None:
        return
    if problem.errno == errno.EADDRINUSE:
        other = _suggestion(listen, port)
        raise Failure(
            f"port {port} on {listen} is taken by {holder(port) or 'another program'}",
            next_step=f"onestack up --port {other}" if other else "onestack up --port N",
        )
    if problem.errno == errno.EACCES:
        raise Failure(
            f"port {port} may not be used by this user",
            why="ports below 1024 belong to root",
            next_step=f"onestack up --port {DEFAULT_PORT}",
        )
    raise Failure(
        f"{listen}:{port} cannot be listened on",
        why=problem.strerror or str(problem),
        next_step=f"onestack up --listen {DEFAULT_LISTEN}",
    )


def problem_with(listen: str, port: int) -> OSError | None:
    """What keeps one from listening there."""
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen, port))
            probe.listen(1)
        except OSError as error:
            return error
    return None


def free(listen: str) -> int:
    """A port that nobody listens on."""
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((listen, 0))
        port: int = probe.getsockname()[1]
        return port


def holder(port: int) -> str | None:
    """The program that listens on a port, as far as this user may see it."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            for descriptor in os.scandir(process / "fd"):
                if os.readlink(descriptor.path) in sockets:
                    name = (process / "comm").read_text().strip()
                    return f"{name} (pid {process.name})"
    return None


def _inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found


def _suggestion(listen: str, port: int) -> int | None:
    nearby = range(port + 1, min(port + SEARCH, 65536))
    return next((other for other in nearby if problem_with(listen, other) is None), None)
