"""The doctor finds every kind of disagreement between rows and hosts, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from onestack.compute.hypervisor import GuestSpec
from onestack.core import clock, drift
from onestack.core.agent import Agent
from onestack.core.db import Database
from onestack.volume.backend import Connector
from tests.cloud import Local
from tests.compute.test_volumes_of_servers import Owner
from tests.conftest import Clouds
from tests.settle import settle

STRANGER = "11111111-1111-4111-8111-111111111111"


class World:
    """A cloud with a server that has a port and a volume, and its drivers."""

    def __init__(self, local: Local) -> None:
        self.local = local
        self.owner = Owner(local)
        self.network = self.neutron("networks", {"network": {"name": "inside"}})["network"]["id"]
        subnet = {"network_id": self.network, "ip_version": 4, "cidr": "10.9.0.0/24"}
        self.neutron("subnets", {"subnet": subnet})
        self.server = self.owner.built(networks=[{"uuid": self.network}])
        self.volume = self.owner.volume()
        self.owner.attach(self.server, self.volume)
        self.id = self.server["id"]

    def neutron(self, kind: str, body: Any) -> Any:
        token = self.owner.member.token
        answer = self.local.ask("POST", f"/network/v2.0/{kind}", body, token)
        assert answer.status == 201, answer
        return answer.body

    def driver(self, kind: str) -> Any:
        return self.local.cloud.get(Agent).drivers(kind)[0]

    def sql(self, statement: str, **values: Any) -> None:
        with self.local.cloud.get(Database).transaction() as session:
            session.execute(text(statement), values)

    def found(self) -> list[tuple[str, str]]:
        """What is told: kinds and texts."""
        with clock.use(Hasty()):
            return [(each.kind, each.text) for each in drift.found(self.local.cloud)]


class Hasty(clock.Real):
    """A clock that waits for nobody."""

    def sleep(self, seconds: float) -> None:
        """Go on at once."""


def guest_ends(world: World) -> None:
    world.driver("hypervisor").destroy(world.id)


def guest_stops(world: World) -> None:
    world.driver("hypervisor").stop(world.id, 0)


def guest_loses_its_volume(world: World) -> None:
    world.driver("hypervisor").detach_disk(world.id, world.volume)


def guest_loses_its_port(world: World) -> None:
    driver = world.driver("hypervisor")
    (guest,) = [each for each in driver.guests() if each.id == world.id]
    driver.detach_nic(world.id, guest.nics[0])


def a_stranger_runs(world: World) -> None:
    stranger = GuestSpec(id=STRANGER, name="instance-stranger", vcpus=1, memory_mb=128)
    world.driver("hypervisor").create(stranger)


def allocation_is_gone(world: World) -> None:
    world.sql("DELETE FROM allocations WHERE consumer_id = :id", id=world.id)
    world.sql("UPDATE revisions SET value = value + 1 WHERE topic = 'placement'")
    world.sql("UPDATE resource_providers SET changed_in = (SELECT value FROM revisions "
              "WHERE topic = 'placement')")  # fmt: skip


def port_is_not_wired(world: World) -> None:
    driver = world.driver("switch")
    for key in [key for key in driver.wirings if key[0] == "port"]:
        del driver.wirings[key]


def a_wiring_is_left(world: World) -> None:
    driver = world.driver("switch")
    key, wiring = next(iter(driver.wirings.items()))
    driver.wirings[key[0], "nobody's"] = wiring


def volume_is_gone(world: World) -> None:
    world.driver("backend").delete(world.volume)


def volume_is_left(world: World) -> None:
    world.driver("backend").create("22222222-2222-4222-8222-222222222222", 1)


def export_is_left(world: World) -> None:
    world.driver("backend").export(world.volume, "nobody's", Connector("somewhere"))


def attachment_is_gone(world: World) -> None:
    world.sql("DELETE FROM volume_attachments WHERE volume_id = :id", id=world.volume)


KINDS = {
    guest_ends: ("server", "has no guest"),
    guest_stops: ("server", "is active, and its guest is shutdown"),
    guest_loses_its_volume: ("server", "and its guest []"),
    guest_loses_its_port: ("server", "has the ports"),
    a_stranger_runs: ("guest", "runs here, and is no server of here"),
    allocation_is_gone: ("server", "has no allocation"),
    port_is_not_wired: ("network", "is not there"),
    a_wiring_is_left: ("network", "is there, and nothing needs it"),
    volume_is_gone: ("volume", "is not in its backend"),
    volume_is_left: ("volume", "is in the backend, and nobody knows it"),
    export_is_left: ("export", "is in the backend, and nobody knows it"),
    attachment_is_gone: ("volume", "is in use by nobody"),
}


@pytest.mark.parametrize("happens", KINDS, ids=lambda each: each.__name__)
def test_the_doctor_finds(fresh: Local, happens: Callable[[World], None]) -> None:
    world = World(fresh)
    assert world.found() == []
    happens(world)
    kind, said = KINDS[happens]
    assert any(each == kind and said in words for each, words in world.found()), world.found()


def test_what_leaves_one_host_stays_on_the_other(another: Clouds) -> None:
    local = another(ONESTACK_AGENT_SIMULATED_HOSTS="2")
    settle(local)
    world = World(local)
    second = world.owner.built(networks=[{"uuid": world.network}])
    first, other = (
        world.owner.show(each, world.owner.admin)["OS-EXT-SRV-ATTR:host"]
        for each in (world.server, second)
    )
    assert first != other
    assert world.found() == []
    world.owner.delete(second)
    assert world.found() == []


def test_the_doctor_finds_a_silent_agent(fresh: Local) -> None:
    world = World(fresh)
    world.sql("UPDATE agents SET is_forced_down = TRUE WHERE kind = 'hypervisor'")
    assert [kind for kind, _ in world.found()] == ["agent"]


def test_only_an_administrator_asks_the_doctor(fresh: Local) -> None:
    settle(fresh)
    path = "/onestack/v1/drift"
    assert fresh.ask("GET", path, None, fresh.token("demo")).status == 403
    assert fresh.ask("GET", path, None, fresh.token("admin")).body == {"disagreements": []}
