"""`onestack logs`: read the log as people do: the end of it, one request, or what comes in now."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import click

from onestack.cli import folder as folders
from onestack.cli.errors import NotRunning
from onestack.cli.output import coloured, output_option, printable
from onestack.core import clock

LEVELS = ("debug", "info", "warning", "error")
BLOCK_BYTES = 64 << 10
LINE_BYTES_MAX = 1 << 20
POLL_S = 0.2


@dataclass(frozen=True)
class Wanted:
    """Which lines are asked for."""

    request_id: str | None = None
    level: str = "debug"

    def holds(self, line: str) -> bool:
        """Whether a line is one of them; one that is no JSON is an accident, and important."""
        entry = parsed(line)
        if entry is None:
            return self.request_id is None
        if self.request_id and self.request_id not in (
            entry.get("request_id"), entry.get("global_request_id"),
        ):  # fmt: skip
            return False
        level = entry.get("level")
        return level not in LEVELS or LEVELS.index(level) >= LEVELS.index(self.level)


@click.command()
@folders.data_option
@click.option("-f", "--follow", "is_following", is_flag=True, help="Show what comes in, too.")
@click.option("--request", "request_id", metavar="ID", help="Lines of this request only.")
@click.option("--level", type=click.Choice(LEVELS), default="debug", help="This level or higher.")
@click.option(
    "-n",
    "--lines",
    "count",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    help="How many of the last lines.",
)
@output_option
def command(
    data: Path | None, is_following: bool, request_id: str | None, level: str, count: int, form: str
) -> None:
    """Show a cloud's log.

    With -o json every line is a JSON object, as it stands in the file.
    """
    folder = folders.chosen(data)
    if not folder.log.exists():
        raise NotRunning(
            f"no cloud has run in {folder.path}", next_step=f"onestack up{folder.option}"
        )
    wanted = Wanted(request_id, level)
    size = folder.log.stat().st_size
    for line in last(folder.log, count, wanted, size):
        click.echo(line if form == "json" else pretty(line))
    if is_following:
        for line in follow(folder.log, size, lambda: False):
            if wanted.holds(line):
                click.echo(line if form == "json" else pretty(line))


def parsed(line: str) -> dict[str, Any] | None:
    """A line's fields; nothing when it is not one of our own."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "message" in entry else None


def pretty(line: str) -> str:
    """A line as a person reads it."""
    entry = parsed(line)
    if entry is None:
        return printable(line)
    level = str(entry.pop("level", ""))
    start = f"{str(entry.pop('time', ''))[:23]:23}  {coloured(f'{level:7}', level)}"
    rest = "  ".join(f"{key}={_short(value)}" for key, value in entry.items() if key != "message")
    return f"{start}  {printable(str(entry['message']))}  {rest}".rstrip()


def last(path: Path, count: int, wanted: Wanted, size: int | None = None) -> list[str]:
    """The last lines that are wanted, oldest first."""
    end = path.stat().st_size if size is None else size
    return list(islice(filter(wanted.holds, _backwards(path, end)), count))[::-1]


def follow(path: Path, at: int, is_over: Callable[[], bool]) -> Iterator[str]:
    """Lines as they are written, from a position on, until there is nobody left to write."""
    rest = b""
    for chunk in follow_bytes(path, at, is_over):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (_text(line) for line in lines)


def follow_bytes(path: Path, at: int, is_over: Callable[[], bool]) -> Iterator[bytes]:
    """What is written from a position on, as it is, until there is nobody left to write."""
    while True:
        over = is_over()
        chunk, at = _after(path, at)
        if chunk:
            yield chunk
        elif over:
            return
        else:
            clock.sleep(POLL_S)


def _after(path: Path, at: int) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < at:
                at = 0  # somebody emptied it
            file.seek(at)
            chunk = file.read(LINE_BYTES_MAX)
            return chunk, at + len(chunk)
    except FileNotFoundError:
        return b"", at


def _backwards(path: Path, end: int) -> Iterator[str]:
    """Lines from the last to the first, without reading a long file whole."""
    with path.open("rb") as file:
        rest = b""
        while end > 0:
            size = min(BLOCK_BYTES, end)
            end -= size
            file.seek(end)
            rest, *lines = (file.read(size) + rest).split(b"\n")
            yield from (_text(line) for line in reversed(lines) if line)
        if rest:
            yield _text(rest)


def _text(line: bytes) -> str:
    return line.decode(errors="replace")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return printable(text if text and " " not in text else json.dumps(text, ensure_ascii=False))
