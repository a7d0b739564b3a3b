"""Hosts that come back, and guests that are not as the rows say."""

from typing import Any

import pytest

from onestack.compute.hypervisor import GuestSpec, Hypervisor
from onestack.compute.servers import reconcile
from onestack.core.bus import Bus, agent_address
from onestack.core.db import Database
from tests.cloud import Local
from tests.compute.clients import Client
from tests.settle import settle


@pytest.fixture
def client(local: Local) -> Client:
    return Client(local)


def host_of(client: Client, server: Any) -> str:
    return str(client.show(server, client.admin)["OS-EXT-SRV-ATTR:host"])


def agent(client: Client, host: str) -> Hypervisor:
    return client.local.cloud.get(Bus).remote(Hypervisor, agent_address(host, "hypervisor"))


def compare(client: Client, host: str, *, is_back: bool = False) -> None:
    with client.local.cloud.get(Database).transaction() as session:
        reconcile.begin(session, host, is_back=is_back)
    settle(client.local)


def powers(client: Client, host: str) -> dict[str, str]:
    return {each.id: each.power for each in agent(client, host).guests()}


def test_a_guest_that_was_shut_down_from_within_is_off(client: Client) -> None:
    server = client.built()
    host = host_of(client, server)
    agent(client, host).stop(server["id"], 0)
    compare(client, host)
    shown = client.show(server)
    assert (shown["status"], shown["OS-EXT-STS:power_state"]) == ("SHUTOFF", 4)


def test_what_should_run_runs_again_when_the_host_is_back(client: Client) -> None:
    server, stopped = client.built(), client.built()
    host = host_of(client, server)
    client.act(stopped, "os-stop")
    settle(client.local)
    agent(client, host).destroy(server["id"])
    compare(client, host, is_back=True)
    assert client.show(server)["status"] == "ACTIVE"
    assert powers(client, host)[server["id"]] == "running"
    assert client.show(stopped)["status"] == "SHUTOFF"
    assert powers(client, host)[stopped["id"]] == "shutdown"


def test_guests_that_no_server_knows_go(client: Client) -> None:
    server = client.built()
    host = host_of(client, server)
    agent(client, host).create(GuestSpec(id="stray", name="i", vcpus=1, memory_mb=1))
    compare(client, host)
    assert "stray" not in powers(client, host)
    assert powers(client, host)[server["id"]] == "running"


def test_external_events_are_heard(client: Client) -> None:
    server = client.built()
    known = {"name": "network-changed", "server_uuid": server["id"]}
    unknown = {**known, "server_uuid": "00000000-0000-4000-8000-000000000000"}
    path = "/os-server-external-events"
    assert client.admin.post(path, {"events": [known]})["events"][0]["code"] == 200
    both = client.admin.post(path, {"events": [known, unknown]}, 207)["events"]
    assert [each["code"] for each in both] == [200, 404]
    client.admin.post(path, {"events": [unknown]}, 404)
    client.admin.post(path, {"events": []}, 400)
    client.member.post(path, {"events": [known]}, 403)
