"""A client within the server's own process: the same API, without a socket."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

Application = Callable[[Any, Any, Any], Awaitable[None]]


class Answer(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    content: bytes

    @property
    def body(self) -> Any:
        return msgspec.json.decode(self.content)


class Refused(Exception):
    """The API did not do what it was asked to."""


class Inside:
    """The owner of a token, who asks an application."""

    def __init__(self, application: Application, token: str) -> None:
        self._application, self._token = application, token

    async def get(self, path: str) -> Any:
        return (await self.ask("GET", path)).body

    async def post(self, path: str, body: Any) -> Any:
        return (await self.ask("POST", path, body)).body

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """One request; bytes are sent as they are, all else as JSON. Refusals are raised."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body) if body else b""
        answer = await self._exchange(method, path, content, isinstance(body, bytes))
        if answer.status >= 400:
            said = answer.content[:500].decode(errors="replace")
            raise Refused(f"{method} {path.partition('?')[0]}: {answer.status} {said}")
        return answer

    async def _exchange(self, method: str, path: str, content: bytes, is_binary: bool) -> Answer:
        raw, _, query = path.partition("?")
        headers = {
            "host": "localhost",
            "x-auth-token": self._token,
            "content-type": "application/octet-stream" if is_binary else "application/json",
            "content-length": str(len(content)),
        }
        scope = {
            "type": "http", "method": method, "raw_path": raw.encode(), "path": raw,
            "query_string": query.encode(), "client": ("127.0.0.1", 0),
            "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
        }  # fmt: skip
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._application(scope, receive, send)
        whole = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], whole)
