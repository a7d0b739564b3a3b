"""Which commit of an SQLite file is its newest: told without a statement, and in no time.

In WAL mode, all who use a database share memory: the index of its write-ahead log, in a file whose
name ends in `-shm`. It begins with a header that every commit rewrites before it is over, and by
that SQLite itself tells whether what it remembers of the database is stale
(https://sqlite.org/walformat.html, "The WAL-Index Header"). So whoever finds the same bytes again
knows that no process committed anything in between.
"""

import mmap
import os
from sys import byteorder

HEADER_BYTES = 48
FORMAT = (3007000).to_bytes(4, byteorder)
IS_VALID = 12  # the place of the byte that says so


class Commits:
    """The commits of one database file, for a process that has it open all the while."""

    def __init__(self, path: str) -> None:
        self._header: mmap.mmap | None = None  # where the database is in another mode
        try:
            self._file = os.open(f"{path}-shm", os.O_RDONLY)
        except FileNotFoundError:
            return
        self._header = mmap.mmap(self._file, HEADER_BYTES, prot=mmap.PROT_READ)

    def newest(self) -> bytes | None:
        """What is another after each commit; None where that cannot be told."""
        if self._header is None:
            return None
        header = self._header[:HEADER_BYTES]
        return header if header.startswith(FORMAT) and header[IS_VALID] else None

    def close(self) -> None:
        """Let go of the file. A process that closes one gives up all its locks on it, SQLite's too:
        so this comes when the process is done with the database."""
        if self._header is not None:
            self._header.close()
            os.close(self._file)
            self._header = None
