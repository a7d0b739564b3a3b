"""Floating addresses, networks and volumes, as old clients ask the compute service for them."""

import pytest

from tests.cloud import Local
from tests.compute import actors
from tests.compute.clients import Networked
from tests.settle import settle


class Outside(Networked):
    """With a network that leads outside, and a router to it."""

    def __init__(self, local: Local) -> None:
        super().__init__(local, "2.35")
        self.public = self.as_admin("networks", {
            "network": {"name": "outside", "router:external": True}
        })["network"]["id"]  # fmt: skip
        subnet = {"network_id": self.public, "ip_version": 4, "cidr": "198.51.100.0/29"}
        self.as_admin("subnets", {"subnet": subnet})
        gateway = {"external_gateway_info": {"network_id": self.public}}
        router = self.neutron("POST", "/routers", {"router": gateway}, 201)["router"]["id"]
        inside = {"subnet_id": self.subnet}
        self.neutron("PUT", f"/routers/{router}/add_router_interface", inside)

    def as_admin(self, kind: str, body: object) -> dict[str, dict[str, str]]:
        answer = self.local.ask("POST", f"/network/v2.0/{kind}", body, self.admin.token)
        assert answer.status == 201, answer
        found: dict[str, dict[str, str]] = answer.body
        return found

    def allocated(self, pool: str | None = "outside") -> dict[str, str]:
        made: dict[str, str] = self.member.post("/os-floating-ips", {"pool": pool})["floating_ip"]
        return made


@pytest.fixture
def client(fresh: Local) -> Outside:
    return Outside(fresh)


def test_floating_addresses_come_and_go(client: Outside) -> None:
    me = client.member
    assert me.get("/os-floating-ip-pools") == {"floating_ip_pools": [{"name": "outside"}]}
    made = client.allocated()
    assert made == {
        "id": made["id"], "ip": made["ip"], "pool": "outside", "fixed_ip": None,
        "instance_id": None,
    }  # fmt: skip
    assert made["ip"].startswith("198.51.100.")
    path = f"/os-floating-ips/{made['id']}"
    assert me.get(path)["floating_ip"] == made
    other = client.allocated(None)
    assert {each["id"] for each in me.get("/os-floating-ips")["floating_ips"]} == {
        made["id"], other["id"]
    }  # fmt: skip
    stranger = actors.newcomer(client.local, "floating-stranger").at("2.35")
    assert stranger.get("/os-floating-ips")["floating_ips"] == []
    stranger.get(path, status=404)
    stranger.delete(path, status=404)
    me.delete(path, status=202)
    me.get(path, status=404)
    assert "pool not found" in me.message("POST", "/os-floating-ips", 404, {"pool": "nowhere"})
    me.at("2.36").get("/os-floating-ips", status=404)
    reader = actors.newcomer(client.local, "floating-reader", "reader", me.project).at("2.35")
    assert len(reader.get("/os-floating-ips")["floating_ips"]) == 1
    reader.post("/os-floating-ips", {"pool": "outside"}, 403)


def test_none_is_left(client: Outside) -> None:
    for _ in range(4):  # of eight: two name the network, one is its gateway's, one our router's
        client.allocated()
    refused = client.member.message("POST", "/os-floating-ips", 404, {"pool": "outside"})
    assert refused == "No more floating IPs in pool outside."


def test_a_project_may_have_no_more(client: Outside) -> None:
    path = f"/network/v2.0/quotas/{client.member.project}"
    body = {"quota": {"floatingip": 0}}
    assert client.local.ask("PUT", path, body, client.admin.token).status == 200
    client.member.post("/os-floating-ips", {"pool": "outside"}, 403)


def test_a_floating_address_leads_to_a_server(client: Outside) -> None:
    me, made = client.member.at("2.43"), client.allocated()
    one, two = (client.built(me.at("2.37"), networks="auto") for _ in range(2))
    fixed = one["addresses"]["private"][0]["addr"]

    def act(server: dict[str, str], name: str, status: int, **asked: str) -> None:
        body = {name: {"address": made["ip"], **asked}}
        me.post(f"/servers/{server['id']}/action", body, status)

    act(one, "addFloatingIp", 202)
    path = f"/os-floating-ips/{made['id']}"
    shown = me.at("2.35").get(path)["floating_ip"]
    assert (shown["instance_id"], shown["fixed_ip"]) == (one["id"], fixed)
    assert me.at("2.35").get("/os-floating-ips")["floating_ips"] == [shown]
    act(two, "removeFloatingIp", 409)
    act(two, "addFloatingIp", 202)
    assert me.at("2.35").get(path)["floating_ip"]["instance_id"] == two["id"]
    act(one, "removeFloatingIp", 409)
    act(two, "removeFloatingIp", 202)
    assert me.at("2.35").get(path)["floating_ip"]["instance_id"] is None
    act(one, "addFloatingIp", 202, fixed_address=fixed)
    act(one, "addFloatingIp", 400, fixed_address="10.9.9.9")
    act(one, "addFloatingIp", 404, address="0.0.0.0")
    act(one, "addFloatingIp", 400, address="")
    act(one, "removeFloatingIp", 404, address="0.0.0.0")
    bare = client.built(networks="none", who=me.at("2.37"))
    act(bare, "addFloatingIp", 400)
    me.at("2.44").post(
        f"/servers/{one['id']}/action", {"addFloatingIp": {"address": made["ip"]}}, 404
    )


def test_networks_of_old(client: Outside) -> None:
    labels = {each["label"] for each in client.member.get("/os-networks")["networks"]}
    assert labels == {"private"}
    listed = client.admin.get("/os-networks")["networks"]
    assert {"private", "outside"} <= {each["label"] for each in listed}
    shown = client.member.get(f"/os-networks/{client.network}")["network"]
    assert (shown["label"], shown["vlan"], len(shown)) == ("private", None, 32)
    client.member.get("/os-networks/nothing", status=404)


def test_volumes_and_snapshots_of_old(fresh: Local) -> None:
    me = actors.newcomer(fresh, "old-volumes").at("2.35")
    settle(fresh)
    asked = {"size": "1", "display_name": "data", "metadata": {"a": "b"}}
    made = me.post("/os-volumes", {"volume": asked})["volume"]
    assert (made["displayName"], made["size"], made["metadata"]) == ("data", 1, {"a": "b"})
    assert made["attachments"] == [{}]
    settle(fresh)
    path = f"/os-volumes/{made['id']}"
    assert me.get(path)["volume"]["status"] == "available"
    for each in ("/os-volumes", "/os-volumes/detail", "/os-volumes?limit=1"):
        assert [found["id"] for found in me.get(each)["volumes"]] == [made["id"]]
    assert me.get("/os-volumes?offset=1")["volumes"] == []
    for wrong in ({}, {"size": "#"}, {"size": 0}, {"size": 1, "snapshot_id": "nothing"}):
        answer = me.ask("POST", "/os-volumes", {"volume": wrong})
        assert answer.status in (400, 404), answer
    wanted = {"volume_id": made["id"], "display_name": "then"}
    taken = me.post("/os-snapshots", {"snapshot": wanted})["snapshot"]
    settle(fresh)
    shown = me.get(f"/os-snapshots/{taken['id']}")["snapshot"]
    assert (shown["volumeId"], shown["displayName"], shown["status"]) == (
        made["id"], "then", "available"
    )  # fmt: skip
    assert me.get("/os-snapshots")["snapshots"] == [shown]
    assert me.get("/os-snapshots/detail?limit=5")["snapshots"] == [shown]
    stranger = actors.newcomer(fresh, "old-volumes-stranger").at("2.35")
    for each in (path, f"/os-snapshots/{taken['id']}"):
        stranger.get(each, status=404)
        stranger.delete(each, status=404)
    me.delete(f"/os-snapshots/{taken['id']}", status=202)
    settle(fresh)
    me.delete(path, status=202)
    settle(fresh)
    me.get(path, status=404)
    me.at("2.36").get("/os-volumes", status=404)
