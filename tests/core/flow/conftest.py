"""A database with toys, and a clock that tests move."""

from collections.abc import Iterator

import pytest

from onestack.core import clock
from onestack.core.db import Database, Record
from tests.simulator.toys import Toy


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = Database(database_url, durable=False)
    Record.metadata.create_all(found.engine)
    Toy.metadata.create_all(found.engine)
    yield found
    found.close()


@pytest.fixture
def time() -> Iterator[clock.Simulated]:
    simulated = clock.Simulated(1)
    with clock.use(simulated):
        yield simulated
