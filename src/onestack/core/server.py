"""The HTTP server: uvicorn listens, and begins and ends it; connections are ours."""

from collections.abc import Callable
from socket import socket
from typing import Any

import uvicorn

from onestack.core.connection import Connection

MESSAGE_BYTES_MAX = 1 << 20  # of a WebSocket


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
        http=Connection,
        ws="websockets-sansio",
        ws_max_size=MESSAGE_BYTES_MAX,
        ws_per_message_deflate=False,
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        backlog=1024,
        timeout_graceful_shutdown=5,
    )
    return Server(settings)
