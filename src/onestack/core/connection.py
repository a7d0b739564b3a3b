"""A client's connection: HTTP/1.1 as it comes in, one request answered after the other."""

import asyncio
from collections import deque
from math import inf
from typing import Any, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url
from uvicorn import Config
from uvicorn.server import ServerState

from onestack.core import log, wire
from onestack.core.context import Request
from onestack.core.heads import Known
from onestack.core.http import Application
from onestack.core.response import BODILESS, Header
from onestack.core.streams import Channel
from onestack.core.turn import Meaning, Turn

HEAD_BYTES_MAX = 128 << 10
HELD_BYTES_MAX = 64 << 10  # of a body that is not read yet
HEAD_S = 30.0
# Clients that wait for something ask every five seconds, by a connection that must be there still.
IDLE_S = 75.0


class Connection(asyncio.Protocol):
    """One connection. What can be answered at once is; what waits for its body, for a thread or for
    a slow client has a task, and the requests behind it wait for that."""

    transport: asyncio.Transport

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:  # fmt: skip
        self.application = cast(Application, config.loaded_app)
        self.state = server_state
        self._config, self._app_state = config, app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._parser = HttpRequestParser(self)
        # What comes behind a client's last request is let in, and not looked at.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._client = ""
        self._url, self._lines = b"", list[Header]()
        self._head_bytes = 0
        self._is_in_head = self._is_in_body = self._is_head_timed = False
        self._handshake: bytes | None = None  # of a WebSocket
        self._queue: deque[Exchange] = deque()  # not begun yet
        self._current: Exchange | None = None  # is being answered
        self._incoming: Exchange | None = None  # its body is coming
        self._is_reading, self._is_ending = True, False
        self._writable: asyncio.Event | None = None  # while the client takes nothing
        self._deadline = self._timer_at = inf
        self._timer: asyncio.TimerHandle | None = None

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._client = str(peer[0]) if isinstance(peer, tuple) else ""
        self.state.connections.add(cast(Any, self))
        self._close_in(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._retire()
        for each in (*self._queue, self._current, self._incoming):
            if each is not None:
                each.lose()
        self._queue.clear()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        # One whole request, and nothing else, may be known by its bytes.
        is_apart = self._is_between_requests and not self._queue
        known = self.application.heads.find(data) if is_apart else None
        if known is not None:
            request = known.request.again(self._client)
            exchange = Exchange(self, request, known.meaning)
            exchange.end_body()
            self._queue.append(exchange)
        elif not self._read(data):
            return
        elif is_apart and self._is_between_requests and len(self._queue) == 1:
            self._queue[0].head = data
        self._advance()
        if self._queue:
            self.pause_reading()
        elif self._is_in_head and not self._is_head_timed and self._current is None:
            self._is_head_timed = True
            self._close_in(HEAD_S)

    def pause_writing(self) -> None:
        self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    # What the parser finds.

    def _read(self, data: bytes) -> bool:
        """Let the parser find what there is; False when that is the end of it."""
        if not self._is_in_body:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            if self._handshake is not None:
                self._become_websocket(self._handshake)
                return False
        except HttpParserError:
            self._refuse(wire.NO_HTTP)
            return False
        if self._head_bytes > HEAD_BYTES_MAX:
            self._refuse(wire.HEAD_TOO_LARGE)
            return False
        return True

    def on_message_begin(self) -> None:
        self._url, self._lines = b"", []
        self._is_in_head, self._is_head_timed = True, False

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_in_head:  # behind a body in chunks there may be more, of no meaning here
            self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        self._is_in_head, self._is_in_body, self._head_bytes = False, True, 0
        if self._is_ending:
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self._lines
        }
        method = self._parser.get_method()
        is_modern = self._parser.get_http_version() == "1.1"
        is_last = not (is_modern and self._parser.should_keep_alive())
        if self._parser.should_upgrade():
            is_last = True  # the parser reads no further
            if headers.get("upgrade", "").lower() == "websocket" and self._is_idle:
                self._handshake = wire.handshake(method, self._url, self._lines)
                return
        path, query = _split(self._url)
        request = Request(method.decode("ascii"), path, query, headers, client=self._client)
        self._is_ending = is_last
        self._incoming = Exchange(self, request, is_modern=is_modern, is_last=is_last)
        self._queue.append(self._incoming)

    def on_body(self, body: bytes) -> None:
        if self._incoming is not None:
            self._incoming.take(body)

    def on_message_complete(self) -> None:
        self._is_in_body = False
        if self._incoming is not None:
            self._incoming.end_body()
            self._incoming = None

    # What exchanges ask for.

    def pause_reading(self) -> None:
        if self._is_reading and not self.transport.is_closing():
            self._is_reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._is_reading and not self._queue and not self.transport.is_closing():
            self._is_reading = True
            self.transport.resume_reading()

    async def writable(self) -> None:
        """Wait until the client takes what is sent."""
        if self._writable is not None:
            await self._writable.wait()

    def answered(self, exchange: "Exchange") -> None:
        """An exchange is over: the next one begins, in the next round of the event loop."""
        self._current = None
        if self.transport.is_closing():
            return
        if exchange.is_last:
            self.transport.close()
        elif self._queue:
            self._loop.call_soon(self._advance)
        else:
            self.resume_reading()
            self._close_in(HEAD_S if self._is_in_head else IDLE_S)

    def shutdown(self) -> None:
        """Close the connection, after the answer that is under way."""
        self._is_ending = True
        self._queue.clear()
        if self._current is None:
            self.transport.close()
        else:
            self._current.is_last = True

    @property
    def _is_between_requests(self) -> bool:
        return not (self._is_in_head or self._is_in_body or self._is_ending)

    @property
    def _is_idle(self) -> bool:
        return self._current is None and not self._queue

    def _advance(self) -> None:
        """Begin the next request, and answer it if nothing has to be waited for."""
        if self._current is not None or not self._queue or self.transport.is_closing():
            return
        exchange = self._current = self._queue.popleft()
        turn = self.application.begin(exchange.request, exchange.meaning)
        if exchange.head is not None and turn.meaning is not None:
            self.application.heads.keep(exchange.head, Known(exchange.request, turn.meaning))
        if self._writable is None and turn.is_complete:
            exchange.answer(turn)
            return
        self._deadline = inf
        task = self._loop.create_task(exchange.carry_on(turn))
        self.state.tasks.add(task)
        task.add_done_callback(self.state.tasks.discard)

    def _refuse(self, answer: bytes) -> None:
        """Answer what is no request; within an answer, only the end of the connection is left."""
        if self._current is None or not self._current.has_begun:
            self.transport.write(answer)
        self.transport.close()

    def _become_websocket(self, handshake: bytes) -> None:
        self._retire()
        protocol = cast(Any, self._config.ws_protocol_class)(
            config=self._config, server_state=self.state, app_state=self._app_state
        )
        protocol.connection_made(self.transport)
        protocol.data_received(handshake)
        self.transport.set_protocol(protocol)

    def _retire(self) -> None:
        self.state.connections.discard(cast(Any, self))
        if self._timer is not None:
            self._timer.cancel()

    def _close_in(self, seconds: float) -> None:
        """Close the connection then, unless something comes of it."""
        self._deadline = self._loop.time() + seconds
        if self._deadline < self._timer_at:
            self._wake_at(self._deadline)

    def _wake_at(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = moment
        self._timer = self._loop.call_at(moment, self._watch)

    def _watch(self) -> None:
        now = self._loop.time()
        if now >= self._deadline:
            self.transport.close()
        else:
            self._wake_at(min(self._deadline, now + IDLE_S))


class Exchange:
    """A request and its answer on the wire; piece by piece, where either is long."""

    __slots__ = (
        "_connection", "_held", "_is_bodiless", "_is_chunked", "_is_modern", "_is_told",
        "_is_whole", "_news", "_owes_consent", "_top", "has_begun", "head", "is_gone", "is_last",
        "is_over", "meaning", "request",
    )  # fmt: skip

    def __init__(
        self, connection: Connection, request: Request, meaning: Meaning | None = None,
        *, is_modern: bool = True, is_last: bool = False,
    ) -> None:  # fmt: skip
        self._connection, self.request, self.meaning = connection, request, meaning
        self.is_last, self._is_modern = is_last, is_modern
        self.head: bytes | None = None  # as it came, where it may come so again
        self._owes_consent = request.headers.get("expect", "").lower() == "100-continue"
        self._held = bytearray()  # of the body, not read yet
        self._is_whole = self._is_told = False  # the body; and the reader knows
        self._news: asyncio.Event | None = None
        self._top = b""  # of the answer; goes out with the beginning of its body
        self._is_chunked = self._is_bodiless = False
        self.has_begun = self.is_over = self.is_gone = False

    def take(self, piece: bytes) -> None:
        """A piece of the body is here."""
        if not self.is_over:
            self._held += piece
            if len(self._held) > HELD_BYTES_MAX:
                self._connection.pause_reading()
            self._tell()

    def end_body(self) -> None:
        self._is_whole = True
        self._tell()

    def lose(self) -> None:
        """The client is gone."""
        self.is_gone = True
        self._tell()

    def answer(self, turn: Turn) -> None:
        """Send an answer that is complete."""
        self._part_undecided()
        connection, response = self._connection, turn.conclude()
        default = connection.state.default_headers
        try:
            text = wire.whole(response, self.request.method, default, is_last=self.is_last)
        except wire.BadHeader as error:
            log.exception("an answer was not sent", error, request_id=turn.request_id)
            text, self.is_last = wire.FAILED, True
        connection.transport.write(text)
        self._end()
        connection.application.note(turn)

    async def carry_on(self, turn: Turn) -> None:
        """Answer, and wait for whatever that takes."""
        connection = self._connection
        channel = Channel(self._receive, self._send, connection.transport.abort)
        try:
            await connection.application.carry_on(turn, channel)
        except Exception as error:
            log.exception("an answer was not sent", error, request_id=turn.request_id)
            if not self.has_begun:
                connection.transport.write(wire.FAILED)
        finally:
            if not self.is_over:
                self.is_last = True
                self._end()

    async def _receive(self) -> dict[str, Any]:
        """The next piece of the body; that the client is gone, when there are no more."""
        if self._owes_consent and not self.has_begun:
            self._connection.transport.write(wire.CONTINUE)
        self._owes_consent = False
        while not (self._held or self.is_gone or self.is_over or self._is_end_untold):
            self._connection.resume_reading()
            self._news = asyncio.Event()
            await self._news.wait()
        if self.is_gone or self.is_over:
            return {"type": "http.disconnect"}
        piece = bytes(self._held)
        self._held.clear()
        self._is_told = self._is_whole
        return {"type": "http.request", "body": piece, "more_body": not self._is_whole}

    @property
    def _is_end_untold(self) -> bool:
        return self._is_whole and not self._is_told

    async def _send(self, message: dict[str, Any]) -> None:
        """Send the head of the answer, or a piece of its body; the head goes with the first."""
        await self._connection.writable()
        if self.is_gone:
            return
        if message["type"] == "http.response.start":
            self._top = self._head(message["status"], message["headers"])
            return
        piece, is_end = message["body"], not message.get("more_body", False)
        if self._is_bodiless:
            piece = b""
        elif self._is_chunked:
            piece = wire.chunk(piece, is_last=is_end)
        if self._top or piece:
            self.has_begun = True
            self._connection.transport.write(self._top + piece)
            self._top = b""
        if is_end:
            self._end()

    def _head(self, status: int, headers: list[Header]) -> bytes:
        """The head of the answer, which says how long its body is; or that it comes in chunks; or
        that the connection ends with it."""
        self._part_undecided()
        self._is_bodiless = status in BODILESS or self.request.method == "HEAD"
        if wire.CLOSE in headers:
            headers.remove(wire.CLOSE)
            self.is_last = True
        if not self._is_bodiless and all(name != b"content-length" for name, _ in headers):
            self._is_chunked = self._is_modern
            self.is_last = self.is_last or not self._is_modern
        if self._is_chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        default = self._connection.state.default_headers
        return wire.head(status, [*default, *headers], is_last=self.is_last)

    def _part_undecided(self) -> None:
        """A client that waits to be asked for its body and is not may send it or the next request;
        nobody could tell which, so this answer is the last."""
        self.is_last = self.is_last or self._owes_consent

    def _end(self) -> None:
        self.is_over = True
        self._tell()
        self._connection.answered(self)

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()


def _split(url: bytes) -> tuple[str, str]:
    """The path and the query of a request's target."""
    if not url.startswith(b"/") or b"#" in url:
        parsed = parse_url(url)
        return (parsed.path or b"").decode("latin-1"), (parsed.query or b"").decode("latin-1")
    path, _, query = url.decode("latin-1").partition("?")
    return path, query
