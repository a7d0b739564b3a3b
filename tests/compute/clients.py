"""Whoever creates servers in tests, with an image to make them of."""

from typing import Any

from onestack.core import clock
from tests.cloud import Answer, Local
from tests.compute import actors
from tests.compute.actors import Actor
from tests.image import actors as image_actors
from tests.settle import settle

NANO = "42"


class Client:
    """The member of a project of its own, and the administrator of the cloud."""

    def __init__(self, local: Local, version: str = "2.104") -> None:
        settle(local)
        self.local = local
        self.admin = actors.admin(local).at(version)
        known = image_actors.newcomer(local, f"owner-{clock.new_id()}")
        self.member = Actor(local, known.token, known.project, version)
        self.image = known.made_active(name="one")["id"]

    def body(self, version: str | None = None, **more: Any) -> dict[str, Any]:
        known: dict[str, Any] = {"name": "one", "imageRef": self.image, "flavorRef": NANO}
        if version is None or tuple(map(int, version.split("."))) >= (2, 37):
            known["networks"] = "none"
        return {"server": {**known, **more}}

    def refused(self, status: int = 400, who: Actor | None = None, **more: Any) -> str:
        """What a creation that fails is told."""
        who = who or self.member
        return who.message("POST", "/servers", status, self.body(who.version, **more))

    def create(self, who: Actor | None = None, hints: Any = None, **more: Any) -> Any:
        """Ask for a server, which is not built yet."""
        who = who or self.member
        body = self.body(who.version, **more)
        if hints is not None:
            body["os:scheduler_hints"] = hints
        return who.post("/servers", body, 202)["server"]

    def built(self, who: Actor | None = None, hints: Any = None, **more: Any) -> Any:
        """A server that runs."""
        made = self.create(who, hints, **more)
        settle(self.local)
        shown = (who or self.member).get(f"/servers/{made['id']}")["server"]
        assert shown["status"] == "ACTIVE", shown
        return shown

    def show(self, server: Any, who: Actor | None = None) -> Any:
        return (who or self.member).get(f"/servers/{server['id']}")["server"]

    def delete(self, server: Any) -> None:
        self.member.delete(f"/servers/{server['id']}")
        settle(self.local)

    def act(self, server: Any, name: str, value: Any = None) -> Answer:
        return self.member.ask("POST", f"/servers/{server['id']}/action", {name: value})


class Networked(Client):
    """The same, with a network of the project's own."""

    def __init__(self, local: Local, version: str = "2.104") -> None:
        super().__init__(local, version)
        made = self.neutron("POST", "/networks", {"network": {"name": "private"}}, 201)
        self.network = made["network"]["id"]
        subnet = {"network_id": self.network, "ip_version": 4, "cidr": "10.1.0.0/24"}
        self.subnet = self.neutron("POST", "/subnets", {"subnet": subnet}, 201)["subnet"]["id"]

    def neutron(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """Ask the network service."""
        answer = self.local.ask(method, f"/network/v2.0{path}", body, self.member.token)
        assert answer.status == status, answer
        return answer.body if answer.content else None

    def port(self, **more: Any) -> Any:
        """A new port on the network."""
        body = {"port": {"network_id": self.network, **more}}
        return self.neutron("POST", "/ports", body, 201)["port"]

    def ports(self, server: Any) -> list[Any]:
        """The ports that a server has, as the network service has it."""
        found: list[Any] = self.neutron("GET", f"/ports?device_id={server['id']}")["ports"]
        return found
