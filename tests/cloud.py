"""A cloud within the test's own process, asked through its HTTP application."""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onestack import main
from onestack.core.context import Cloud
from onestack.core.http import Application

ROOT = "http://127.0.0.1:5000"


class Answer:
    """What came back."""

    def __init__(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.status, self.headers, self.content = status, headers, content

    @property
    def body(self) -> Any:
        return json.loads(self.content)

    @property
    def message(self) -> str:
        return str(self.body["error"]["message"])

    def __repr__(self) -> str:
        return f"{self.status} {self.content[:2000].decode(errors='replace')}"


class Local:
    """A running cloud, and how to ask it."""

    def __init__(self, data: Path, environ: Mapping[str, str]) -> None:
        self.data, self.environ = data, environ
        self.cloud: Cloud = main.build(data, ROOT, environ, durable=False)
        self.application: Application = main.application(self.cloud)
        self.loop = asyncio.new_event_loop()
        self.accounts = json.loads((data / "admin.json").read_text())
        self._tokens: dict[str, str] = {}

    def close(self) -> None:
        self.loop.close()
        main.close(self.cloud)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; `body` is sent as JSON unless it is bytes."""
        content = body if isinstance(body, bytes) else b"" if body is None else _json(body)
        given = {"host": "127.0.0.1:5000", **{k.lower(): v for k, v in (headers or {}).items()}}
        if body is not None:
            given.setdefault("content-type", "application/json")
        if token is not None:
            given["x-auth-token"] = token
        return self.loop.run_until_complete(self._ask(method, path, content, given))

    async def _ask(
        self, method: str, path: str, content: bytes, headers: Mapping[str, str]
    ) -> Answer:
        raw, _, query = path.partition("?")
        if content:
            headers = {"content-length": str(len(content)), **headers}
        scope = {
            "type": "http",
            "method": method,
            "raw_path": raw.encode(),
            "path": raw,
            "query_string": query.encode(),
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in headers.items()],
            "client": ("127.0.0.1", 1),
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.application(scope, receive, send)
        found = {k.decode(): v.decode("latin-1") for k, v in sent[0]["headers"]}
        answer = Answer(sent[0]["status"], found, b"".join(m.get("body", b"") for m in sent[1:]))
        self._record(method, raw, answer)
        return answer

    def _record(self, method: str, path: str, answer: Answer) -> None:
        """Note which operation was exercised, for the table of operations."""
        target = os.environ.get("ONESTACK_RECORD_OPERATIONS")
        if not target:
            return
        service, by_method, _ = self.application.routes.find(path)
        operation = by_method.get("GET" if method == "HEAD" else method)
        if service is not None and operation is not None:
            route = f"{service.root}{operation.path}"  # several services have a /v3/groups
            line = {"method": method, "route": route, "status": answer.status}
            with open(target, "a") as file:
                file.write(json.dumps(line) + "\n")

    def login(self, user: str, password: str, scope: Any = None, domain: str = "Default") -> Answer:
        """Ask for a token by password."""
        who = {"name": user, "password": password, "domain": {"name": domain}}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": who}}}
        if scope is not None:
            auth["scope"] = scope
        return self.ask("POST", "/identity/v3/auth/tokens", {"auth": auth})

    def token(self, account: str = "admin", scope: Any = None) -> str:
        """A token of one of the first accounts, for its own project unless `scope` says else."""
        key = f"{account} {json.dumps(scope)}"
        if key not in self._tokens:
            who = self.accounts[account]
            wanted = scope or {"project": {"name": account, "domain": {"id": "default"}}}
            answer = self.login(account, who["password"], wanted)
            assert answer.status == 201, answer
            self._tokens[key] = answer.headers["x-subject-token"]
        return self._tokens[key]

    @property
    def admin(self) -> "As":
        return As(self, self.token("admin"))

    @property
    def demo(self) -> "As":
        return As(self, self.token("demo"))


class As:
    """Somebody who asks identity: paths begin behind /identity/v3."""

    def __init__(self, local: Local, token: str | None) -> None:
        self.local, self.token = local, token

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.local.ask(method, f"/identity/v3{path}", body, self.token, named)

    def get(self, path: str, status: int = 200, **headers: str) -> Any:
        return self._expect(self.ask("GET", path, **headers), status)

    def post(self, path: str, body: Any, status: int = 201) -> Any:
        return self._expect(self.ask("POST", path, body), status)

    def put(self, path: str, body: Any = None, status: int = 204) -> Any:
        return self._expect(self.ask("PUT", path, body), status)

    def patch(self, path: str, body: Any, status: int = 200) -> Any:
        return self._expect(self.ask("PATCH", path, body), status)

    def delete(self, path: str, status: int = 204) -> Any:
        return self._expect(self.ask("DELETE", path), status)

    def head(self, path: str, status: int = 200) -> Any:
        return self._expect(self.ask("HEAD", path), status)

    def _expect(self, answer: Answer, status: int) -> Any:
        assert answer.status == status, answer
        return answer.body if answer.content else None


def _json(body: Any) -> bytes:
    return json.dumps(body).encode()
