"""The store that keeps each image's data as a file in a folder."""

import errno
import os
import re
from collections.abc import Iterable
from heapq import nsmallest
from pathlib import Path
from typing import BinaryIO

from onestack.image.store import DataMissing, StoreFull

NAME = re.compile(r"[0-9a-f]{32}")
UNSAFE_BYTES_MAX = 512 << 20
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FileStore:
    """Data is written beside its place and put there whole: what has its name is complete."""

    name = "file"

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._incoming = self._folder / "incoming"
        for each in (self._folder, self._incoming):
            each.mkdir(mode=0o700, exist_ok=True)

    def put(self, name: str, pieces: Iterable[bytes]) -> int:
        temporary = self._incoming / _checked(name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(temporary, flags, 0o600)
        try:
            with open(descriptor, "wb", buffering=0) as file:
                size = _write_all(file, pieces)
                os.fsync(descriptor)
            temporary.rename(self._folder / name)
            _sync(self._folder)
        except FileNotFoundError:
            raise DataMissing(name=name) from None
        except BaseException as error:
            temporary.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in FULL:
                raise StoreFull from None
            raise
        return size

    def open(self, name: str) -> BinaryIO:
        try:
            return open(self._folder / _checked(name), "rb", buffering=0)
        except FileNotFoundError:
            raise DataMissing(name=name) from None

    def path(self, name: str) -> str | None:
        return str(self._folder / _checked(name))

    def delete(self, name: str) -> None:
        for folder in (self._folder, self._incoming):
            (folder / _checked(name)).unlink(missing_ok=True)

    def names(self, after: str, limit: int) -> list[str]:
        found = {
            entry.name
            for folder in (self._folder, self._incoming)
            for entry in os.scandir(folder)
            if entry.name > after and NAME.fullmatch(entry.name)
        }
        return nsmallest(limit, found)


def _checked(name: str) -> str:
    if NAME.fullmatch(name) is None:
        raise DataMissing(name=name[:64])
    return name


def _write_all(file: BinaryIO, pieces: Iterable[bytes]) -> int:
    size = unsafe = 0
    for piece in pieces:
        unsafe += _write(file, piece)
        if unsafe >= UNSAFE_BYTES_MAX:
            # The last flush must not take so long that the upload seems dead.
            os.fdatasync(file.fileno())
            size, unsafe = size + unsafe, 0
    return size + unsafe


def _write(file: BinaryIO, piece: bytes) -> int:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]
    return len(piece)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
