"""Projects that tests make, and how their people ask for networks."""

import json
from typing import Any

from tests import accounts
from tests.cloud import Answer, Local


class Actor:
    """Somebody who asks the network service: paths begin behind /network/v2.0."""

    def __init__(self, local: Local, token: str | None, project: str = "") -> None:
        self.local, self.token, self.project = local, token, project

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        return self.local.ask(method, f"/network/v2.0{path}", body, self.token)

    def get(self, path: str, status: int = 200) -> Any:
        return self._expect(self.ask("GET", path), status)

    def post(self, path: str, body: Any, status: int = 201) -> Any:
        return self._expect(self.ask("POST", path, body), status)

    def put(self, path: str, body: Any = None, status: int = 200) -> Any:
        return self._expect(self.ask("PUT", path, body), status)

    def delete(self, path: str, status: int = 204) -> Any:
        return self._expect(self.ask("DELETE", path), status)

    def make(self, noun: str, status: int = 201, **attributes: Any) -> Any:
        """A new thing: `noun` is what its body is called, such as security_group."""
        answer = self.post(f"/{plural(noun)}", {noun: attributes}, status)
        return answer[noun] if status == 201 else answer

    def change(self, noun: str, thing: Any, status: int = 200, **attributes: Any) -> Any:
        answer = self.put(f"/{plural(noun)}/{thing['id']}", {noun: attributes}, status)
        return answer[noun] if status == 200 else answer

    def show(self, noun: str, thing: Any, status: int = 200) -> Any:
        answer = self.get(f"/{plural(noun)}/{thing['id']}", status)
        return answer[noun] if status == 200 else answer

    def drop(self, noun: str, thing: Any, status: int = 204) -> Any:
        return self.delete(f"/{plural(noun)}/{thing['id']}", status)

    def ids(self, noun: str, query: str = "") -> list[str]:
        """The ids that a list shows, in its order."""
        found = self.get(f"/{plural(noun)}?{query}")[plural(noun).replace("-", "_")]
        return [each["id"] for each in found]

    def _expect(self, answer: Answer, status: int) -> Any:
        assert answer.status == status, answer
        return json.loads(answer.content) if answer.content else None


def plural(noun: str) -> str:
    """What a list of a noun is called in a path."""
    dashed = noun.replace("_", "-")
    return f"{dashed[:-1]}ies" if dashed.endswith("policy") else f"{dashed}s"


def admin(local: Local) -> Actor:
    """The administrator, for the project admin."""
    return Actor(local, *accounts.known(local, "admin"))


def newcomer(local: Local, name: str, role: str = "member", project: str = "") -> Actor:
    """Somebody with a role in a project, which is a new one unless it is given."""
    return Actor(local, *accounts.newcomer(local, f"network-{name}", role, project))
