"""Quota: a limit is kept exactly, however many ask at once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from onestack.core import quota
from onestack.core.db import Database, Record
from onestack.core.errors import Forbidden, TooLarge
from onestack.core.quota import QuotaExceeded
from tests.simulator.toys import Disk, Toy

USAGE = quota.Usage(
    {"disks": select(func.count(Disk.id)), "gigabytes": select(func.sum(Disk.size_gb))}
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = Database(database_url, pool_size=30, durable=False)
    Record.metadata.create_all(found.engine)
    Toy.metadata.create_all(found.engine)
    yield found
    found.close()


def create(database: Database, name: str, limits: dict[str, int], size_gb: int = 1) -> None:
    with database.transaction() as session:
        wanted = {"disks": 1, "gigabytes": size_gb}
        quota.check(session, "project", limits, USAGE, wanted)
        session.add(Disk(id=name, size_gb=size_gb))


def count(database: Database) -> int:
    with database.transaction(write=False) as session:
        return session.scalar(select(func.count(Disk.id))) or 0


def test_what_fits_is_let_in(database: Database) -> None:
    create(database, "a", {"disks": 2, "gigabytes": 10}, size_gb=4)
    create(database, "b", {"disks": 2, "gigabytes": 10}, size_gb=6)
    assert count(database) == 2


def test_what_does_not_fit_is_refused_with_the_figures(database: Database) -> None:
    create(database, "a", {"disks": 5, "gigabytes": 10}, size_gb=4)
    with pytest.raises(QuotaExceeded) as refused:
        create(database, "b", {"disks": 5, "gigabytes": 10}, size_gb=7)
    assert isinstance(refused.value, Forbidden)
    assert refused.value.details == {"resource": "gigabytes", "used": 4, "limit": 10, "wanted": 7}
    assert refused.value.text == (
        "Quota exceeded for gigabytes: 7 requested, 4 of 10 already used."
    )
    assert count(database) == 1


def test_minus_one_is_no_limit(database: Database) -> None:
    create(database, "a", {"disks": -1, "gigabytes": -1}, size_gb=10**6)
    with pytest.raises(QuotaExceeded):
        create(database, "b", {"disks": 0, "gigabytes": -1})


def test_nothing_wanted_is_never_too_much(database: Database) -> None:
    create(database, "a", {"disks": 1, "gigabytes": 1})
    with database.transaction() as session:
        quota.check(session, "project", {"disks": 0}, USAGE, {"disks": 0})


def test_a_service_refuses_in_its_own_words(database: Database) -> None:
    class TooMany(TooLarge):
        message = "VolumeLimitExceeded: {limit} of {resource}"

    with (
        pytest.raises(TooMany, match="VolumeLimitExceeded: 0 of disks"),
        database.transaction() as session,
    ):
        quota.check(session, "p", {"disks": 0}, USAGE, {"disks": 1}, refusal=TooMany)


def test_a_session_that_only_reads_may_not_check(database: Database) -> None:
    if not database.is_sqlite:
        with database.transaction() as session:
            quota.check(session, "p", {"disks": 1}, USAGE, {"disks": 1})
        return
    with (
        pytest.raises(RuntimeError, match="the session that adds"),
        database.transaction(write=False) as session,
    ):
        quota.check(session, "p", {"disks": 1}, USAGE, {"disks": 1})


def test_of_a_hundred_that_ask_at_once_for_the_last_one_one_gets_it(database: Database) -> None:
    limits = {"disks": 2, "gigabytes": -1}
    create(database, "first", limits)
    workers = 25
    ready = threading.Barrier(workers)

    def ask(number: int) -> bool:
        if number < workers:
            ready.wait()
        try:
            create(database, f"d{number}", limits)
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(workers) as pool:
        won = list(pool.map(ask, range(100)))
    assert won.count(True) == 1
    assert count(database) == 2
