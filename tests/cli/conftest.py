"""Users of the command."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import Shell, free_port


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A user with an empty home, whose clouds are stopped in the end."""
    user = Shell(tmp_path)
    yield user
    user.run("down", "--all")
    for folder in (pid_file.parents[1] for pid_file in tmp_path.rglob("onestack*.pid")):
        user.run("down", "--data", folder)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A user whose usual cloud runs."""
    home = tmp_path_factory.mktemp("home")
    user = Shell(home, {"ONESTACK_DATA": str(home / "data")})
    user.good("up", "--port", free_port())
    yield user
    user.good("down")
