"""What every test may ask for."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

import onestack.main  # noqa: F401 - the records of every service
from onestack.core.db import Database
from onestack.core.schema import ensure_schema
from tests.cloud import Local
from tests.servers.databases import PostgresDatabases, Schema, SqliteDatabases

pytest_plugins = ("tests.servers.fixtures",)

Databases = SqliteDatabases | PostgresDatabases
Clouds = Callable[..., Local]

CHEAP = {"ONESTACK_IDENTITY_PASSWORD_HASH_ROUNDS": "4"}


@pytest.fixture(scope="session")
def database_schema() -> Schema:
    """The newest schema of all services."""

    def make(url: str) -> None:
        database = Database(url)
        ensure_schema(database)
        database.close()

    return make


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Local]:
    """One cloud for the whole run; a test names what it makes uniquely."""
    with databases.fresh() as url:
        cloud = Local(tmp_path_factory.mktemp("cloud"), {**CHEAP, "ONESTACK_CLOUD_DATABASE": url})
        yield cloud
        cloud.close()


@pytest.fixture
def another(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Clouds]:
    """Makes clouds of the test's own, with settings of its own."""
    with ExitStack() as stack:

        def make(**environ: str) -> Local:
            url = stack.enter_context(databases.fresh())
            settings = {**CHEAP, "ONESTACK_CLOUD_DATABASE": url, **environ}
            cloud = Local(tmp_path_factory.mktemp("cloud"), settings)
            stack.callback(cloud.close)
            return cloud

        yield make


@pytest.fixture
def fresh(another: Clouds) -> Local:
    """A cloud of the test's own, for those that change what others rely on."""
    return another()
