"""Bodies too large for memory: received and sent in pieces, at the speed of the slower side."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from threading import Condition, Lock
from typing import Any, Protocol, runtime_checkable

import msgspec

from onestack.core import clock, log
from onestack.core.conditions import Range
from onestack.core.errors import BadRequest, RequestTimeout, TooLarge
from onestack.core.threads import Threads

PIECE_BYTES = 256 << 10  # how much is read of a source, and sent, at a time
HELD_BYTES_MAX = 1 << 20  # how much of an upload waits for its reader
GATHER_S = 0.05  # how long small pieces of a slow source are gathered
STALL_S = 60.0  # how long the other side may do nothing
LEFTOVER_BYTES_MAX = 256 << 10  # an unread rest of a body that is cheaper to read than to refuse
LEFTOVER_S = 0.5
LINGER_S = 5.0  # how long a refused body is let in, so that its sender gets to read the answer

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


@runtime_checkable
class File(Protocol):
    """What is read by pieces."""

    def read(self, size: int, /) -> bytes: ...
    def seek(self, offset: int, /) -> int: ...


class Download(msgspec.Struct, frozen=True):
    """An answer that is sent piece by piece: a file, or an iterator of bytes.

    `size` is that of the whole content, `part` the piece of it that was asked for: a file is read
    from the part's start on, an iterator begins there by itself. The source is closed in the end,
    whatever happens; it runs on other threads than the handler, when the handler has returned, and
    so must not touch the request's context.
    """

    source: File | Iterable[bytes]
    size: int | None = None
    content_type: str = "application/octet-stream"
    headers: Mapping[str, str] = {}
    status: int = 200
    part: Range | None = None
    etag: str | None = None

    @property
    def sent_bytes(self) -> int | None:
        """How long the body will be."""
        return self.size if self.part is None else self.part.size


class ClientGone(BadRequest):
    message = "The client went away before its whole request was read."


class TooSlow(RequestTimeout):
    message = "Nothing more of the request's body came for {seconds:g} seconds."


class SourceFailed(Exception):
    """What a download is read from gave more or less than was announced."""


class Upload:
    """A request's body: a thread reads it while the event loop receives it."""

    def __init__(self, receive: Receive, headers: Mapping[str, str]) -> None:
        length = headers.get("content-length", "")
        self.declared_bytes = int(length) if length.isdigit() else None
        self.before_waiting: Callable[[], None] = _nothing
        self._receive = receive
        self._expects_consent = headers.get("expect", "").lower() == "100-continue"
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()  # touched by the loop alone
        self._changed = Condition(Lock())  # guards what follows
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._is_parked = True
        self._is_begun = self._is_ended = self._is_gone = self._is_stopped = False
        self._rest: bytes | memoryview = b""  # of the piece at hand; the reader's own
        self._read_bytes = 0
        self._bytes_max: int | None = None

    def limit(self, bytes_max: int) -> None:
        """Refuse a body longer than this: at once where its length is known, else on the way."""
        self._bytes_max = bytes_max
        if self.declared_bytes is not None and self.declared_bytes > bytes_max:
            raise TooLarge(limit=bytes_max)

    def read(self, size: int = -1) -> bytes:
        """As many bytes as asked for, fewer at the end only; all that come, for -1."""
        parts: list[bytes | memoryview] = []
        while size != 0:
            piece = self._rest or self._take()
            if not piece:
                break
            self._rest = b""
            if 0 <= size < len(piece):
                self._rest = memoryview(piece)[size:]
                piece = piece[:size]
            parts.append(piece)
            size -= len(piece) if size > 0 else 0
        return b"".join(parts)

    def __iter__(self) -> Iterator[bytes]:
        """The pieces as they come."""
        while piece := self._rest or self._take():
            self._rest = b""
            yield bytes(piece)

    def _take(self) -> bytes:
        """The next piece; empty at the end."""
        self.before_waiting()
        with self._changed:
            while not self._held and not (self._is_ended or self._is_gone or self._is_stopped):
                self._ask()
                if not self._changed.wait(STALL_S):
                    raise TooSlow(seconds=STALL_S)
            if self._is_stopped or (self._is_gone and not self._held):
                raise ClientGone
            if not self._held:
                return b""
            piece = self._held.popleft()
            self._held_bytes -= len(piece)
            if self._held_bytes <= HELD_BYTES_MAX // 2:
                self._ask()
        self._read_bytes += len(piece)
        if self._bytes_max is not None and self._read_bytes > self._bytes_max:
            raise TooLarge(limit=self._bytes_max)
        return piece

    def _ask(self) -> None:
        if self._is_parked and not self._is_ended:
            self._is_parked = False
            self._loop.call_soon_threadsafe(self._wanted.set)

    async def feed(self) -> None:
        """Receive the body as fast as it is read; the first piece when it is asked for."""
        while not self._is_ended:
            await self._wanted.wait()
            await self._next(is_kept=True)

    def stop(self) -> None:
        """Nobody reads any more: wake who still does."""
        with self._changed:
            self._is_stopped = True
            self._held.clear()
            self._changed.notify_all()

    async def settle(self) -> bool:
        """Read the rest when it is small; whether the body is at its end then."""
        if self._expects_consent and not self._is_begun:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(LEFTOVER_S):
                read_bytes = 0
                while not self._is_ended and read_bytes <= LEFTOVER_BYTES_MAX:
                    read_bytes += await self._next()
        return self._is_ended

    async def linger(self) -> None:
        """Let the rest in for a while: a connection that is cut loses the answer with it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while not self._is_ended:
                    await self._next()

    async def gone(self) -> None:
        """Return when the client goes away; what is left of the body is dropped."""
        while not self._is_ended:
            await self._next()
        if not self._is_gone and (await self._receive())["type"] != "http.disconnect":
            await self._loop.create_future()

    async def _next(self, is_kept: bool = False) -> int:
        """Receive one piece, for the reader or for nobody; how long it was."""
        message = await self._receive()
        self._is_begun = True
        piece: bytes = message.get("body", b"")
        with self._changed:
            self._is_gone = message["type"] == "http.disconnect"
            self._is_ended = self._is_gone or not message.get("more_body", False)
            if is_kept and piece:
                self._held.append(piece)
                self._held_bytes += len(piece)
                if self._held_bytes >= HELD_BYTES_MAX:
                    self._is_parked = True
                    self._wanted.clear()
            self._changed.notify()
        return len(piece)


class Producer:
    """Reads a download's source: one piece at a time, each on a thread that is free just then."""

    def __init__(self, download: Download, threads: Threads) -> None:
        self.download, self._threads = download, threads
        self._left = download.sent_bytes
        self._pieces = _pieces(download)
        self._lock = Lock()  # a source is neither read twice at once nor closed while it is read
        self._is_closed = False
        self._first: bytes | None = None

    async def begin(self) -> None:
        """Read the first piece: a source that cannot be read is found before the answer starts."""
        self._first = await self.next()

    async def next(self) -> bytes:
        """The next piece; empty at the end."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return await self._threads.run(self._read)

    async def close(self) -> None:
        """Let go of the source, once nobody reads it any more."""
        await asyncio.shield(self._threads.start(self._close))

    def _close(self) -> None:
        with self._lock:
            self._is_closed = True
            for each in (self._pieces, self.download.source):
                closing = getattr(each, "close", None)
                if closing is not None:
                    closing()

    def _read(self) -> bytes:
        with self._lock:
            if self._is_closed or self._left == 0:
                return b""
            piece = self._gather()
            if self._left is not None:
                if len(piece) > self._left or not piece:
                    raise SourceFailed(f"{self._left} bytes were left to send, {len(piece)} came")
                self._left -= len(piece)
            return piece

    def _gather(self) -> bytes:
        """One large piece, or several small ones as far as they come soon."""
        until = clock.monotonic() + GATHER_S
        parts: list[bytes] = []
        size = 0
        for piece in self._pieces:
            parts.append(piece)
            size += len(piece)
            if size >= PIECE_BYTES or (size and clock.monotonic() >= until):
                break
        return b"".join(parts)


class Channel(msgspec.Struct, frozen=True):
    """The connection to the client: its two directions, and the way to cut it."""

    receive: Receive
    send: Send
    abort: Callable[[], None]


async def transmit(producer: Producer, upload: Upload, channel: Channel) -> bool:
    """Send the body, whose head is sent; whether all of it went out."""
    departure = asyncio.ensure_future(upload.gone())
    ahead = asyncio.ensure_future(producer.next())
    try:
        while piece := await ahead:
            ahead = asyncio.ensure_future(producer.next())
            async with asyncio.timeout(STALL_S):
                await channel.send({"type": "http.response.body", "body": piece, "more_body": True})
            if departure.done():
                log.info("the client left during a download")
                return False
        await channel.send({"type": "http.response.body", "body": b""})
        return True
    except TimeoutError:
        log.warning("a download was cut: the client took nothing", seconds=STALL_S)
    except Exception as error:
        log.exception("a download was cut: its source failed", error)
    finally:
        departure.cancel()
        ahead.cancel()
    channel.abort()
    return False


def _pieces(download: Download) -> Iterator[bytes]:
    source = download.source
    return _read_file(source, download) if isinstance(source, File) else iter(source)


def _read_file(file: File, download: Download) -> Iterator[bytes]:
    if download.part is not None:
        file.seek(download.part.start)
    left = download.sent_bytes
    while left is None or left > 0:
        piece = file.read(PIECE_BYTES if left is None else min(PIECE_BYTES, left))
        if not piece:
            return
        yield piece
        left = None if left is None else left - len(piece)


def _nothing() -> None:
    pass
