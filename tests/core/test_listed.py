"""Lists of values as one parameter, on both databases."""

from collections.abc import Iterator
from typing import cast

import pytest
from sqlalchemy import Table, insert, select

from onestack.core.db import Database, Record
from onestack.core.listed import among
from tests.simulator.toys import Disk, Toy

DISKS = cast(Table, Disk.__table__)
NAMES = select(DISKS.c.id).where(among(DISKS.c.id, "names")).order_by(DISKS.c.id)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = Database(database_url, durable=False)
    Record.metadata.create_all(found.engine)
    Toy.metadata.create_all(found.engine)
    yield found
    found.close()


def test_rows_are_found_by_any_of_a_list_of_values(database: Database) -> None:
    names = ["a", "b'", 'c"', "", "ü", "null"]
    with database.transaction() as session:
        session.execute(insert(DISKS), [{"id": each, "size_gb": 1} for each in names])
    with database.transaction(write=False) as session:
        for wanted in ([], ["a"], ["a", "b'", 'c"', "ü"], ["nothing"], ["", "null", "a"]):
            found = session.execute(NAMES, {"names": wanted}).scalars().all()
            assert set(found) == set(wanted) & set(names)
        many = [f"n{number}" for number in range(5000)]
        assert session.execute(NAMES, {"names": [*many, "a"]}).scalars().all() == ["a"]


def test_an_index_is_used(database: Database) -> None:
    with database.transaction(write=False) as session:
        if database.is_sqlite:
            text = str(NAMES.compile(database.engine))
            rows = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", ("[]",))
            assert "USING INDEX" in str(rows.all()).replace("COVERING ", "")
