"""The few parts of a stream that its inspection needs, kept while the rest passes by."""

from onestack.image.inspection.refusal import Refused

HEAD_BYTES = 512 << 10
TAIL_BYTES = 2 << 10
REGION_BYTES_MAX = 512 << 10


class Regions:
    """The first bytes of a stream, the last ones, and one region between that was asked for."""

    def __init__(self) -> None:
        self.size = 0
        self.tail = b""
        self._head = bytearray()
        self._region = bytearray()
        self._start = self._end = 0

    @property
    def head_missing(self) -> int:
        """How many bytes the head waits for."""
        return HEAD_BYTES - len(self._head)

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the stream."""
        if self.head_missing:
            self._head += piece[: self.head_missing]
        begin, end = self.size, self.size + len(piece)
        if begin < self._end and end > self._start:
            self._region += piece[max(self._start - begin, 0) : self._end - begin]
        self.tail = (self.tail + piece[-TAIL_BYTES:])[-TAIL_BYTES:]
        self.size = end

    def head(self, offset: int, size: int) -> bytes:
        """Bytes near the start; refused where there are none."""
        found = bytes(self._head[offset : offset + size])
        if offset < 0 or size < 0 or len(found) != size:
            raise Refused(reason=f"its header ends before byte {offset + size}")
        return found

    def peek(self, offset: int, size: int) -> bytes:
        """Bytes near the start, as many as there are."""
        return bytes(self._head[offset : offset + size])

    def want(self, offset: int, size: int) -> None:
        """Keep a region that is still to come, or that the head holds."""
        if size > REGION_BYTES_MAX:
            raise Refused(reason="its metadata is too long")
        if offset + size <= len(self._head):
            self._start, self._end = offset, offset + size
            self._region[:] = self._head[offset : offset + size]
            return
        if offset < self.size:
            raise Refused(reason="its metadata lies where no program puts it")
        self._start, self._end = offset, offset + size

    def region(self) -> bytes:
        """The region that was asked for, as far as the stream had it."""
        return bytes(self._region)
