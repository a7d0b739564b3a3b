"""Floating IPs: where they come from, and where they lead."""

from typing import Any

from tests.cloud import Local
from tests.network import actors, places
from tests.network.actors import Actor
from tests.network.places import connect, disconnect, error_of
from tests.settle import settle


class Place:
    """A project with a server's port behind a router."""

    def __init__(self, local: Local, name: str) -> None:
        self.owner: Actor = actors.newcomer(local, name)
        self.out = places.outside(local)
        self.subnet = places.inside(self.owner)
        self.router = places.router(self.owner, self.subnet, out=self.out)
        self.port = self.new_port()

    def new_port(self, **more: Any) -> Any:
        return self.owner.make("port", network_id=self.subnet["network_id"], **more)

    def take(self, status: int = 201, **more: Any) -> Any:
        network = self.out.network["id"]
        return self.owner.make("floatingip", status, floating_network_id=network, **more)

    def inner(self, port: Any) -> str:
        return str(port["fixed_ips"][0]["ip_address"])


def test_an_address_is_taken_and_given_back(local: Local) -> None:
    place = Place(local, "fip-take")
    owner, admin = place.owner, actors.admin(local)
    made = place.take(description="ours")
    assert made == {
        "id": made["id"], "project_id": owner.project, "tenant_id": owner.project,
        "floating_network_id": place.out.network["id"],
        "floating_ip_address": made["floating_ip_address"], "fixed_ip_address": None,
        "port_id": None, "router_id": None, "status": "DOWN", "description": "ours",
        "port_details": None, "port_forwardings": [], "dns_name": "", "dns_domain": "",
        "tags": [], "created_at": made["created_at"], "updated_at": made["updated_at"],
        "revision_number": 1, "qos_policy_id": None,
    }  # fmt: skip
    assert owner.show("floatingip", made) == made
    (port,) = admin.get(f"/ports?device_id={made['id']}")["ports"]
    assert port["device_owner"] == "network:floatingip"
    assert port["fixed_ips"][0]["ip_address"] == made["floating_ip_address"]
    owner.show("port", port, status=404)
    admin.drop("port", port, status=409)
    assert owner.ids("floatingip", f"floating_ip_address={made['floating_ip_address']}") == [
        made["id"]
    ]
    owner.drop("floatingip", made)
    assert error_of(owner.show("floatingip", made, status=404)) == "FloatingIPNotFound"
    assert admin.get(f"/ports?device_id={made['id']}")["ports"] == []


def test_an_address_leads_to_a_port_and_works_once_it_is_wired(local: Local) -> None:
    place = Place(local, "fip-lead")
    owner = place.owner
    settle(local)
    made = place.take(port_id=place.port["id"])
    assert made["port_id"] == place.port["id"]
    assert made["fixed_ip_address"] == place.inner(place.port)
    assert (made["router_id"], made["status"]) == (place.router["id"], "DOWN")
    details = made["port_details"]
    assert details["network_id"] == place.subnet["network_id"]
    assert details.keys() == {
        "name", "network_id", "mac_address", "admin_state_up", "status", "device_id",
        "device_owner",
    }  # fmt: skip
    settle(local)
    assert owner.show("floatingip", made)["status"] == "ACTIVE"
    assert owner.ids("floatingip", f"port_id={place.port['id']}") == [made["id"]]
    second = place.new_port()
    moved = owner.change("floatingip", made, port_id=second["id"])
    assert moved["fixed_ip_address"] == place.inner(second)
    kept = owner.change("floatingip", moved, description="still there")
    assert kept["port_id"] == second["id"]
    gone = owner.change("floatingip", moved, port_id=None)
    assert (gone["port_id"], gone["fixed_ip_address"], gone["router_id"]) == (None, None, None)
    assert gone["status"] == "DOWN"
    again = owner.change("floatingip", moved, port_id=second["id"])
    owner.drop("port", second)
    released = owner.show("floatingip", again)
    assert (released["port_id"], released["status"]) == (None, "DOWN")


def test_one_address_leads_to_each_fixed_address(local: Local) -> None:
    place = Place(local, "fip-one")
    owner = place.owner
    place.take(port_id=place.port["id"])
    refused = place.take(status=409, port_id=place.port["id"])
    assert error_of(refused) == "FloatingIPPortAlreadyAssociated"
    assert len(owner.ids("floatingip")) == 1
    two = place.new_port(fixed_ips=[{"ip_address": f"10.0.0.{n}"} for n in (20, 21)])
    refused = place.take(status=400, port_id=two["id"])
    assert "has multiple fixed IPv4 addresses" in refused["NeutronError"]["message"]
    for address in ("10.0.0.20", "10.0.0.21"):
        assert place.take(port_id=two["id"], fixed_ip_address=address)["fixed_ip_address"] == (
            address
        )
    for address in ("10.0.0.22", "fd00::1", "nowhere"):
        place.take(status=400, port_id=two["id"], fixed_ip_address=address)
    place.take(status=400, fixed_ip_address="10.0.0.22")
    none = place.new_port(fixed_ips=[])
    place.take(status=400, port_id=none["id"])


def test_what_cannot_be_reached(local: Local) -> None:
    place = Place(local, "fip-reach")
    owner = place.owner
    lonely = places.inside(owner, "10.3.0.0/24")
    port = owner.make("port", network_id=lonely["network_id"])
    refused = place.take(status=404, port_id=port["id"])
    assert error_of(refused) == "ExternalGatewayForFloatingIPNotFound"
    place.take(status=404, port_id="missing")
    inside = {"floating_network_id": lonely["network_id"]}
    owner.make("floatingip", status=400, **inside)
    owner.make("floatingip", status=404, floating_network_id="missing")
    for bad in ({}, {"floating_network_id": 1}, {"color": "red"}):
        owner.make("floatingip", status=400, **bad)
    place.take(status=400, subnet_id=lonely["id"])
    assert owner.ids("floatingip") == []


def test_a_router_stays_as_long_as_it_is_needed(local: Local) -> None:
    place = Place(local, "fip-router")
    owner = place.owner
    made = place.take(port_id=place.port["id"])
    refused = owner.change("router", place.router, status=409, external_gateway_info={})
    assert error_of(refused) == "RouterExternalGatewayInUseByFloatingIp"
    refused = disconnect(owner, place.router, status=409, subnet_id=place.subnet["id"])
    assert error_of(refused) == "RouterInterfaceInUseByFloatingIP"
    owner.change("floatingip", made, port_id=None)
    disconnect(owner, place.router, subnet_id=place.subnet["id"])
    owner.change("router", place.router, external_gateway_info={})
    connect(owner, place.router, subnet_id=place.subnet["id"])
    owner.change("floatingip", made, status=404, port_id=place.port["id"])


def test_addresses_are_named_by_administrators_only(local: Local) -> None:
    place = Place(local, "fip-named")
    admin = actors.admin(local)
    wanted = place.out.subnet["cidr"].replace(".0/24", ".99")
    place.take(status=403, floating_ip_address=wanted)
    new = {"floating_network_id": place.out.network["id"], "project_id": place.owner.project}
    made = admin.make("floatingip", floating_ip_address=wanted, **new)
    assert made["floating_ip_address"] == wanted
    assert place.owner.show("floatingip", made)["id"] == made["id"]
    twin = admin.make("floatingip", status=409, floating_ip_address=wanted, **new)
    assert error_of(twin) == "IpAddressInUse"
    by_subnet = place.take(subnet_id=place.out.subnet["id"])
    assert by_subnet["floating_ip_address"] != wanted


def test_addresses_run_out(local: Local) -> None:
    owner, admin = actors.newcomer(local, "fip-full"), actors.admin(local)
    out = places.outside(local, size=29)
    new = {"floating_network_id": out.network["id"]}
    for _ in range(5):
        owner.make("floatingip", **new)
    refused = owner.make("floatingip", status=400, **new)
    assert error_of(refused) == "ExternalIpAddressExhausted"
    admin.put(f"/quotas/{owner.project}", {"quota": {"floatingip": 5}})
    refused = owner.make("floatingip", status=409, **new)
    assert error_of(refused) == "OverQuota"


def test_an_address_that_a_port_gives_back_is_led_to_no_more(local: Local) -> None:
    place = Place(local, "fip-back")
    owner, second = place.owner, place.new_port()
    made, shared = place.take(port_id=place.port["id"]), place.take()
    path = f"/floatingips/{shared['id']}/port_forwardings"
    web = {"protocol": "tcp", "external_port": 80, "internal_port": 80,
           "internal_port_id": second["id"]}  # fmt: skip
    owner.post(path, {"port_forwarding": web})
    owner.change("port", place.port, name="the same addresses")
    assert owner.show("floatingip", made)["port_id"] == place.port["id"]
    for port, address in ((place.port, "10.0.0.200"), (second, "10.0.0.201")):
        owner.change("port", port, fixed_ips=[{"ip_address": address}])
    assert owner.show("floatingip", made)["port_id"] is None
    assert owner.get(path) == {"port_forwardings": []}
    disconnect(owner, place.router, subnet_id=place.subnet["id"])


def test_addresses_that_lead_nowhere_go_with_their_network(local: Local) -> None:
    place, admin = Place(local, "fip-gone"), actors.admin(local)
    idle, busy = place.take(), place.take(port_id=place.port["id"])
    refused = admin.drop("network", place.out.network, status=409)
    assert error_of(refused) == "NetworkInUse"
    assert place.owner.show("floatingip", idle) == idle
    place.owner.change("floatingip", busy, port_id=None)
    place.owner.change("router", place.router, external_gateway_info=None)
    admin.drop("network", place.out.network)
    for each in (idle, busy):
        place.owner.show("floatingip", each, status=404)


def test_others_do_not_know_of_an_address(local: Local) -> None:
    place = Place(local, "fip-mine")
    reader = actors.newcomer(local, "fip-reader", "reader", place.owner.project)
    other = actors.newcomer(local, "fip-other")
    made = place.take()
    assert reader.show("floatingip", made) == made
    for who, status in ((reader, 403), (other, 404)):
        who.change("floatingip", made, status=status, description="x")
        who.drop("floatingip", made, status=status)
    other.show("floatingip", made, status=404)
    assert made["id"] not in other.ids("floatingip")
    theirs = other.make("floatingip", floating_network_id=place.out.network["id"])
    other.change("floatingip", theirs, status=404, port_id=place.port["id"])
    admin = actors.admin(local)
    led = admin.change("floatingip", theirs, port_id=place.port["id"])
    assert led["port_id"] == place.port["id"]


def test_ports_of_an_address_lead_to_several_servers(local: Local) -> None:
    place = Place(local, "pf-owner")
    owner, second = place.owner, place.new_port()
    made = place.take()
    path = f"/floatingips/{made['id']}/port_forwardings"
    web = {"protocol": "tcp", "external_port": 80, "internal_port": 8080,
           "internal_port_id": place.port["id"]}  # fmt: skip
    ssh = {**web, "external_port": 22, "internal_port_id": second["id"], "description": "ssh"}
    one = owner.post(path, {"port_forwarding": web})["port_forwarding"]
    assert one == {
        **web, "id": one["id"], "internal_ip_address": place.inner(place.port),
        "description": "",
    }  # fmt: skip
    two = owner.post(path, {"port_forwarding": ssh})["port_forwarding"]
    assert owner.get(f"{path}/{two['id']}")["port_forwarding"] == two
    assert [e["id"] for e in owner.get(f"{path}?external_port=22")["port_forwardings"]] == [
        two["id"]
    ]
    shown = owner.show("floatingip", made)
    assert [each["external_port"] for each in shown["port_forwardings"]] == [80, 22]
    assert shown["router_id"] == place.router["id"]
    owner.post(path, {"port_forwarding": web}, 400)
    owner.put(f"{path}/{two['id']}", {"port_forwarding": {"external_port": 80}}, 400)
    changed = owner.put(f"{path}/{two['id']}", {"port_forwarding": {"external_port": 2222}})
    assert changed["port_forwarding"] == {**two, "external_port": 2222}
    owner.change("floatingip", made, status=409, port_id=place.port["id"])
    disconnect(owner, place.router, status=409, subnet_id=place.subnet["id"])
    for bad in ({}, {**web, "external_port": 0}, {**web, "protocol": "gre"},
                {**web, "external_port": 81, "internal_ip_address": "10.0.0.250"}):  # fmt: skip
        owner.post(path, {"port_forwarding": bad}, 400)
    other = actors.newcomer(local, "pf-other")
    reader = actors.newcomer(local, "pf-reader", "reader", owner.project)
    assert reader.get(f"{path}/{one['id']}")["port_forwarding"] == one
    for who, status in ((other, 404), (reader, 403)):
        who.post(path, {"port_forwarding": ssh}, status)
        who.put(f"{path}/{one['id']}", {"port_forwarding": {"external_port": 1}}, status)
        who.delete(f"{path}/{one['id']}", status)
    other.get(path, 404)
    other.get(f"{path}/{one['id']}", 404)
    owner.drop("port", second)
    assert owner.get(path)["port_forwardings"] == [one]
    owner.delete(f"{path}/{one['id']}")
    assert owner.show("floatingip", made)["router_id"] is None
    owner.get(f"{path}/{one['id']}", 404)
    led = owner.change("floatingip", made, port_id=place.port["id"])
    owner.post(path, {"port_forwarding": web}, 409)
    assert led["port_id"] == place.port["id"]
