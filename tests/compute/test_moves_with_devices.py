"""Servers that move take their ports and volumes along, and have no others."""

from collections.abc import Iterator
from typing import Any

import pytest

from onestack.core.seal import Seal
from onestack.image.tickets import Gate
from tests.compute.clients import Networked
from tests.compute.movers import Mover
from tests.conftest import Clouds
from tests.core.test_server import Serving
from tests.settle import settle

AUTO = {"host": None, "block_migration": "auto"}
SMALL = "2"


class Equipped(Mover, Networked):
    """Somebody whose servers have a port and a volume."""

    def cinder(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.local.ask(method, f"/volume/v3{path}", body, self.member.token)
        assert answer.status == status, answer
        return answer.body if answer.content else None

    def equipped(self) -> tuple[Any, str, str]:
        """A server, its port, and its volume."""
        server = self.built(networks=[{"uuid": self.network}])
        made = self.cinder("POST", "/volumes", {"volume": {"size": 1}}, 202)["volume"]
        settle(self.local)
        body = {"volumeAttachment": {"volumeId": made["id"]}}
        self.member.post(f"/servers/{server['id']}/os-volume_attachments", body, 200)
        settle(self.local)
        (port,) = self.ports(server)
        self.check(server, port["id"], made["id"])
        return server, port["id"], made["id"]

    def check(self, server: Any, port: str, volume: str, status: str = "ACTIVE") -> None:
        """The guest is on one host, with its own devices and no others, and all services agree."""
        assert self.state(server) == (status, None)
        host = self.host(server)
        running = {name: each for name, each in self.guests(server).items() if name == host}
        assert set(running[host].disks) == {"root", volume}
        assert running[host].nics == [port]
        bound = self.local.ask(
            "GET", f"/network/v2.0/ports/{port}", None, self.local.token("admin")
        ).body["port"]
        assert (bound["binding:host_id"], bound["status"]) == (host, "ACTIVE")
        path = f"/volume/v3/volumes/{volume}"
        known = self.local.ask("GET", path, None, self.local.token("admin")).body["volume"]
        assert known["status"] == "in-use"
        (attachment,) = known["attachments"]
        assert (attachment["server_id"], attachment["host_name"]) == (server["id"], host)


@pytest.fixture
def mover(another: Clouds) -> Iterator[Equipped]:
    found = Equipped(
        another(ONESTACK_AGENT_SIMULATED_HOSTS="2", ONESTACK_COMPUTE_RESIZES_ON_SAME_HOST="false")
    )
    serving = Serving(found.local)  # type: ignore[arg-type]
    cloud = found.local.cloud
    cloud.put(Gate(f"http://127.0.0.1:{serving.port}", cloud.get(Seal)))
    yield found
    serving.close()


def test_a_live_migration_takes_all_along(mover: Equipped) -> None:
    server, port, volume = mover.equipped()
    before = mover.host(server)
    mover.order(server, "os-migrateLive", AUTO)
    assert mover.host(server) != before
    mover.check(server, port, volume)
    assert len(mover.guests(server)) == 1
    mover.do(server, "reboot", {"type": "SOFT"})
    mover.check(server, port, volume)


def test_a_resize_takes_all_along_and_back(mover: Equipped) -> None:
    server, port, volume = mover.equipped()
    before = mover.host(server)
    mover.do(server, "resize", {"flavorRef": SMALL})
    assert mover.host(server) != before
    mover.check(server, port, volume, "VERIFY_RESIZE")
    mover.do(server, "revertResize")
    assert mover.host(server) == before
    mover.check(server, port, volume)
    mover.do(server, "resize", {"flavorRef": SMALL})
    mover.do(server, "confirmResize", status=204)
    mover.check(server, port, volume)
    assert len(mover.guests(server)) == 1


def test_a_rebuilt_server_has_its_devices(mover: Equipped) -> None:
    server, port, volume = mover.equipped()
    mover.do(server, "rebuild", {"imageRef": mover.image})
    mover.check(server, port, volume)


def test_a_shelved_server_gets_its_devices_back(mover: Equipped) -> None:
    server, port, volume = mover.equipped()
    mover.do(server, "shelve")
    bound = mover.local.ask(
        "GET", f"/network/v2.0/ports/{port}", None, mover.local.token("admin")
    ).body["port"]
    assert (bound["binding:host_id"], bound["device_id"]) == ("", server["id"])
    assert mover.cinder("GET", f"/volumes/{volume}")["volume"]["status"] == "in-use"
    mover.do(server, "unshelve")
    mover.check(server, port, volume)


def test_an_evacuated_server_has_its_devices(mover: Equipped) -> None:
    server, port, volume = mover.equipped()
    mover.silence(mover.host(server))
    mover.order(server, "evacuate", {}, 200)
    mover.check(server, port, volume)


def test_a_server_that_moves_is_deleted_with_its_devices(mover: Equipped) -> None:
    server, _, volume = mover.equipped()
    mover.do(server, "resize", {"flavorRef": SMALL})
    mover.delete(server)
    assert mover.guests(server) == {}
    assert mover.ports(server) == []
    assert mover.cinder("GET", f"/volumes/{volume}")["volume"]["status"] == "available"
