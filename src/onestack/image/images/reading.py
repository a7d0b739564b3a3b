"""Reading an image's data: inspected, counted and hashed while it passes by."""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from onestack.image.inspection import Finding, Inspector
from onestack.image.store import Examined


class Reading:
    """Data on its way, judged by what its image says that it is."""

    def __init__(self, disk_format: str, container_format: str) -> None:
        self._inspector = Inspector(disk_format, container_format)
        self._checksum = hashlib.md5(usedforsecurity=False)
        self._sha512 = hashlib.sha512()
        self._size = 0
        self._finding: Finding | None = None

    def pieces(self, stream: Iterable[bytes]) -> Iterator[bytes]:
        """The stream's pieces; it ends in an error when they are not what was declared."""
        # Two hashes are what an upload costs most, so each has a thread; neither runs far ahead.
        with ThreadPoolExecutor(1, "checksum") as beside:
            counted: Future[None] | None = None
            for piece in stream:
                self._inspector.feed(piece)
                if counted is not None:
                    counted.result()
                counted = beside.submit(self._checksum.update, piece)
                self._sha512.update(piece)
                self._size += len(piece)
                yield piece
        self._finding = self._inspector.finish()

    def examined(self) -> Examined:
        """What the pieces were, once all of them have been read."""
        return Examined(
            size=self._size,
            checksum=self._checksum.hexdigest(),
            sha512=self._sha512.hexdigest(),
            virtual_size=self._finding.virtual_size if self._finding else None,
        )
