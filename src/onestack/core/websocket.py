"""WebSockets: the server's side of one, as whoever serves a path with it sees it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from onestack.core.context import Cloud, Request

PROTOCOL = "binary"  # the one that consoles have asked for since browsers could not do without


class WebSocket:
    """A connection that a client asks for; nothing passes before it is accepted."""

    def __init__(
        self,
        request: "Request",
        protocols: Sequence[str],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        self.request, self._protocols = request, protocols
        self._receive, self._send = receive, send

    @property
    def is_from_here(self) -> bool:
        """Whether no page of another site asks: a browser says whose page it shows."""
        origin = self.request.headers.get("origin")
        return origin is None or urlsplit(origin).netloc == urlsplit(self.request.base_url).netloc

    async def accept(self) -> None:
        await self._receive()
        protocol = PROTOCOL if PROTOCOL in self._protocols else None
        await self._send({"type": "websocket.accept", "subprotocol": protocol, "headers": []})

    async def refuse(self) -> None:
        """Answer 403 to the request for a connection."""
        await self._receive()
        await self._send({"type": "websocket.close"})

    async def receive(self) -> bytes | None:
        """What the client sends next; None when it has gone."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            return None
        content: bytes | None = message.get("bytes")
        return message["text"].encode() if content is None else content

    async def send(self, content: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": content})

    async def close(self) -> None:
        await self._send({"type": "websocket.close", "code": 1000})


Handler: TypeAlias = "Callable[[Cloud, WebSocket], Awaitable[None]]"
