"""Uploads piece by piece, so that other things happen while one is under way."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

from tests.cloud import Local
from tests.image.actors import Actor


class SlowUpload:
    """An upload whose pieces come when the test says so."""

    def __init__(self, actor: Actor, image: Any) -> None:
        self.local = actor.local
        self._pieces: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._sent: list[dict[str, Any]] = []
        path = f"/image/v2/images/{image['id']}/file"
        headers = {
            "host": "127.0.0.1:5000",
            "x-auth-token": actor.token or "",
            "content-type": "application/octet-stream",
            "transfer-encoding": "chunked",
        }
        scope = {
            "type": "http", "method": "PUT", "raw_path": path.encode(), "path": path,
            "query_string": b"", "client": ("127.0.0.1", 1),
            "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        }  # fmt: skip
        running: Coroutine[Any, Any, None] = self.local.application(
            scope, self._pieces.get, self._send
        )
        self._task = self.local.loop.create_task(running)

    def piece(self, data: bytes, *, is_last: bool = False) -> None:
        """Send a piece, and let the server work on it for a moment."""
        self._put({"type": "http.request", "body": data, "more_body": not is_last})

    def leave(self) -> None:
        """Close the connection in the middle."""
        self._put({"type": "http.disconnect"})

    def status(self) -> int:
        """Wait for the answer."""
        self.local.loop.run_until_complete(asyncio.wait_for(self._task, 20))
        return int(self._sent[0]["status"])

    @property
    def body(self) -> Any:
        return json.loads(b"".join(each.get("body", b"") for each in self._sent[1:]))

    def _put(self, message: dict[str, Any]) -> None:
        self._pieces.put_nowait(message)
        self.local.loop.run_until_complete(asyncio.sleep(0.05))

    async def _send(self, message: dict[str, Any]) -> None:
        self._sent.append(message)


def files_of(local: Local) -> list[str]:
    """The names of everything in the store, whole or not."""
    folder = local.data / "images"
    return sorted(each.name for each in folder.rglob("*") if each.is_file())
