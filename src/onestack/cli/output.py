"""Output: tables for people, JSON for programs, colour only where it is welcome."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

Row = Mapping[str, Any]
Command = Callable[..., Any]

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "warning": "yellow", "error": "red"}


def output_option(command: Command) -> Command:
    """Give a verb the option -o."""
    return click.option(
        "-o", "--output", "form", type=click.Choice(["table", "json"]), default="table",
        show_default=True, help="How to print it.",
    )(command)  # fmt: skip


def document(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def rows(found: Sequence[Row], columns: Sequence[str], form: str) -> None:
    """Print a list: every column in JSON too, under the same names."""
    if form == "json":
        document([dict(row) for row in found])
    elif sys.stdout.isatty():
        _terminal_table(found, columns)
    else:
        _plain_table(found, columns)


def is_colourful() -> bool:
    """Whether the reader is a terminal that wants colour."""
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def coloured(text: str, meaning: str) -> str:
    """A text in the colour of its meaning."""
    return click.style(text, fg=COLOURS.get(meaning)) if is_colourful() else text


def printable(text: str) -> str:
    """A text on one line that cannot command the terminal: names come from strangers."""
    return "".join(
        letter if letter.isprintable() else "\ufffd" for letter in " ".join(text.split())
    )


def program_name() -> str:
    """How to call this very command: by its name when PATH leads here, else by its path."""
    ours, found = Path(sys.argv[0]).absolute(), shutil.which("onestack")
    if found and Path(found).resolve() == ours.resolve():
        return "onestack"
    return os.path.relpath(ours) if ours.name == "onestack" else "onestack"


def duration(seconds: float) -> str:
    """A time span as people say it."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days:.0f} d {hours % 24:.0f} h"
    return f"{hours:.0f} h {minutes % 60:.0f} min" if hours else f"{minutes:.0f} min"


def _terminal_table(found: Sequence[Row], columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in found:
        cells = [_text(row.get(column)) for column in columns]
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in cells))
    Console().print(table)


def _plain_table(found: Sequence[Row], columns: Sequence[str]) -> None:
    lines = [[column.replace("_", " ").upper() for column in columns]]
    lines += [[_text(row.get(column)) for column in columns] for row in found]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(str(value))
