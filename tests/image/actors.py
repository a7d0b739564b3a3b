"""Projects that tests make, and how their people ask for images."""

import json
from typing import Any

from tests import accounts
from tests.cloud import Answer, Local

SECOND = "application/openstack-images-v2.1-json-patch"
FIRST = "application/openstack-images-v2.0-json-patch"


class Actor:
    """Somebody who asks the image service: paths begin behind /image/v2."""

    def __init__(self, local: Local, token: str | None, project: str = "") -> None:
        self.local, self.token, self.project = local, token, project

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.local.ask(method, f"/image/v2{path}", body, self.token, named)

    def get(self, path: str, status: int = 200) -> Any:
        return self._expect(self.ask("GET", path), status)

    def make(self, status: int = 201, **attributes: Any) -> Any:
        """A new image, ready for data unless the attributes say else."""
        body = {"disk_format": "raw", "container_format": "bare", **attributes}
        return self._expect(self.ask("POST", "/images", body), status)

    def upload(self, image: Any, data: bytes, status: int = 204, **headers: str) -> Answer:
        headers = {"content-type": "application/octet-stream", **headers}
        answer = self.ask("PUT", f"/images/{image['id']}/file", data, **headers)
        assert answer.status == status, answer
        return answer

    def made_active(self, data: bytes = b"data", **attributes: Any) -> Any:
        image = self.make(**attributes)
        self.upload(image, data)
        return self.get(f"/images/{image['id']}")

    def data(self, image: Any, status: int = 200, **headers: str) -> bytes:
        answer = self.ask("GET", f"/images/{image['id']}/file", **headers)
        assert answer.status == status, answer
        return answer.content

    def patch(self, image: Any, *changes: Any, status: int = 200, dialect: str = SECOND) -> Any:
        answer = self.ask("PATCH", f"/images/{image['id']}", list(changes), content_type=dialect)
        return self._expect(answer, status)

    def replace(self, image: Any, status: int = 200, **attributes: Any) -> Any:
        changes = [
            {"op": "replace", "path": f"/{name}", "value": value}
            for name, value in attributes.items()
        ]
        return self.patch(image, *changes, status=status)

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        return self._expect(self.ask("POST", path, body), status)

    def put(self, path: str, body: Any = None, status: int = 204) -> Any:
        return self._expect(self.ask("PUT", path, body), status)

    def delete(self, path: str, status: int = 204) -> Any:
        return self._expect(self.ask("DELETE", path), status)

    def ids(self, query: str = "") -> list[str]:
        """The ids that a list shows, in its order."""
        return [each["id"] for each in self.get(f"/images?limit=1000&{query}")["images"]]

    def _expect(self, answer: Answer, status: int) -> Any:
        assert answer.status == status, answer
        if not answer.content or "json" not in answer.headers["content-type"]:
            return None
        return json.loads(answer.content)


def admin(local: Local) -> Actor:
    """The administrator, for the project admin."""
    return Actor(local, *accounts.known(local, "admin"))


def demo(local: Local) -> Actor:
    """A member of the project demo."""
    return Actor(local, *accounts.known(local, "demo"))


def newcomer(local: Local, name: str, role: str = "member", project: str = "") -> Actor:
    """Somebody with a role in a project, which is a new one unless it is given."""
    return Actor(local, *accounts.newcomer(local, name, role, project))
