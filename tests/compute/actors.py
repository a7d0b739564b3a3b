"""People who ask the compute service, in whichever version of its API."""

from typing import Any

from tests import accounts
from tests.cloud import Answer, Local


class Actor:
    """Somebody who asks the compute service: paths begin behind /compute/v2.1."""

    def __init__(self, local: Local, token: str | None, project: str = "", version: str = "2.104"):
        self.local, self.token, self.project, self.version = local, token, project, version

    def at(self, version: str) -> "Actor":
        """The same person, speaking another version."""
        return Actor(self.local, self.token, self.project, version)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.version:
            named.setdefault("OpenStack-API-Version", f"compute {self.version}")
        return self.local.ask(method, f"/compute/v2.1{path}", body, self.token, named)

    def get(self, path: str, status: int = 200) -> Any:
        return self._expect(self.ask("GET", path), status)

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        return self._expect(self.ask("POST", path, body), status)

    def put(self, path: str, body: Any = None, status: int = 200) -> Any:
        return self._expect(self.ask("PUT", path, body), status)

    def delete(self, path: str, status: int = 204) -> Any:
        return self._expect(self.ask("DELETE", path), status)

    def message(self, method: str, path: str, status: int, body: Any = None) -> str:
        """What an answer of this status says went wrong."""
        answer = self.ask(method, path, body)
        assert answer.status == status, answer
        (fault,) = answer.body.values()
        assert fault["code"] == status
        return str(fault["message"])

    def _expect(self, answer: Answer, status: int) -> Any:
        assert answer.status == status, answer
        return answer.body if answer.content else None


def admin(local: Local) -> Actor:
    """The administrator, for the project admin."""
    return Actor(local, *accounts.known(local, "admin"))


def demo(local: Local) -> Actor:
    """A member of the project demo."""
    return Actor(local, *accounts.known(local, "demo"))


def newcomer(local: Local, name: str, role: str = "member", project: str = "") -> Actor:
    """Somebody with a role in a project, which is a new one unless it is given."""
    return Actor(local, *accounts.newcomer(local, name, role, project))
