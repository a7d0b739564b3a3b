"""Servers for tests of what is done to servers."""

from typing import Any
from uuid import UUID

from onestack.compute.hypervisor import GuestSpec, Hypervisor
from onestack.compute.servers.record import ServerRecord
from onestack.core import clock
from onestack.core.agents import alive
from onestack.core.bus import Bus, agent_address
from onestack.core.db import Database
from tests.cloud import Answer, Local
from tests.settle import settle

ROOT = "/compute/v2.1"


class Owner:
    """Somebody with servers, who speaks one microversion."""

    def __init__(self, local: Local, account: str = "demo", version: str = "2.90") -> None:
        self.local, self.account, self.version = local, account, version
        settle(local)

    def speaking(self, version: str) -> "Owner":
        return Owner(self.local, self.account, version)

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        headers = {"openstack-api-version": f"compute {self.version}"}
        token = self.local.token(self.account)
        return self.local.ask(method, f"{ROOT}{path}", body, token, headers)

    def act(self, server_id: str, name: str, value: Any = None) -> Answer:
        """Begin an action."""
        return self.ask("POST", f"/servers/{server_id}/action", {name: value})

    def done(self, server_id: str, name: str, value: Any = None, status: int = 202) -> Answer:
        """Have an action done, to its end."""
        answer = self.act(server_id, name, value)
        assert answer.status == status, answer
        settle(self.local)
        return answer

    def boot(self, **state: Any) -> str:
        """A server that runs."""
        with self.local.cloud.get(Database).transaction() as session:
            host = alive(session, "hypervisor")[0].host
            project = self.local.accounts[self.account]
            server = self._row(host, **state)
            session.add(server)
            server_id = server.id
            assert project
        agent = self.agent(host)
        agent.create(GuestSpec(id=server_id, name="instance-1", vcpus=1, memory_mb=64))
        return server_id

    def agent(self, host: str) -> Hypervisor:
        address = agent_address(host, "hypervisor")
        return self.local.cloud.get(Bus).remote(Hypervisor, address)

    def state(self, server_id: str) -> tuple[str, str | None]:
        """What a server does, and what is being done to it."""
        with self.local.cloud.get(Database).transaction(write=False) as session:
            server = session.get_one(ServerRecord, server_id)
            return server.vm_state, server.task_state

    def power(self, server_id: str) -> str:
        """Whether its guest runs, as its host says."""
        with self.local.cloud.get(Database).transaction(write=False) as session:
            host = str(session.get_one(ServerRecord, server_id).host)
        return next(each.power for each in self.agent(host).guests() if each.id == server_id)

    def _row(self, host: str, **state: Any) -> ServerRecord:
        now = clock.now()
        known = {"vm_state": "active", "power_state": 1, "host": host, **state}
        return ServerRecord(
            id=str(UUID(clock.new_id())), number=1, project_id=self.project_id, user_id="u",
            name="one", hostname="one", flavor_id="1", flavor_name="m1.tiny", vcpus=1,
            memory_mb=512, root_gb=1, reservation_id="r-1", created_at=now, updated_at=now,
            launched_at=now, **known,
        )  # fmt: skip

    @property
    def project_id(self) -> str:
        answer = self.local.ask(
            "GET", "/identity/v3/auth/projects", None, self.local.token(self.account)
        )
        return next(
            str(each["id"]) for each in answer.body["projects"] if each["name"] == self.account
        )
