"""What every store keeps to; each driver is a parameter."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from onestack.core.contract import contract
from onestack.image.drivers.files import FileStore
from onestack.image.keeper import Keeper
from onestack.image.store import DataMissing, StoreUpkeep

ONE, TWO = "1" * 32, "2" * 32


@pytest.fixture(params=[FileStore])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    """An empty store."""
    made: FileStore = request.param(tmp_path / "store")
    return made


def test_what_is_put_is_read(store: FileStore) -> None:
    assert store.put(ONE, iter([b"ab", b"", b"cd"])) == 4
    file = store.open(ONE)
    assert file.read(100) == b"abcd"
    file.seek(2)
    assert file.read(1) == b"c"


def test_what_fails_leaves_nothing(store: FileStore) -> None:
    def broken() -> Iterator[bytes]:
        yield b"ab"
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        store.put(ONE, broken())
    assert store.names("", 10) == []
    with pytest.raises(DataMissing):
        store.open(ONE)


def test_a_name_is_used_once(store: FileStore) -> None:
    pieces = iter([b"a"])
    store.put(ONE, pieces)

    def meanwhile() -> Iterator[bytes]:
        yield b"x"
        with pytest.raises(FileExistsError):
            store.put(TWO, iter([b"y"]))

    store.put(TWO, meanwhile())
    assert store.open(TWO).read(9) == b"x"


def test_deletion_is_idempotent(store: FileStore) -> None:
    store.put(ONE, iter([b"a"]))
    store.delete(ONE)
    store.delete(ONE)
    Keeper(store).delete_all([ONE, TWO])
    assert store.names("", 10) == []


def test_names_come_in_pages_with_what_is_half_there(store: FileStore) -> None:
    store.put(TWO, iter([b"a"]))

    def meanwhile() -> Iterator[bytes]:
        yield b"x"
        assert store.names("", 10) == [ONE, TWO]
        assert store.names("", 1) == [ONE]
        assert store.names(ONE, 1) == [TWO]
        assert store.names(TWO, 1) == []

    store.put(ONE, meanwhile())


@pytest.mark.parametrize("name", ["", "../x", "/etc/passwd", "1" * 31, "G" * 32, "1" * 32 + "\n"])
def test_names_are_no_paths(store: FileStore, name: str) -> None:
    for ask in (store.open, store.delete, lambda name: store.put(name, iter([b"x"]))):
        with pytest.raises(DataMissing):
            ask(name)


def test_nobody_else_reads_the_files(store: FileStore, tmp_path: Path) -> None:
    store.put(ONE, iter([b"a"]))
    folder = tmp_path / "store"
    modes = {path: path.stat().st_mode & 0o077 for path in (folder, *folder.rglob("*"))}
    assert len(modes) == 3
    assert set(modes.values()) == {0}


def test_upkeep_can_be_asked_from_elsewhere() -> None:
    assert set(contract(StoreUpkeep).methods) == {"names", "delete_all", "examine"}
