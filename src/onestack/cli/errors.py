"""What a verb raises when it cannot go on: what happened, why, and the next command."""

import sys
from typing import IO, Any

import click


class Failure(click.ClickException):
    """The verb failed."""

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.why, self.next_step = why, next_step

    def show(self, file: IO[Any] | None = None) -> None:
        lines = [f"Error: {self.message}"]
        if self.why:
            lines.append(f"Why:   {self.why}")
        if self.next_step:
            lines.append(f"Next:  {self.next_step}")
        click.echo("\n".join(lines), file=file or sys.stderr)


class NotRunning(Failure):
    """There is no server to ask."""

    exit_code = 3
