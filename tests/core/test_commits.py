"""Revisions told without a statement: never older than what is committed, by whomever."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from onestack.core.commits import FORMAT, Commits
from onestack.core.db import Database, Record, bump, counted

OTHER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    database.execute(line)
    print("done", flush=True)
"""
BUMP = "UPDATE revisions SET value = value + 1 WHERE topic = 'things'"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "database.sqlite"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{path}")
    Record.metadata.create_all(made.engine)
    _change(made)
    yield made
    made.close()


class Other:
    """Another process that has the same database open."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(path)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, statement: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{statement}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"


@pytest.fixture
def other(database: Database, path: Path) -> Iterator[Other]:
    made = Other(path)
    yield made
    made.process.kill()
    made.process.communicate()


def _change(database: Database) -> None:
    with database.transaction() as session:
        bump(session, "things")


def _asked(database: Database) -> int:
    """How many statements it takes to know the revision."""
    with counted() as seen:
        database.revision("things")
    return len(seen)


def test_a_revision_is_read_again_only_after_a_commit(database: Database) -> None:
    for value in range(1, 4):
        assert database.revision("things") == value
        database.revision("things")
        assert _asked(database) == 0
        _change(database)
        assert _asked(database) == 1


def test_what_is_rolled_back_changes_nothing(database: Database) -> None:
    database.revision("things")
    session = database.session()
    bump(session, "things")
    session.flush()
    session.rollback()
    session.close()
    assert database.revision("things") == 1


def test_the_commits_of_other_processes_are_seen_at_once(database: Database, other: Other) -> None:
    for value in range(1, 200):
        assert database.revision("things") == value
        other.run(BUMP)


def test_a_process_that_dies_while_it_writes_changes_nothing(
    database: Database, other: Other
) -> None:
    assert database.revision("things") == 1
    other.run("BEGIN IMMEDIATE")
    other.run(BUMP)
    other.process.kill()
    other.process.wait()
    assert database.revision("things") == 1
    _change(database)
    assert database.revision("things") == 2


@pytest.mark.parametrize("way", ["PASSIVE", "FULL", "RESTART", "TRUNCATE"])
def test_a_checkpoint_hides_no_commit(database: Database, other: Other, way: str) -> None:
    for value in range(1, 20):
        assert database.revision("things") == value
        other.run(f"PRAGMA wal_checkpoint({way})")
        assert database.revision("things") == value
        other.run(BUMP)


def test_no_reader_is_behind_a_writer_who_is_done(database: Database) -> None:
    done = [1]
    is_over = threading.Event()

    def read(_number: int) -> int:
        count = 0
        while not is_over.is_set() or not count:
            least = done[0]
            assert database.revision("things") >= least
            count += 1
        return count

    with ThreadPoolExecutor(4) as threads:
        readers = [threads.submit(read, number) for number in range(3)]
        for value in range(2, 300):
            _change(database)
            done[0] = value
        is_over.set()
        assert all(reader.result(60) for reader in readers)
    assert database.revision("things") == 299


def test_a_database_in_another_mode_is_asked_each_time(path: Path) -> None:
    plain = sqlite3.connect(path)
    plain.execute("CREATE TABLE revisions (topic TEXT PRIMARY KEY, value INTEGER)")
    plain.close()
    database = Database(f"sqlite:///{path}")
    assert [_asked(database) for _ in range(3)] == [1, 1, 1]
    database.close()


def test_a_closed_database_lets_go_of_its_files_and_may_be_used_again(
    database: Database, path: Path
) -> None:
    def opened() -> list[str]:
        return [
            str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()
        ]

    database.revision("things")
    assert any(str(path) in each for each in opened())
    database.close()
    assert not any(str(path) in each for each in opened())
    _change(database)
    assert [database.revision("things") for _ in range(3)] == [2, 2, 2]


def test_a_header_of_an_unknown_format_or_unfinished_tells_nothing(tmp_path: Path) -> None:
    for content in (b"\0" * 48, b"\1" * 48, FORMAT + b"\0" * 44):
        (tmp_path / "x-shm").write_bytes(content)
        commits = Commits(str(tmp_path / "x"))
        assert commits.newest() is None
        commits.close()
