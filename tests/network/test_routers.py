"""Routers: their gateways, legs and routes, and what keeps them."""

from typing import Any

import pytest

from tests.cloud import Local
from tests.network import actors, places
from tests.network.places import connect, disconnect, error_of


def test_a_router_is_made_changed_and_deleted(local: Local) -> None:
    owner = actors.newcomer(local, "router-owner")
    made = owner.make("router", name="r", description="ours")
    assert made == {
        "id": made["id"], "name": "r", "description": "ours", "admin_state_up": True,
        "status": "ACTIVE", "project_id": owner.project, "tenant_id": owner.project,
        "external_gateway_info": None, "routes": [], "availability_zone_hints": [],
        "availability_zones": [], "tags": [], "created_at": made["created_at"],
        "updated_at": made["updated_at"], "revision_number": 1, "flavor_id": None,
    }  # fmt: skip
    assert owner.show("router", made) == made
    assert owner.ids("router", "name=r") == [made["id"]]
    changed = owner.change("router", made, name="s", admin_state_up=False)
    assert (changed["name"], changed["admin_state_up"]) == ("s", False)
    admin = actors.admin(local)
    shown = admin.show("router", made)
    assert (shown["ha"], shown["distributed"]) == (False, False)
    admin.change("router", made, ha=False, distributed=False)
    admin.change("router", made, status=400, ha=True)
    owner.change("router", made, status=403, ha=False)
    owner.make("router", status=403, name="x", distributed=True)
    for bad in ({"name": 1}, {"admin_state_up": "up"}, {"color": "red"}, {"routes": [1]}):
        owner.make("router", status=400, **bad)
    owner.drop("router", made)
    assert error_of(owner.show("router", made, status=404)) == "RouterNotFound"
    owner.drop("router", made, status=404)


def test_others_do_not_know_of_a_router(local: Local) -> None:
    owner = actors.newcomer(local, "router-mine")
    reader = actors.newcomer(local, "router-reader", "reader", owner.project)
    other = actors.newcomer(local, "router-other")
    subnet, theirs = places.inside(owner), places.inside(other, "10.9.0.0/24")
    made = places.router(owner, subnet)
    assert reader.show("router", made) == made
    routes = {"router": {"routes": []}}
    one = f"/routers/{made['id']}"
    for who, status in ((reader, 403), (other, 404)):
        who.change("router", made, status=status, name="x")
        who.drop("router", made, status=status)
        connect(who, made, status=status, subnet_id=theirs["id"])
        disconnect(who, made, status=status, subnet_id=subnet["id"])
        who.put(f"{one}/add_extraroutes", routes, status)
        who.put(f"{one}/remove_extraroutes", routes, status)
    other.show("router", made, status=404)
    assert made["id"] not in other.ids("router")
    reader.make("router", status=403, name="x")
    other.make("router", status=403, name="x", project_id=owner.project)
    assert owner.show("router", made) == made
    made_for = actors.admin(local).make("router", name="x", project_id=owner.project)
    assert owner.show("router", made_for)["project_id"] == owner.project


def test_a_gateway_is_set_kept_and_cleared(local: Local) -> None:
    owner, admin = actors.newcomer(local, "gateway-owner"), actors.admin(local)
    out, more = places.outside(local), places.outside(local)
    made = places.router(owner, out=out)
    gateway = made["external_gateway_info"]
    assert gateway["network_id"] == out.network["id"]
    assert gateway["enable_snat"] is True
    (fixed,) = gateway["external_fixed_ips"]
    assert fixed["subnet_id"] == out.subnet["id"]
    (port,) = admin.get(f"/ports?device_id={made['id']}")["ports"]
    assert (port["device_owner"], port["project_id"]) == ("network:router_gateway", "")
    assert port["fixed_ips"] == [fixed]
    assert owner.get(f"/ports?device_id={made['id']}")["ports"] == []
    again = owner.change("router", made, external_gateway_info={"network_id": out.network["id"]})
    assert again["external_gateway_info"] == gateway
    moved = owner.change("router", made, external_gateway_info={"network_id": more.network["id"]})
    assert moved["external_gateway_info"]["network_id"] == more.network["id"]
    assert admin.get(f"/ports?network_id={out.network['id']}")["ports"] == []
    no_snat = {"network_id": more.network["id"], "enable_snat": False}
    owner.change("router", made, status=403, external_gateway_info=no_snat)
    assert admin.change("router", made, external_gateway_info=no_snat)["external_gateway_info"] == {
        **moved["external_gateway_info"],
        "enable_snat": False,
    }
    named = more.subnet["cidr"].replace(".0/24", ".77")
    wanted = {
        "network_id": more.network["id"],
        "external_fixed_ips": [{"subnet_id": more.subnet["id"], "ip_address": named}],
    }
    owner.change("router", made, status=403, external_gateway_info=wanted)
    given = admin.change("router", made, external_gateway_info=wanted)
    assert given["external_gateway_info"]["external_fixed_ips"] == wanted["external_fixed_ips"]
    cleared = owner.change("router", made, external_gateway_info={})
    assert cleared["external_gateway_info"] is None
    assert admin.get(f"/ports?device_id={made['id']}")["ports"] == []
    owner.change("router", made, external_gateway_info=None)


def test_gateways_that_cannot_be(local: Local) -> None:
    owner, admin = actors.newcomer(local, "gateway-bad"), actors.admin(local)
    subnet = places.inside(owner)
    out = places.outside(local)
    bare = admin.make("network", name="bare", **{"router:external": True})
    for network, status in ((subnet["network_id"], 400), ("missing", 404), (bare["id"], 400)):
        info = {"network_id": network}
        owner.make("router", status=status, name="x", external_gateway_info=info)
    overlapping = places.inside(owner, out.subnet["cidr"])
    made = places.router(owner, overlapping)
    info = {"network_id": out.network["id"]}
    owner.change("router", made, status=400, external_gateway_info=info)
    assert owner.show("router", made)["external_gateway_info"] is None
    for bad in ({"enable_snat": True}, {"network_id": 1}, {"color": "red"}, "none"):
        owner.change("router", made, status=400, external_gateway_info=bad)


def test_a_leg_is_added_and_removed_by_subnet(local: Local) -> None:
    owner = actors.newcomer(local, "leg-subnet")
    subnet = places.inside(owner)
    made = places.router(owner)
    told = connect(owner, made, subnet_id=subnet["id"])
    assert told == {
        "id": made["id"], "project_id": owner.project, "tenant_id": owner.project,
        "port_id": told["port_id"], "network_id": subnet["network_id"],
        "subnet_id": subnet["id"], "subnet_ids": [subnet["id"]],
    }  # fmt: skip
    port = owner.show("port", {"id": told["port_id"]})
    assert port["device_owner"] == "network:router_interface"
    assert port["device_id"] == made["id"]
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.1"}]
    assert port["security_groups"] == []
    again = connect(owner, made, status=400, subnet_id=subnet["id"])
    assert "Router already has a port on subnet" in again["NeutronError"]["message"]
    assert error_of(owner.drop("router", made, status=409)) == "RouterInUse"
    owner.drop("port", port, status=409)
    owner.drop("subnet", subnet, status=409)
    gone = disconnect(owner, made, subnet_id=subnet["id"])
    assert gone == told
    owner.show("port", port, status=404)
    missing = disconnect(owner, made, status=404, subnet_id=subnet["id"])
    assert error_of(missing) == "RouterInterfaceNotFoundForSubnet"
    owner.drop("router", made)


def test_a_leg_is_added_and_removed_by_port(local: Local) -> None:
    owner = actors.newcomer(local, "leg-port")
    subnet = places.inside(owner)
    made = places.router(owner)
    port = owner.make(
        "port", network_id=subnet["network_id"], fixed_ips=[{"ip_address": "10.0.0.9"}]
    )
    told = connect(owner, made, port_id=port["id"])
    assert told["subnet_ids"] == [subnet["id"]]
    shown = owner.show("port", port)
    assert (shown["device_id"], shown["device_owner"]) == (
        made["id"], "network:router_interface",
    )  # fmt: skip
    other = places.router(owner)
    assert error_of(connect(owner, other, status=409, port_id=port["id"])) == "PortInUse"
    wrong = disconnect(owner, other, status=404, port_id=port["id"])
    assert error_of(wrong) == "RouterInterfaceNotFound"
    elsewhere = places.inside(owner, "10.8.0.0/24")
    mixed = {"port_id": port["id"], "subnet_id": elsewhere["id"]}
    disconnect(owner, made, status=400, **mixed)
    disconnect(owner, made, port_id=port["id"], subnet_id=subnet["id"])
    owner.show("port", port, status=404)
    connect(owner, made, status=400, **mixed)
    for verb in (connect, disconnect):
        verb(owner, made, status=400)
        verb(owner, made, status=404, port_id="missing")
        verb(owner, made, status=404, subnet_id="missing")
    nowhere = owner.make("port", network_id=subnet["network_id"], fixed_ips=[])
    connect(owner, made, status=400, port_id=nowhere["id"])


def test_legs_do_not_overlap(local: Local) -> None:
    owner = actors.newcomer(local, "leg-overlap")
    made = places.router(owner, places.inside(owner, "10.0.0.0/16"))
    inner = places.inside(owner, "10.0.7.0/24")
    refused = connect(owner, made, status=400, subnet_id=inner["id"])
    assert "overlaps with cidr" in refused["NeutronError"]["message"]
    headless = places.inside(owner, "10.5.0.0/24", gateway_ip=None)
    connect(owner, made, status=400, subnet_id=headless["id"])
    one, two = places.inside(owner, "10.6.0.0/24"), places.inside(owner, "fd00:6::/64")
    connect(owner, made, subnet_id=one["id"])
    connect(owner, made, subnet_id=two["id"])


def test_ossa_2014_008_foreign_subnets_and_ports_are_not_plugged(local: Local) -> None:
    owner, other = (
        actors.newcomer(local, "leg-plug-owner"),
        actors.newcomer(local, "leg-plug-other"),
    )
    subnet = places.inside(owner)
    port = owner.make("port", network_id=subnet["network_id"])
    made = places.router(other)
    connect(other, made, status=404, subnet_id=subnet["id"])
    connect(other, made, status=404, port_id=port["id"])
    admin = actors.admin(local)
    admin.change("network", {"id": subnet["network_id"]}, shared=True)
    # Who sees a network may have a leg there, but not its gateway's address.
    connect(other, made, status=403, subnet_id=subnet["id"])
    connect(other, made, status=404, port_id=port["id"])
    own = other.make("port", network_id=subnet["network_id"])
    connect(other, made, port_id=own["id"])
    for device_owner in ("network:router_interface", "network:dhcp"):
        other.make(
            "port", status=403, network_id=subnet["network_id"], device_owner=device_owner,
            device_id=made["id"],
        )  # fmt: skip
    plain = other.make("port", network_id=subnet["network_id"])
    other.change("port", plain, status=403, device_owner="network:router_interface")


def test_two_ipv6_subnets_share_a_leg(local: Local) -> None:
    owner = actors.newcomer(local, "leg-ipv6")
    first = places.inside(owner, "fd00:1::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    second = owner.make("subnet", network_id=first["network_id"], cidr="fd00:2::/64", ip_version=6)
    made = places.router(owner)
    one = connect(owner, made, subnet_id=first["id"])
    two = connect(owner, made, subnet_id=second["id"])
    assert one["port_id"] == two["port_id"]
    port = owner.show("port", {"id": one["port_id"]})
    assert [each["ip_address"] for each in port["fixed_ips"]] == ["fd00:1::1", "fd00:2::1"]
    disconnect(owner, made, subnet_id=first["id"])
    port = owner.show("port", port)
    assert [each["ip_address"] for each in port["fixed_ips"]] == ["fd00:2::1"]
    disconnect(owner, made, subnet_id=second["id"])
    owner.show("port", port, status=404)
    deaf = owner.make(
        "subnet", network_id=first["network_id"], cidr="fd00:3::/64", ip_version=6,
        ipv6_address_mode="slaac",
    )  # fmt: skip
    connect(owner, made, status=400, subnet_id=deaf["id"])


def test_extra_routes(local: Local) -> None:
    owner = actors.newcomer(local, "routes")
    subnet = places.inside(owner)
    made = places.router(owner, subnet)
    one = {"destination": "10.7.0.0/16", "nexthop": "10.0.0.5"}
    two = {"destination": "10.8.0.0/16", "nexthop": "10.0.0.6"}
    assert owner.change("router", made, routes=[one, one])["routes"] == [one]
    path = f"/routers/{made['id']}"
    added = owner.put(f"{path}/add_extraroutes", {"router": {"routes": [one, two]}})
    assert added["router"]["routes"] == [one, two]
    in_use = disconnect(owner, made, status=409, subnet_id=subnet["id"])
    assert error_of(in_use) == "RouterInterfaceInUseByRoute"
    removed = owner.put(f"{path}/remove_extraroutes", {"router": {"routes": [one]}})
    assert removed["router"]["routes"] == [two]
    again = owner.put(f"{path}/remove_extraroutes", {"router": {"routes": [one]}})
    assert again == removed
    bad: list[tuple[Any, str]] = [
        ({"destination": "10.9.0.0/16", "nexthop": "10.1.0.5"}, "InvalidRoutes"),
        ({"destination": "10.9.0.0/16", "nexthop": "10.0.0.1"}, "InvalidRoutes"),
        ({"destination": "10.9.0.0/33", "nexthop": "10.0.0.5"}, "InvalidRoutes"),
        ({"destination": "fd00::/64", "nexthop": "10.0.0.5"}, "InvalidRoutes"),
        ({"destination": "10.9.0.0/16", "nexthop": "neighbour"}, "InvalidInput"),
        ({"destination": "10.9.0.0/16"}, "BadRequest"),
    ]
    for route, error in bad:
        refused = owner.change("router", made, status=400, routes=[route])
        assert error_of(refused) == error
        owner.put(f"{path}/add_extraroutes", {"router": {"routes": [route]}}, 400)
    many = [{"destination": f"10.9.{n}.0/24", "nexthop": "10.0.0.5"} for n in range(31)]
    refused = owner.change("router", made, status=400, routes=many)
    assert error_of(refused) == "RoutesExhausted"
    assert owner.show("router", made)["routes"] == [two]
    assert owner.change("router", made, routes=None)["routes"] == []
    disconnect(owner, made, subnet_id=subnet["id"])


def test_routers_are_bounded(local: Local) -> None:
    owner, admin = actors.newcomer(local, "router-quota"), actors.admin(local)
    admin.put(f"/quotas/{owner.project}", {"quota": {"router": 1}})
    owner.make("router", name="first")
    assert error_of(owner.make("router", status=409, name="second")) == "OverQuota"


@pytest.mark.parametrize("verb", ["add_router_interface", "remove_router_interface"])
@pytest.mark.parametrize("body", [{"color": "red"}, {"subnet_id": 1}, [], None])
def test_bodies_that_make_no_sense(local: Local, verb: str, body: Any) -> None:
    owner = actors.admin(local)
    made = places.router(owner)
    owner.put(f"/routers/{made['id']}/{verb}", body, 400)
    owner.drop("router", made)
