"""Fixtures: servers that start when a test first asks for one, and databases for each test.

ONESTACK_TEST_DATABASE=sqlite|postgresql and ONESTACK_TEST_BUS=local|rabbitmq choose what the whole
suite runs on.
"""

import os
from collections.abc import Iterator

import pytest

from onestack.core.bus import Bus, Local
from onestack.core.db import Database, Record
from tests.servers.databases import PostgresDatabases, Schema, SqliteDatabases
from tests.servers.postgres import Postgres
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.slapd import Slapd


def chosen(variable: str, *choices: str) -> str:
    """What an environment variable chooses; the first choice when it is not set."""
    choice = os.environ.get(variable) or choices[0]
    if choice not in choices:
        raise pytest.UsageError(f"{variable}={choice}: it is one of {', '.join(choices)}")
    return choice


DATABASE = chosen("ONESTACK_TEST_DATABASE", "sqlite", "postgresql")
BUS = chosen("ONESTACK_TEST_BUS", "local", "rabbitmq")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres: Postgres) -> str:
    """An empty PostgreSQL database, shared by all tests that ask for it."""
    return postgres.url()


@pytest.fixture(scope="session")
def rabbit_server() -> Iterator[RabbitMQ]:
    with RabbitMQ() as server:
        yield server


@pytest.fixture(scope="session")
def rabbit_url(rabbit_server: RabbitMQ) -> str:
    return rabbit_server.url


@pytest.fixture(scope="session")
def ldap_server() -> Iterator[Slapd]:
    with Slapd() as server:
        yield server


@pytest.fixture(scope="session")
def database_schema() -> Schema:
    """What makes the schema; a conftest that knows of migrations overrides it."""

    def create_all(url: str) -> None:
        database = Database(url)
        Record.metadata.create_all(database.engine)
        database.close()

    return create_all


@pytest.fixture(scope="session")
def sqlite_databases(
    tmp_path_factory: pytest.TempPathFactory, database_schema: Schema
) -> SqliteDatabases:
    return SqliteDatabases(tmp_path_factory.mktemp("databases"), database_schema)


@pytest.fixture(scope="session")
def postgres_databases(postgres: Postgres, database_schema: Schema) -> Iterator[PostgresDatabases]:
    databases = PostgresDatabases(postgres, database_schema)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> SqliteDatabases | PostgresDatabases:
    """Databases of the kind that the suite runs on."""
    kind = "sqlite_databases" if DATABASE == "sqlite" else "postgres_databases"
    found: SqliteDatabases | PostgresDatabases = request.getfixturevalue(kind)
    return found


@pytest.fixture
def database_url(databases: SqliteDatabases | PostgresDatabases) -> Iterator[str]:
    """The URL of a database with the schema, for this test alone."""
    with databases.fresh() as url:
        yield url


@pytest.fixture
def empty_database_url(databases: SqliteDatabases | PostgresDatabases) -> Iterator[str]:
    """The URL of a database without the schema, for this test alone."""
    with databases.empty() as url:
        yield url


@pytest.fixture
def bus(request: pytest.FixtureRequest) -> Iterator[Bus]:
    """A bus over what the suite runs on."""
    if BUS == "local":
        found = Bus(Local())
    else:
        from onestack.core.bus_rabbit import Rabbit

        found = Bus(Rabbit(request.getfixturevalue("rabbit_url")))
    yield found
    found.close()
