"""Fresh databases, each made quickly from a template that holds the schema."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.postgres import Postgres

Schema = Callable[[str], None]  # makes the schema in the empty database at a URL


class SqliteDatabases:
    """Databases in files, each a copy of the template."""

    def __init__(self, folder: Path, schema: Schema) -> None:
        self.folder = folder
        self.template = folder / "template.db"
        self._numbers = itertools.count(1)
        schema(f"sqlite:///{self.template}")

    @contextmanager
    def fresh(self) -> Iterator[str]:
        path = self.folder / f"{next(self._numbers)}.db"
        shutil.copyfile(self.template, path)
        try:
            yield f"sqlite:///{path}"
        finally:
            for leftover in self.folder.glob(f"{path.name}*"):
                leftover.unlink()

    @contextmanager
    def empty(self) -> Iterator[str]:
        """A database without the schema."""
        path = self.folder / f"{next(self._numbers)}.db"
        try:
            yield f"sqlite:///{path}"
        finally:
            for leftover in self.folder.glob(f"{path.name}*"):
                leftover.unlink()


class PostgresDatabases:
    """Databases of one server, each copied from the template by the server."""

    def __init__(self, server: Postgres, schema: Schema) -> None:
        import psycopg

        self.server = server
        self._numbers = itertools.count(1)
        self._connection = psycopg.connect(server.url(), autocommit=True)
        self._connection.execute("CREATE DATABASE template_schema")
        schema(server.url("template_schema"))

    @contextmanager
    def fresh(self) -> Iterator[str]:
        with self._made("TEMPLATE template_schema") as url:
            yield url

    @contextmanager
    def empty(self) -> Iterator[str]:
        """A database without the schema."""
        with self._made("TEMPLATE template0") as url:
            yield url

    @contextmanager
    def _made(self, how: str) -> Iterator[str]:
        name = f"test_{next(self._numbers)}"
        self._connection.execute(f"CREATE DATABASE {name} {how}")
        try:
            yield self.server.url(name)
        finally:
            # What a test left connected is no reason to keep its database.
            self._connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        self._connection.close()
