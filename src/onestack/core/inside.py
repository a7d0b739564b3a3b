"""A client within the server's own process: the same API, without a socket."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

Application = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return msgspec.json.decode(self.content)


class Refused(Exception):
    """The API did not do what it was asked to."""


def credentials(account: Mapping[str, str]) -> dict[str, Any]:
    """What an account asks for a token with, within its project."""
    user = {
        "name": account["username"],
        "password": account["password"],
        "domain": {"name": account["user_domain_name"]},
    }
    project = {
        "name": account["project_name"],
        "domain": {"name": account["project_domain_name"]},
    }
    identity = {"methods": ["password"], "password": {"user": user}}
    return {"auth": {"identity": identity, "scope": {"project": project}}}


class Inside:
    """Somebody who asks an application; a token makes it somebody in particular."""

    def __init__(self, application: Application, token: str | None = None) -> None:
        self._application, self._token = application, token

    async def sign_in(self, account: Mapping[str, str]) -> "Inside":
        """The same client as the user of an account, within the account's project."""
        answer = await self.ask("POST", "/identity/v3/auth/tokens", credentials(account))
        return Inside(self._application, answer.headers["x-subject-token"])

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
        headers = {"host": "localhost", "content-length": str(len(content))}
        headers["content-type"] = "application/octet-stream" if is_binary else "application/json"
        if self._token is not None:
            headers["x-auth-token"] = self._token
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
        found = {name.decode(): text.decode("latin-1") for name, text in sent[0]["headers"]}
        whole = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], found, whole)
