"""Servers from their creation to their end, as their owners see them."""

import pytest

from tests.cloud import Local
from tests.compute.clients import Client
from tests.settle import settle


@pytest.fixture
def client(local: Local) -> Client:
    return Client(local)


def test_a_server_is_built(client: Client) -> None:
    made = client.create(name="born")
    assert set(made) == {
        "id", "links", "OS-DCF:diskConfig", "security_groups", "adminPass",
    }  # fmt: skip
    during = client.show(made)
    assert (during["status"], during["OS-EXT-STS:task_state"]) == ("BUILD", "scheduling")
    settle(client.local)
    after = client.show(made)
    assert (after["status"], after["OS-EXT-STS:task_state"]) == ("ACTIVE", None)
    assert (after["OS-EXT-STS:vm_state"], after["OS-EXT-STS:power_state"]) == ("active", 1)
    assert after["OS-SRV-USG:launched_at"]
    assert after["hostId"]
    assert after["image"]["id"] == client.image
    assert after["flavor"]["original_name"] == "m1.nano"


def test_a_server_is_deleted(client: Client) -> None:
    server = client.built()
    client.member.delete(f"/servers/{server['id']}")
    assert client.show(server)["OS-EXT-STS:task_state"] == "deleting"
    client.member.delete(f"/servers/{server['id']}")
    settle(client.local)
    assert "could not be found" in client.member.message("GET", f"/servers/{server['id']}", 404)
    listed = client.member.get("/servers")["servers"]
    assert server["id"] not in {each["id"] for each in listed}
