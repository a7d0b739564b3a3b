"""On a terminal, tables and states have colour, unless NO_COLOR says otherwise."""

import os
import pty
import subprocess

import pytest

from tests.cli.command import Shell, command


@pytest.mark.parametrize(("variables", "is_colourful"), [({}, True), ({"NO_COLOR": "1"}, False),
                                                         ({"TERM": "dumb"}, False)])  # fmt: skip
def test_colour_is_for_terminals_that_want_it(
    shell: Shell, variables: dict[str, str], is_colourful: bool
) -> None:
    ours, theirs = pty.openpty()
    environ = {"TERM": "xterm-256color", **shell.environ, **variables}
    environ.pop("FORCE_COLOR", None)
    with subprocess.Popen(
        command("doctor"), env={**environ, "ONESTACK_DATA": str(shell.home / "data")},
        stdout=theirs, stdin=subprocess.DEVNULL,
    ) as child:  # fmt: skip
        os.close(theirs)
        said = _read(ours)
        child.wait()
    assert "python" in said
    assert ("\x1b[3" in said) == is_colourful


def _read(descriptor: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(descriptor, 4096)
        except OSError:  # the other side of a pseudo-terminal is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(descriptor)
    return b"".join(parts).decode()
