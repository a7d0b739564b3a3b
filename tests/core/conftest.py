"""The toy cloud for tests of the ground floor."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from onestack.core import log
from onestack.core.bus import Bus, Local
from tests.core.toy_service import Toy
from tests.servers.databases import PostgresDatabases, SqliteDatabases

Toys = Callable[..., Toy]
Connect = Callable[[], Bus]
Logged = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def logged() -> Iterator[Logged]:
    """The lines that were logged, as what they say."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = log._threshold, log._stream, root.handlers[:], root.level
    log.flush()
    log.configure("info", stream)

    def lines() -> list[dict[str, Any]]:
        log.flush()
        return [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]

    yield lines
    log.flush()
    log._threshold, log._stream, root.handlers[:], _ = before
    root.setLevel(before[3])


@pytest.fixture(params=["local", "rabbitmq"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes buses: over the broker each is what another process would have."""
    if request.param == "local":
        shared = Local()
        yield lambda: Bus(shared)
        return
    from onestack.core.bus_rabbit import Rabbit

    url = request.getfixturevalue("rabbit_url")
    with ExitStack() as opened:

        def make() -> Bus:
            bus = Bus(Rabbit(url))
            opened.callback(bus.close)
            return bus

        yield make


@pytest.fixture
def toy(database_url: str) -> Iterator[Toy]:
    """A toy cloud."""
    made = Toy(database_url)
    yield made
    made.close()


@pytest.fixture
def toys(database_url: str) -> Iterator[Toys]:
    """Makes toy clouds with limits of their own."""
    with ExitStack() as stack:

        def make(**limits: int) -> Toy:
            made = Toy(database_url, **limits)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture(params=["sqlite", "postgres"])
def toy_on(request: pytest.FixtureRequest) -> Iterator[Toy]:
    """A toy cloud on one database, then on the other."""
    databases: SqliteDatabases | PostgresDatabases
    databases = request.getfixturevalue(f"{request.param}_databases")
    with databases.fresh() as url:
        made = Toy(url)
        yield made
        made.close()
