"""OSSA-2015-018, 2014-008: nobody makes a port into one of a router, or plugs what is another's."""

from tests.cloud import Local
from tests.network import actors

OWNERS = ("network:router_interface", "network:router_gateway", "network:dhcp",
          "network:floatingip", "network:anything")  # fmt: skip


def test_only_the_cloud_makes_ports_of_its_own_devices(local: Local) -> None:
    owner = actors.newcomer(local, "plug-owner")
    network = owner.make("network")
    router = owner.make("router", name="r")
    port = owner.make("port", network_id=network["id"])
    for device_owner in OWNERS:
        given = {"device_owner": device_owner, "device_id": router["id"]}
        owner.make("port", 403, network_id=network["id"], **given)
        owner.change("port", port, 403, **given)  # also by a change after it was made
        owner.post("/ports", {"ports": [{"network_id": network["id"], **given}]}, status=403)
    shown = owner.show("port", port)
    assert (shown["device_owner"], shown["device_id"]) == ("", "")


def test_a_routers_port_is_not_made_into_something_else(local: Local) -> None:
    owner = actors.newcomer(local, "unplug-owner")
    network = owner.make("network")
    subnet = owner.make("subnet", network_id=network["id"], cidr="10.0.0.0/24", ip_version=4)
    router = owner.make("router", name="r")
    plugged = {"subnet_id": subnet["id"]}
    owner.put(f"/routers/{router['id']}/add_router_interface", plugged)
    query = "device_owner=network:router_interface"
    (port,) = owner.get(f"/ports?{query}&network_id={network['id']}")["ports"]
    for given in ({"device_owner": ""}, {"device_id": ""}, {"device_owner": "compute:x"},
                  {"device_owner": None}, {"device_id": "another"}):  # fmt: skip
        owner.change("port", port, 403, **given)
    refused = owner.drop("port", port, 409)["NeutronError"]
    assert refused["type"] == "ServicePortInUse"
    assert owner.show("port", port)["device_id"] == router["id"]


def test_nobody_plugs_what_is_anothers(local: Local) -> None:
    owner, thief = actors.newcomer(local, "plug-victim"), actors.newcomer(local, "plug-thief")
    network = owner.make("network")
    subnet = owner.make("subnet", network_id=network["id"], cidr="10.0.0.0/24", ip_version=4)
    port = owner.make("port", network_id=network["id"])
    router = thief.make("router", name="r")
    path = f"/routers/{router['id']}/add_router_interface"
    thief.put(path, {"subnet_id": subnet["id"]}, status=404)
    thief.put(path, {"port_id": port["id"]}, status=404)
    thief.make("port", 404, network_id=network["id"])
    thief.make("subnet", 404, network_id=network["id"], cidr="10.1.0.0/24", ip_version=4)
    assert owner.show("port", port)["device_id"] == ""
