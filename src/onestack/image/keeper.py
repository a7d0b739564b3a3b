"""The keeper of a store: what flows ask of it, done where the store is."""

from functools import partial

from onestack.core.streams import PIECE_BYTES
from onestack.image.images.reading import Reading
from onestack.image.store import Examined, Store


class Keeper:
    """Does `StoreUpkeep` with a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def names(self, after: str, limit: int) -> list[str]:
        return self._store.names(after, limit)

    def delete_all(self, names: list[str]) -> None:
        for name in names:
            self._store.delete(name)

    def examine(self, name: str, disk_format: str, container_format: str) -> Examined:
        reading = Reading(disk_format, container_format)
        with self._store.open(name) as file:
            for _ in reading.pieces(iter(partial(file.read, PIECE_BYTES), b"")):
                pass
        return reading.examined()
