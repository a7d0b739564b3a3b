"""Projects that tests make, and how their people ask for volumes."""

from typing import Any

from tests import accounts
from tests.cloud import Answer, Local
from tests.settle import settle

NEWEST = "3.70"


class Actor:
    """Somebody who asks the volume service: paths begin behind /volume/v3."""

    def __init__(self, local: Local, token: str | None, project: str = "") -> None:
        self.local, self.token, self.project, self.version = local, token, project, NEWEST

    def at(self, version: str) -> "Actor":
        """The same person with a client of another microversion."""
        other = Actor(self.local, self.token, self.project)
        other.version = version
        return other

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        headers = {"openstack-api-version": f"volume {self.version}"}
        return self.local.ask(method, f"/volume/v3{path}", body, self.token, headers)

    def get(self, path: str, status: int = 200) -> Any:
        return self._expect(self.ask("GET", path), status)

    def post(self, path: str, body: Any, status: int = 202) -> Any:
        return self._expect(self.ask("POST", path, body), status)

    def put(self, path: str, body: Any, status: int = 200) -> Any:
        return self._expect(self.ask("PUT", path, body), status)

    def delete(self, path: str, status: int = 202) -> Any:
        return self._expect(self.ask("DELETE", path), status)

    def volume(self, status: str = "available", **attributes: Any) -> Any:
        """A new volume, when it is ready."""
        made = self.post("/volumes", {"volume": {"size": 1, **attributes}})["volume"]
        return self.settled(made, status)

    def settled(self, volume: Any, status: str) -> Any:
        """A volume when nothing is under way any more."""
        settle(self.local)
        found = self.show(volume)
        assert found["status"] == status, found
        return found

    def show(self, volume: Any) -> Any:
        return self.get(f"/volumes/{volume['id']}")["volume"]

    def snapshot(self, volume: Any, **attributes: Any) -> Any:
        """A snapshot, when it is ready."""
        body = {"snapshot": {"volume_id": volume["id"], **attributes}}
        made = self.post("/snapshots", body)["snapshot"]
        settle(self.local)
        found = self.get(f"/snapshots/{made['id']}")["snapshot"]
        assert found["status"] == "available", found
        return found

    def act(self, volume: Any, name: str, body: Any = None, status: int = 202) -> Any:
        return self.post(f"/volumes/{volume['id']}/action", {name: body or {}}, status)

    def ids(self, query: str = "") -> list[str]:
        """The ids that a list shows, in its order."""
        return [each["id"] for each in self.get(f"/volumes/detail?{query}")["volumes"]]

    def _expect(self, answer: Answer, status: int) -> Any:
        assert answer.status == status, answer
        return answer.body if answer.content else None


def admin(local: Local) -> Actor:
    """The administrator, for the project admin."""
    return Actor(local, *accounts.known(local, "admin"))


def newcomer(local: Local, name: str, role: str = "member", project: str = "") -> Actor:
    """Somebody with a role in a project, which is a new one unless it is given."""
    return Actor(local, *accounts.newcomer(local, name, role, project))


def message(answer: Answer) -> str:
    """What an error says."""
    ((_, error),) = answer.body.items()
    return str(error["message"])
