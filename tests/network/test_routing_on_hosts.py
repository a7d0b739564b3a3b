"""What hosts get of routers, floating IPs and groups: where they are, and what switches hear."""

from typing import Any

from sqlalchemy import update

from onestack.core import clock
from onestack.core.agent import Agent
from onestack.core.agents import AgentRecord
from onestack.core.db import Database
from onestack.core.engine import Engine
from onestack.network.drivers.simulated import SimulatedSwitch
from onestack.network.switch import GroupWiring, RouterWiring
from tests.cloud import Local
from tests.conftest import Clouds
from tests.network import actors, places
from tests.network.places import connect, disconnect
from tests.settle import settle


def switch_of(local: Local) -> SimulatedSwitch:
    """The switch that all of a cloud's hosts share."""
    (found,) = local.cloud.get(Agent).drivers("switch")
    assert isinstance(found, SimulatedSwitch)
    return found


def router_on(local: Local, router: Any) -> RouterWiring | None:
    found = switch_of(local).wirings.get(("router", router["id"]))
    assert found is None or isinstance(found, RouterWiring)
    return found


def test_a_router_made_while_no_host_is_heard_of_is_placed_when_one_is_back(fresh: Local) -> None:
    settle(fresh)
    silent = clock.now().replace(year=2000)
    with fresh.cloud.get(Database).transaction() as session:
        session.execute(update(AgentRecord).values(seen_at=silent))
    owner = actors.newcomer(fresh, "homeless-owner")
    router = places.router(owner, places.inside(owner))
    fresh.cloud.get(Engine).run_until_idle()
    assert router_on(fresh, router) is None
    settle(fresh)
    assert router_on(fresh, router) is not None


def test_a_router_is_wired_with_all_that_it_does(local: Local) -> None:
    settle(local)
    owner, admin = actors.newcomer(local, "wired-owner"), actors.admin(local)
    out, subnet = places.outside(local), places.inside(owner, dns_nameservers=["9.9.9.9"])
    router = places.router(owner)
    settle(local)
    assert router_on(local, router) is None, "a router without a leg is nowhere"
    leg = connect(owner, router, subnet_id=subnet["id"])
    owner.change("router", router, external_gateway_info={"network_id": out.network["id"]})
    owner.change("router", router, routes=[{"destination": "10.7.0.0/16", "nexthop": "10.0.0.5"}])
    port = owner.make("port", network_id=subnet["network_id"])
    second = owner.make("port", network_id=subnet["network_id"])
    new = {"floating_network_id": out.network["id"]}
    floating = owner.make("floatingip", port_id=port["id"], **new)
    shared = owner.make("floatingip", **new)
    forwarding = owner.post(
        f"/floatingips/{shared['id']}/port_forwardings",
        {"port_forwarding": {"protocol": "udp", "external_port": 53, "internal_port": 5353,
                             "internal_port_id": second["id"]}},
    )["port_forwarding"]  # fmt: skip
    settle(local)
    wired = router_on(local, router)
    assert wired is not None
    (inner,) = wired.interfaces
    assert (inner.port_id, inner.addresses) == (leg["port_id"], ["10.0.0.1/24"])
    assert [each.nameservers for each in inner.subnets] == [["9.9.9.9"]]
    assert wired.gateway is not None
    gateway = owner.show("router", router)["external_gateway_info"]
    assert wired.gateway.interface.network_id == out.network["id"]
    address = gateway["external_fixed_ips"][0]["ip_address"]
    assert wired.gateway.interface.addresses == [f"{address}/24"]
    assert wired.gateway.nexthops == [out.subnet["gateway_ip"]]
    assert (wired.gateway.is_snat, wired.is_up) == (True, True)
    assert [(each.destination, each.nexthop) for each in wired.routes] == [
        ("10.7.0.0/16", "10.0.0.5")
    ]
    (led,) = wired.floating
    assert (led.address, led.fixed) == (
        floating["floating_ip_address"], floating["fixed_ip_address"],
    )  # fmt: skip
    (forwarded,) = wired.forwarding
    assert (forwarded.id, forwarded.address) == (forwarding["id"], shared["floating_ip_address"])
    assert (forwarded.protocol, forwarded.port, forwarded.fixed_port) == ("udp", 53, 5353)
    assert forwarded.fixed == second["fixed_ips"][0]["ip_address"]
    assert {("network", each) for each in (subnet["network_id"], out.network["id"])} <= set(
        switch_of(local).wirings
    )
    for each in admin.get(f"/ports?device_id={router['id']}")["ports"]:
        assert (each["status"], each["binding:host_id"] != "") == ("ACTIVE", True)
    for each in (floating, shared):
        assert owner.show("floatingip", each)["status"] == "ACTIVE"
    owner.change("router", router, admin_state_up=False)
    owner.change("floatingip", floating, port_id=None)
    settle(local)
    wired = router_on(local, router)
    assert wired is not None
    assert (wired.is_up, wired.floating) == (False, [])
    owner.drop("floatingip", shared)
    owner.change("router", router, external_gateway_info=None, routes=[])
    disconnect(owner, router, subnet_id=subnet["id"])
    settle(local)
    assert router_on(local, router) is None
    assert owner.show("router", router)["availability_zones"] == []


def test_ossa_2015_021_a_rule_that_goes_is_gone_from_hosts(local: Local) -> None:
    settle(local)
    owner, admin = actors.newcomer(local, "wired-group"), actors.admin(local)
    subnet = places.inside(owner)
    group = owner.make("security_group", name="g")
    rule = owner.make(
        "security_group_rule", security_group_id=group["id"], direction="ingress",
        protocol="tcp", port_range_min=22, port_range_max=22, remote_ip_prefix="10.9.8.7/8",
    )  # fmt: skip
    port = owner.make("port", network_id=subnet["network_id"], security_groups=[group["id"]])
    host = admin.get("/agents")["agents"][0]["host"]
    admin.change("port", port, **{"binding:host_id": host})
    settle(local)

    def wired() -> GroupWiring:
        found = switch_of(local).wirings["group", group["id"]]
        assert isinstance(found, GroupWiring)
        return found

    (ingress,) = [each for each in wired().rules if each.direction == "ingress"]
    assert (ingress.port_min, ingress.port_max, ingress.protocol) == (22, 22, "tcp")
    assert wired().members == [port["fixed_ips"][0]["ip_address"]]
    owner.drop("security_group_rule", rule)
    settle(local)
    assert {each.direction for each in wired().rules} == {"egress"}


def test_administrators_see_and_choose_where_a_router_is(another: Clouds) -> None:
    local = another(ONESTACK_AGENT_SIMULATED_HOSTS="2")
    owner, admin = actors.newcomer(local, "hosts-owner"), actors.admin(local)
    router = places.router(owner, places.inside(owner))
    assert admin.get(f"/routers/{router['id']}/l3-agents") == {"agents": []}
    settle(local)
    path = f"/routers/{router['id']}/l3-agents"
    (at,) = admin.get(path)["agents"]
    other = next(e for e in admin.get("/agents")["agents"] if e["id"] != at["id"])
    here, there = (f"/agents/{each['id']}/l3-routers" for each in (at, other))
    assert [each["id"] for each in admin.get(here)["routers"]] == [router["id"]]
    admin.post(here, {"router_id": router["id"]}, 409)
    admin.post(there, {"router_id": router["id"]})
    settle(local)
    assert [each["id"] for each in admin.get(path)["agents"]] == [other["id"]]
    (leg,) = admin.get(f"/ports?device_id={router['id']}")["ports"]
    assert (leg["binding:host_id"], leg["status"]) == (other["host"], "ACTIVE")
    admin.delete(f"{here}/{router['id']}", 409)
    admin.put(f"/agents/{at['id']}", {"agent": {"admin_state_up": False}})
    admin.post(here, {"router_id": router["id"]}, 409)
    admin.delete(f"{there}/{router['id']}")
    assert admin.get(path) == {"agents": []}
    for bad in (f"{here}x", "/agents/none/l3-routers"):
        admin.get(bad, 404)
    admin.post(there, {"router_id": "none"}, 404)
    admin.get("/routers/none/l3-agents", 404)
    for method, where in (("GET", path), ("GET", here), ("POST", here),
                          ("DELETE", f"{here}/{router['id']}")):  # fmt: skip
        assert owner.ask(method, where, {"router_id": router["id"]}).status == 403
