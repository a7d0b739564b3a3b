"""The contract of a store: where images' data is kept, each piece of it under a name of its own."""

from collections.abc import Iterable
from typing import BinaryIO, Protocol

import msgspec

from onestack.core.errors import NotFound, TooLarge

UPKEEP_ADDRESS = "agent.image.store"


class DataMissing(NotFound):
    message = "The data {name} is not in the store."


class StoreFull(TooLarge):
    message = "Image storage media is full: there is not enough disk space."


class Examined(msgspec.Struct, frozen=True):
    """What data was found to be."""

    size: int
    checksum: str
    sha512: str
    virtual_size: int | None


class Store(Protocol):
    """Keeps data that never changes; a name is used once, and is 32 hexadecimal characters."""

    name: str  # as clients know the store

    def put(self, name: str, pieces: Iterable[bytes]) -> int:
        """Keep the pieces, durably; how many bytes they are. What fails leaves nothing.

        `DataMissing` says that the data was deleted while it came.
        """

    def open(self, name: str) -> BinaryIO:
        """The data from its start on."""

    def path(self, name: str) -> str | None:
        """Where the data is as a file of this host, if it is one: nobody may write to it."""

    def delete(self, name: str) -> None:
        """Forget the data; what is not there is forgotten already."""

    def names(self, after: str, limit: int) -> list[str]:
        """The names of what is kept, also of what is only half there, in their order."""


class StoreUpkeep(Protocol):
    """What flows ask of a store, wherever they run."""

    def names(self, after: str, limit: int) -> list[str]:
        """The names of what is kept, also of what is only half there, in their order."""

    def delete_all(self, names: list[str]) -> None:
        """Forget all of these."""

    def examine(self, name: str, disk_format: str, container_format: str) -> Examined:
        """Read data that was staged; an error says that it is not what its image says."""


class StoreSlot:
    """The place in the cloud where the store is put."""

    def __init__(self, store: Store) -> None:
        self.store = store
