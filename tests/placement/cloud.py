"""Placement as somebody sees it: paths begin behind /placement, each request names its version."""

from typing import Any
from uuid import uuid4

from tests.cloud import Answer, Local

LATEST = "1.39"
NOBODY = "00000000-0000-0000-0000-000000000000"

Body = Any


def new_id() -> str:
    """A UUID that nothing has."""
    return str(uuid4())


class Placement:
    """Somebody who asks placement."""

    def __init__(self, local: Local, token: str | None) -> None:
        self.local, self.token = local, token

    def ask(self, method: str, path: str, body: Body = None, version: str = LATEST) -> Answer:
        headers = {"openstack-api-version": f"placement {version}"}
        return self.local.ask(method, f"/placement{path}", body, self.token, headers)

    def get(self, path: str, version: str = LATEST, status: int = 200) -> Body:
        return self.expect(self.ask("GET", path, None, version), status)

    def post(self, path: str, body: Body, version: str = LATEST, status: int = 200) -> Body:
        return self.expect(self.ask("POST", path, body, version), status)

    def put(self, path: str, body: Body = None, version: str = LATEST, status: int = 200) -> Body:
        return self.expect(self.ask("PUT", path, body, version), status)

    def delete(self, path: str, version: str = LATEST, status: int = 204) -> Body:
        return self.expect(self.ask("DELETE", path, None, version), status)

    def expect(self, answer: Answer, status: int) -> Body:
        assert answer.status == status, answer
        return answer.body if answer.content else None

    def refused(
        self, method: str, path: str, status: int, *said: str, body: Body = None,
        version: str = LATEST, code: str | None = None,
    ) -> None:  # fmt: skip
        """Ask, and expect to be told why not."""
        answer = self.ask(method, path, body, version)
        assert answer.status == status, answer
        error = answer.body["errors"][0]
        assert error["status"] == status
        for words in said:
            assert words in error["detail"], error
        if code is not None:
            assert error["code"] == code

    def provider(
        self, name: str | None = None, parent: str | None = None, traits: tuple[str, ...] = (),
        aggregates: tuple[str, ...] = (), **inventories: Body,
    ) -> str:  # fmt: skip
        """A provider with what it has; an inventory is its total, or everything about it."""
        body = {"name": name or new_id()}
        if parent is not None:
            body["parent_provider_uuid"] = parent
        made: str = self.post("/resource_providers", body)["uuid"]
        generation = 0
        if inventories:
            stock = {
                each: given if isinstance(given, dict) else {"total": given}
                for each, given in inventories.items()
            }
            self.put(
                f"/resource_providers/{made}/inventories",
                {"resource_provider_generation": generation, "inventories": stock},
            )
            generation += 1
        if traits:
            for trait in traits:
                if trait.startswith("CUSTOM_"):
                    assert self.ask("PUT", f"/traits/{trait}").status in (201, 204)
            body = {"resource_provider_generation": generation, "traits": list(traits)}
            self.put(f"/resource_providers/{made}/traits", body)
            generation += 1
        if aggregates:
            body = {"resource_provider_generation": generation, "aggregates": list(aggregates)}
            self.put(f"/resource_providers/{made}/aggregates", body)
        return made

    def allocate(self, consumer: str, amounts: Body, status: int = 204, **more: Body) -> None:
        """Give a consumer resources by provider."""
        self.put(f"/allocations/{consumer}", claim(amounts, **more), status=status)

    def candidates(self, query: str, version: str = LATEST) -> list[Body]:
        found: list[Body] = self.get(f"/allocation_candidates?{query}", version)[
            "allocation_requests"
        ]
        return found

    def served(self, query: str, version: str = LATEST) -> set[frozenset[tuple[str, str]]]:
        """Who gives what in each candidate."""
        return {
            frozenset(
                (provider, name)
                for provider, held in each["allocations"].items()
                for name in held["resources"]
            )
            for each in self.candidates(query, version)
        }


def claim(amounts: Body, **more: Body) -> Body:
    """The body that gives a consumer resources, in the newest version."""
    return {
        "allocations": {provider: {"resources": held} for provider, held in amounts.items()},
        "project_id": "project", "user_id": "user", "consumer_generation": None,
        "consumer_type": "INSTANCE", **more,
    }  # fmt: skip
