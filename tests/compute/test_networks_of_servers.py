"""Servers on networks: ports that are made for them, ports that they take, and what is shown."""

import pytest
from sqlalchemy import select

from onestack.compute.hypervisor import Hypervisor
from onestack.compute.servers.record import InterfaceRecord
from onestack.core.bus import Bus, agent_address
from onestack.core.db import Database
from onestack.core.policy import Policy
from tests.cloud import Local
from tests.compute.clients import Networked
from tests.settle import settle


@pytest.fixture
def client(local: Local) -> Networked:
    return Networked(local)


def test_a_server_gets_a_port(client: Networked) -> None:
    server = client.built(networks=[{"uuid": client.network, "tag": "front"}])
    (port,) = client.ports(server)
    assert (port["status"], port["device_owner"]) == ("ACTIVE", "compute:nova")
    (address,) = server["addresses"]["private"]
    assert address["addr"] == port["fixed_ips"][0]["ip_address"]
    assert address["OS-EXT-IPS-MAC:mac_addr"] == port["mac_address"]
    assert (address["version"], address["OS-EXT-IPS:type"]) == (4, "fixed")
    assert server["security_groups"] == [{"name": "default"}]
    ips = client.member.get(f"/servers/{server['id']}/ips")["addresses"]
    assert ips == {"private": [{"addr": address["addr"], "version": 4}]}
    assert client.member.get(f"/servers/{server['id']}/ips/private") == ips
    assert client.member.ask("GET", f"/servers/{server['id']}/ips/other").status == 404
    client.delete(server)
    assert client.ports(server) == []


def test_the_only_network_is_taken_when_none_is_named(client: Networked) -> None:
    assert client.built(networks="auto")["addresses"].keys() == {"private"}
    old = client.member.at("2.1")
    made = client.create(old)
    settle(client.local)
    assert client.show(made, old)["addresses"].keys() == {"private"}


def test_no_network_at_all(client: Networked) -> None:
    assert client.built(networks="none")["addresses"] == {}


def test_a_port_of_the_users_own_survives_the_server(client: Networked) -> None:
    port = client.port()
    server = client.built(networks=[{"port": port["id"]}])
    assert [each["id"] for each in client.ports(server)] == [port["id"]]
    refusal = client.refused(409, networks=[{"port": port["id"]}])
    assert "still in use" in refusal
    client.delete(server)
    after = client.neutron("GET", f"/ports/{port['id']}")["port"]
    assert (after["device_id"], after["status"]) == ("", "DOWN")


def test_an_administrator_puts_servers_on_any_network(client: Networked) -> None:
    made = client.create(client.admin, networks=[{"uuid": client.network}])
    settle(client.local)
    assert client.show(made, client.admin)["addresses"].keys() == {"private"}
    stranger = Networked(client.local)
    assert "could not be found" in stranger.refused(networks=[{"uuid": client.network}])
    card = {"interfaceAttachment": {"net_id": client.network}}
    server = stranger.built()
    path = f"/servers/{server['id']}/os-interface"
    stranger.member.post(path, card, 404)
    client.admin.post(path, card)
    settle(client.local)
    assert stranger.show(server)["addresses"].keys() == {"private"}


def test_a_port_that_is_deleted_leaves_its_server(client: Networked) -> None:
    port = client.port()
    server = client.built(networks=[{"uuid": client.network}, {"port": port["id"]}])
    client.neutron("DELETE", f"/ports/{port['id']}", status=204)
    settle(client.local)
    path = f"/servers/{server['id']}/os-interface"
    (left,) = client.member.get(path)["interfaceAttachments"]
    database, bus = client.local.cloud.get(Database), client.local.cloud.get(Bus)
    with database.transaction(write=False) as session:
        known = session.scalars(
            select(InterfaceRecord.port_id).where(InterfaceRecord.server_id == server["id"])
        ).all()
    host = client.show(server, client.admin)["OS-EXT-SRV-ATTR:host"]
    guests = bus.remote(Hypervisor, agent_address(host, "hypervisor")).guests()
    nics = [each.nics for each in guests if each.id == server["id"]]
    assert ([left["port_id"]], [left["port_id"]]) == (known, nics[0])


def test_who_may_go_outside_is_a_rule(client: Networked) -> None:
    body = {"network": {"name": "outside", "router:external": True}}
    made = client.local.ask("POST", "/network/v2.0/networks", body, client.admin.token)
    public = made.body["network"]["id"]
    assert "external network" in client.refused(403, networks=[{"uuid": public}])
    client.create(client.admin, networks=[{"uuid": public}])
    card = {"interfaceAttachment": {"net_id": public}}
    path = f"/servers/{client.built()['id']}/os-interface"
    client.member.post(path, card, 403)
    policy = client.local.cloud.get(Policy)
    texts = {rule.name: text for rule, text, _ in policy.items()}
    texts["network:attach_external_network"] = "role:member"
    client.local.cloud.put(Policy([rule for rule, _, _ in policy.items()], texts))
    try:
        client.member.post(path, card)
    finally:
        client.local.cloud.put(policy)


def test_an_address_is_chosen(client: Networked) -> None:
    server = client.built(networks=[{"uuid": client.network, "fixed_ip": "10.1.0.77"}])
    assert server["addresses"]["private"][0]["addr"] == "10.1.0.77"
    listed = client.member.get("/servers?ip=10.1.0.77")["servers"]
    assert [each["id"] for each in listed] == [server["id"]]
    assert client.member.get("/servers?ip=10.1.0.78")["servers"] == []


def test_networks_that_there_are_not(client: Networked) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    assert "could not be found" in client.refused(networks=[{"uuid": unknown}])
    assert "could not be found" in client.refused(networks=[{"port": unknown}])
    client.refused(networks=[{"uuid": "no uuid"}])
    client.refused(networks=[{}])
    client.refused(networks="any")
    client.refused(networks=[{"uuid": client.network}], security_groups=[{"name": "unknown"}])
    client.refused(networks=[{"port": client.port()["id"]}], min_count=2)
    client.neutron("POST", "/networks", {"network": {"name": "second"}}, 201)
    assert "Multiple possible networks" in client.refused(409, networks="auto")


def test_interfaces_come_and_go(client: Networked) -> None:
    server = client.built(networks=[{"uuid": client.network}])
    path = f"/servers/{server['id']}/os-interface"
    made = client.member.post(path, {"interfaceAttachment": {"net_id": client.network}})
    port_id = made["interfaceAttachment"]["port_id"]
    settle(client.local)
    shown = client.member.get(f"{path}/{port_id}")["interfaceAttachment"]
    assert (shown["port_state"], shown["net_id"]) == ("ACTIVE", client.network)
    assert len(client.member.get(path)["interfaceAttachments"]) == 2
    assert len(client.ports(server)) == 2
    client.member.delete(f"{path}/{port_id}", 202)
    settle(client.local)
    assert len(client.member.get(path)["interfaceAttachments"]) == 1
    assert client.member.ask("DELETE", f"{path}/{port_id}").status == 404
    own = client.port()["id"]
    client.member.post(path, {"interfaceAttachment": {"port_id": own, "tag": "t"}})
    settle(client.local)
    assert client.member.get(f"{path}/{own}")["interfaceAttachment"]["tag"] == "t"


def test_interfaces_that_cannot_be(client: Networked) -> None:
    server = client.built(networks="none")
    path = f"/servers/{server['id']}/os-interface"
    both = {"net_id": client.network, "port_id": client.port()["id"]}
    client.member.post(path, {"interfaceAttachment": both}, 400)
    unknown = "00000000-0000-4000-8000-000000000000"
    client.member.post(path, {"interfaceAttachment": {"port_id": unknown}}, 404)
    address = {"fixed_ips": [{"ip_address": "10.1.0.9"}]}
    client.member.post(path, {"interfaceAttachment": address}, 400)
    client.member.delete(f"{path}/{unknown}", 404)


def test_a_security_group_guards_a_server(client: Networked) -> None:
    server = client.built(networks=[{"uuid": client.network}])
    body = {"security_group": {"name": "web"}}
    made = client.neutron("POST", "/security-groups", body, 201)["security_group"]
    assert client.act(server, "addSecurityGroup", {"name": "web"}).status == 202
    (port,) = client.ports(server)
    assert made["id"] in port["security_groups"]
    assert {each["name"] for each in client.show(server)["security_groups"]} == {"default", "web"}
    assert client.act(server, "removeSecurityGroup", {"name": "web"}).status == 202
    (port,) = client.ports(server)
    assert made["id"] not in port["security_groups"]
    assert client.act(server, "addSecurityGroup", {"name": "none"}).status == 404
    assert client.act(server, "addSecurityGroup", {"name": ""}).status == 400


def test_old_clients_add_and_remove_addresses(local: Local) -> None:
    owner = Networked(local, "2.43")
    server = owner.built(networks=[{"uuid": owner.network}])

    def addresses() -> list[str]:
        shown = owner.show(server)["addresses"]["private"]
        return [each["addr"] for each in shown]

    before = addresses()
    assert owner.act(server, "addFixedIp", {"networkId": owner.network}).status == 202
    added = set(addresses()) - set(before)
    assert len(added) == 1
    assert owner.act(server, "removeFixedIp", {"address": added.pop()}).status == 202
    assert addresses() == before
    assert owner.act(server, "removeFixedIp", {"address": "192.0.2.9"}).status == 400
    assert owner.act(server, "addFixedIp", {"networkId": server["id"]}).status == 400
    assert Networked(local, "2.43").act(server, "addFixedIp", {"networkId": "x"}).status == 404
    newer = Networked(local, "2.44")
    mine = newer.built(networks=[{"uuid": newer.network}])
    assert newer.act(mine, "addFixedIp", {"networkId": newer.network}).status in (400, 404)
