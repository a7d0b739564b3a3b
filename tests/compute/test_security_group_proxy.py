"""Security groups and networks, as old clients ask the compute service for them."""

from typing import Any

from tests.cloud import Local
from tests.compute import actors
from tests.compute.actors import Actor
from tests.compute.clients import Client


def make(actor: Actor, name: str, status: int = 200) -> Any:
    body = {"security_group": {"name": name, "description": "words"}}
    answer = actor.post("/os-security-groups", body, status)
    return answer["security_group"] if status == 200 else answer


def rule(actor: Actor, group: Any, status: int = 200, **asked: Any) -> Any:
    known = {"parent_group_id": group["id"], "ip_protocol": "tcp", "from_port": 22, "to_port": 23}
    body = {"security_group_rule": {**known, **asked}}
    answer = actor.post("/os-security-group-rules", body, status)
    return answer["security_group_rule"] if status == 200 else answer


def names(actor: Actor, query: str = "") -> list[str]:
    found = actor.get(f"/os-security-groups{query}")["security_groups"]
    return [each["name"] for each in found]


def test_groups_come_and_go(local: Local) -> None:
    me = actors.newcomer(local, "secgroup-me").at("2.35")
    made = make(me, "web")
    assert made == {
        "id": made["id"], "name": "web", "description": "words", "tenant_id": me.project,
        "rules": [],
    }  # fmt: skip
    path = f"/os-security-groups/{made['id']}"
    assert me.get(path)["security_group"] == made
    assert set(names(me)) == {"default", "web"}
    assert len(names(me, "?limit=1&offset=1")) == 1
    changed = me.put(path, {"security_group": {"name": "www", "description": "more"}})
    assert (changed["security_group"]["name"], names(me)[-1]) == ("www", names(me)[-1])
    assert me.get(path)["security_group"]["description"] == "more"
    stranger = actors.newcomer(local, "secgroup-stranger").at("2.35")
    stranger.get(path, status=404)
    stranger.delete(path, status=404)
    assert names(stranger) == ["default"]
    default = next(
        each for each in me.get("/os-security-groups")["security_groups"]
        if each["name"] == "default"
    )  # fmt: skip
    me.delete(f"/os-security-groups/{default['id']}", status=400)
    me.delete(path, status=202)
    me.delete(path, status=404)
    make(me, "", status=400)
    make(me, "x" * 256, status=400)
    me.at("2.36").get("/os-security-groups", status=404)


def test_rules_come_and_go(local: Local) -> None:
    me = actors.newcomer(local, "secrule-me").at("2.35")
    group, other = make(me, "one"), make(me, "two")
    made = rule(me, group)
    assert made == {
        "id": made["id"], "parent_group_id": group["id"], "ip_protocol": "tcp", "from_port": 22,
        "to_port": 23, "ip_range": {"cidr": "0.0.0.0/0"}, "group": {},
    }  # fmt: skip
    assert rule(me, group, cidr="10.0.0.0/8")["ip_range"] == {"cidr": "10.0.0.0/8"}
    of_group = rule(me, group, ip_protocol="udp", group_id=other["id"])
    assert of_group["group"] == {"name": "two", "tenant_id": me.project}
    assert of_group["ip_range"] == {}
    every = rule(me, group, ip_protocol="icmp", from_port=-1, to_port=-1)
    assert (every["from_port"], every["to_port"]) == (-1, -1)
    shown = me.get(f"/os-security-groups/{group['id']}")["security_group"]["rules"]
    assert len(shown) == 4
    for wrong in (
        {"ip_protocol": "sctp"}, {"from_port": 70000}, {"to_port": 70000}, {"from_port": 24},
        {"from_port": None}, {"cidr": "x"}, {},
    ):  # fmt: skip
        rule(me, group, status=400, **wrong)
    rule(me, {"id": "00000000-0000-0000-0000-000000000000"}, status=404)
    rule(me, {"id": "no-id"}, status=400)
    me.delete(f"/os-security-group-rules/{made['id']}", status=202)
    me.delete(f"/os-security-group-rules/{made['id']}", status=404)
    assert len(me.get(f"/os-security-groups/{group['id']}")["security_group"]["rules"]) == 3


def test_networks_are_named(local: Local) -> None:
    me = actors.newcomer(local, "networks-me").at("2.35")
    made = local.ask("POST", "/network/v2.0/networks", {"network": {"name": "ours"}}, me.token)
    network = made.body["network"]
    shown = {"id": network["id"], "label": "ours", "cidr": "None"}
    assert shown in me.get("/os-tenant-networks")["networks"]
    assert me.get(f"/os-tenant-networks/{network['id']}")["network"] == shown
    stranger = actors.newcomer(local, "networks-stranger").at("2.35")
    stranger.get(f"/os-tenant-networks/{network['id']}", status=404)
    assert shown not in stranger.get("/os-tenant-networks")["networks"]


def test_the_groups_of_a_server(local: Local) -> None:
    client = Client(local)
    net = {"network": {"name": "wired"}}
    made = local.ask("POST", "/network/v2.0/networks", net, client.member.token).body["network"]
    subnet = {"subnet": {"network_id": made["id"], "cidr": "10.9.0.0/24", "ip_version": 4}}
    assert local.ask("POST", "/network/v2.0/subnets", subnet, client.member.token).status == 201
    group = make(client.member.at("2.35"), "web")
    asked = {"networks": [{"uuid": made["id"]}], "security_groups": [{"name": "web"}]}
    server = client.built(**asked)
    path = f"/servers/{server['id']}/os-security-groups"
    found = client.member.get(path)["security_groups"]
    assert [each["id"] for each in found] == [group["id"]]
    none = client.built()
    assert client.member.get(f"/servers/{none['id']}/os-security-groups")["security_groups"] == []
    stranger = actors.newcomer(local, "secgroup-of-server")
    stranger.get(path, status=404)
