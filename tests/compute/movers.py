"""A cloud of several simulated hosts, and what is done to its servers."""

from typing import Any

from onestack.compute.hypervisor import Guest, Hypervisor
from onestack.compute.nodes import find
from onestack.compute.servers.record import ServerRecord
from onestack.core import agents
from onestack.core.bus import Bus, agent_address
from onestack.core.db import Database
from onestack.placement import holdings
from tests.cloud import Answer, Local
from tests.compute.clients import Client
from tests.settle import settle


class Mover(Client):
    """Somebody with servers, in a cloud of several hosts."""

    def do(self, server: Any, name: str, value: Any = None, status: int = 202) -> Answer:
        """Have an action done, to its end."""
        return self._done(self.act(server, name, value), status)

    def order(self, server: Any, name: str, value: Any = None, status: int = 202) -> Answer:
        """The same, by the administrator."""
        asked = self.admin.ask("POST", f"/servers/{server['id']}/action", {name: value})
        return self._done(asked, status)

    def state(self, server: Any) -> tuple[str, str | None]:
        shown = self.show(server)
        return shown["status"], shown["OS-EXT-STS:task_state"]

    def host(self, server: Any) -> str:
        shown = self.show(server, self.admin)
        return str(shown["OS-EXT-SRV-ATTR:host"])

    def guests(self, server: Any) -> dict[str, Guest]:
        """What each host has of a server."""
        bus = self.local.cloud.get(Bus)
        found = {}
        for name in self.hosts():
            agent = bus.remote(Hypervisor, agent_address(name, "hypervisor"))
            for each in agent.guests():
                if each.id == server["id"]:
                    found[name] = each
        return found

    def hosts(self) -> list[str]:
        with self.local.cloud.get(Database).transaction(write=False) as session:
            return [each.host for each in agents.of_kind(session, "hypervisor")]

    def held(self, consumer_id: str) -> dict[str, dict[str, int]]:
        """What a consumer holds in placement, by host."""
        with self.local.cloud.get(Database).transaction(write=False) as session:
            by_node = {find(session, each).id: each for each in self.hosts()}
            return {by_node[node]: what for node, what in holdings(session, consumer_id).items()}

    def silence(self, host: str) -> None:
        """Let nothing be heard of a host."""
        with self.local.cloud.get(Database).transaction() as session:
            agents.of_host(session, host, "hypervisor").is_forced_down = True

    def migrations(self, server: Any) -> list[Any]:
        path = f"/os-migrations?instance_uuid={server['id']}"
        return list(self.admin.get(path)["migrations"])

    def actions(self, server: Any) -> list[tuple[str, str | None]]:
        """What was done to a server, and what came of it, the newest first."""
        path = f"/servers/{server['id']}/os-instance-actions"
        return [
            (each["action"], each["message"]) for each in self.admin.get(path)["instanceActions"]
        ]

    def row(self, server: Any, **changes: Any) -> None:
        """Let a server's row say something else."""
        with self.local.cloud.get(Database).transaction() as session:
            record = session.get_one(ServerRecord, server["id"])
            for name, value in changes.items():
                setattr(record, name, value)

    def _done(self, answer: Answer, status: int) -> Answer:
        assert answer.status == status, answer
        settle(self.local)
        return answer


def mover(local: Local) -> Mover:
    return Mover(local)
