"""The HTTP server: uvicorn's, with one write for each answer and a bound on a request's head."""

import asyncio
from collections.abc import Callable
from socket import socket
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX = 128 << 10
HELD_BYTES_MAX = 64 << 10
MESSAGE_BYTES_MAX = 1 << 20  # of a WebSocket
HEAD_S = 30.0
# Clients that wait for something ask every five seconds, by a connection that must be there still.
IDLE_S = 75
HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class _Together:
    """A transport that sends what is written within one turn of the loop by one system call."""

    __slots__ = ("_held", "_held_bytes", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held: list[bytes] = []
        self._held_bytes = 0

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > HELD_BYTES_MAX:
            self._send()

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._held:
            if not self._transport.is_closing():
                self._transport.write(b"".join(self._held))
            self._held.clear()
            self._held_bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Protocol(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0
    _overdue: asyncio.TimerHandle | None = None  # while the head of a request is coming

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, _Together(transport, self.loop)))
        self._overdue = self.loop.call_later(HEAD_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"onestack.connection": {"abort": self.transport.abort}}

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self.transport.write(HEAD_TOO_LARGE)
            self.transport.close()
        elif self._head_bytes > 0 and self._overdue is None:
            self._overdue = self.loop.call_later(HEAD_S, self._give_up)

    def on_headers_complete(self) -> None:
        self._settle()
        super().on_headers_complete()
        self._head_bytes = -(1 << 62)  # what follows is the body, which has a limit of its own

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._head_bytes = 0

    def _settle(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _give_up(self) -> None:
        """Close a connection whose next request does not come to its point."""
        self._overdue = None
        self.transport.close()


class Server(uvicorn.Server):
    """The server; what it is given to do at the beginning is done once it listens."""

    begin: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self.begin is not None:
            self.begin()


def server(app: Any, listen: str, port: int) -> Server:
    """A server of `app`, not started yet."""
    settings = uvicorn.Config(
        app,
        host=listen,
        port=port,
        loop="uvloop",
        http=Protocol,
        ws="websockets-sansio",
        ws_max_size=MESSAGE_BYTES_MAX,
        ws_per_message_deflate=False,
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        backlog=1024,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=5,
    )
    return Server(settings)
