"""What every test may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud import Local

pytest_plugins = ("tests.servers.fixtures",)

CHEAP = {"ONESTACK_IDENTITY_PASSWORD_HASH_ROUNDS": "4"}


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """One cloud for the whole run; a test names what it makes uniquely."""
    cloud = Local(tmp_path_factory.mktemp("cloud"), CHEAP)
    yield cloud
    cloud.close()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Local]:
    """A cloud of the test's own, for those that change what others rely on."""
    cloud = Local(tmp_path, CHEAP)
    yield cloud
    cloud.close()
