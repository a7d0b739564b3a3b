"""Where scenarios are played."""

from collections.abc import Iterator

import pytest

from tests.servers.databases import PostgresDatabases, SqliteDatabases
from tests.simulator.world import Ground


@pytest.fixture(scope="module")
def ground(databases: SqliteDatabases | PostgresDatabases) -> Iterator[Ground]:
    with databases.fresh() as url:
        found = Ground(url)
        yield found
        found.close()
