"""Routers: between networks, to the outside world and back."""

import pytest
from msgspec.structs import replace

from onestack.network.switch import (
    FloatingWiring,
    ForwardingWiring,
    GatewayWiring,
    InterfaceWiring,
    Item,
    NetworkWiring,
    Route,
    RouterWiring,
    Segment,
)
from tests.network.linux import probe
from tests.network.linux.conftest import MakeHost
from tests.network.linux.world import (
    NUMBERS,
    OPEN,
    Guest,
    Host,
    changed,
    group,
    network,
    new_id,
    port,
    revision,
    rule,
    subnet,
)

OUTSIDE = "172.24.4.0/24"


def leg(on: NetworkWiring, *addresses: str) -> InterfaceWiring:
    number = next(NUMBERS)
    return InterfaceWiring(
        port_id=new_id(), network_id=on.id, mac=f"fa:16:3e:02:{number >> 8:02x}:{number & 255:02x}",
        addresses=list(addresses), subnets=on.subnets,
    )  # fmt: skip


def router(*legs: InterfaceWiring, **more: object) -> RouterWiring:
    return RouterWiring(id=new_id(), revision=revision(), interfaces=list(legs), **more)  # type: ignore[arg-type]


class Site:
    """Two networks behind a router with a gateway on an external one, whose gateway is the host."""

    def __init__(self, make_host: MakeHost) -> None:
        self.host: Host = make_host(
            physical_networks={"public": ""}, gateway_of=frozenset({"public"})
        )
        self.everything = group(*OPEN)
        self.left = network(subnets=[subnet("10.0.0.0/24")])
        self.right = network(subnets=[subnet("10.0.1.0/24")])
        self.public = network(segment=Segment("flat", "public"), subnets=[subnet(OUTSIDE)])
        self.gateway = GatewayWiring(
            interface=leg(self.public, "172.24.4.10/24"), nexthops=["172.24.4.1"]
        )
        self.router = router(
            leg(self.left, "10.0.0.1/24"), leg(self.right, "10.0.1.1/24"), gateway=self.gateway
        )
        self.host.apply(
            networks=[self.left, self.right, self.public],
            groups=[self.everything],
            routers=[self.router],
        )

    def guest(self, on: NetworkWiring, address: str, gateway: str) -> Guest:
        made = self.host.guest(port(on, address, groups=[self.everything.id]))
        return made.addressed(24, gateway)

    def change(self, **more: object) -> None:
        self.router = changed(self.router, **more)
        self.host.apply(routers=[self.router])


@pytest.fixture
def site(make_host: MakeHost) -> Site:
    return Site(make_host)


def test_a_router_joins_networks(site: Site) -> None:
    one = site.guest(site.left, "10.0.0.5", "10.0.0.1")
    other = site.guest(site.right, "10.0.1.5", "10.0.1.1")
    assert one.reaches("10.0.1.5")
    assert other.reaches("10.0.0.5")
    site.change(is_up=False)
    assert one.misses("10.0.1.5")
    site.change(is_up=True)
    assert one.reaches("10.0.1.5")


def test_guests_reach_the_world_in_the_router_s_name(site: Site) -> None:
    guest = site.guest(site.left, "10.0.0.5", "10.0.0.1")
    with site.host.listening(8000) as server:
        assert guest.connects("172.24.4.1", 8000, True)
        assert server.peers == ["172.24.4.10"]
    assert site.host.misses("10.0.0.5")


def test_without_translation_nobody_answers(site: Site) -> None:
    guest = site.guest(site.left, "10.0.0.5", "10.0.0.1")
    site.change(gateway=replace(site.gateway, is_snat=False))
    assert guest.misses("172.24.4.1")
    site.host.call("ip", "route", "add", "10.0.0.0/24", "via", "172.24.4.10")
    assert guest.reaches("172.24.4.1")


def test_a_floating_address_leads_in_and_out(site: Site) -> None:
    guest = site.guest(site.left, "10.0.0.5", "10.0.0.1")
    neighbour = site.guest(site.left, "10.0.0.6", "10.0.0.1")
    floating = FloatingWiring(new_id(), "172.24.4.50", "10.0.0.5")
    site.change(floating=[floating])
    assert site.host.reaches("172.24.4.50")
    with guest.listening(22):
        assert site.host.connects("172.24.4.50", 22, True)
        assert neighbour.connects("172.24.4.50", 22, True)  # and back by the router
    with site.host.listening(8000) as server:
        assert guest.connects("172.24.4.1", 8000, True)
        assert server.peers == ["172.24.4.50"]


def test_a_floating_address_that_moves_leaves_its_connections_behind(site: Site) -> None:
    first = site.guest(site.left, "10.0.0.5", "10.0.0.1")
    second = site.guest(site.right, "10.0.1.5", "10.0.1.1")
    name = new_id()
    site.change(floating=[FloatingWiring(name, "172.24.4.50", "10.0.0.5")])
    with first.listening(9000) as old, second.listening(9000) as new:
        line = site.host.line("172.24.4.50", 9000)
        assert line.is_alive()
        site.change(floating=[FloatingWiring(name, "172.24.4.50", "10.0.1.5")])
        assert line.is_dead()
        assert site.host.connects("172.24.4.50", 9000, True)
        assert len(old.peers) == len(new.peers) == 1
        line.close()
    site.change(floating=[])
    assert site.host.misses("172.24.4.50")
    assert second.reaches("172.24.4.1")


def test_one_port_of_a_floating_address(site: Site) -> None:
    guest = site.guest(site.left, "10.0.0.5", "10.0.0.1")
    forwarding = ForwardingWiring(new_id(), "172.24.4.60", "tcp", 2222, "10.0.0.5", 22)
    site.change(forwarding=[forwarding])
    with guest.listening(22), guest.listening(23):
        assert site.host.connects("172.24.4.60", 2222, True)
        assert site.host.connects("172.24.4.60", 22, False)
        assert site.host.connects("172.24.4.60", 23, False)


def test_extra_routes_lead_past_a_guest(site: Site) -> None:
    middle = site.guest(site.left, "10.0.0.5", "10.0.0.1")
    site.host.apply(ports=[changed(middle.port, is_secured=False)])
    middle.add_address("10.7.0.1/32", "lo")
    asker = site.guest(site.right, "10.0.1.5", "10.0.1.1")
    assert asker.misses("10.7.0.1")
    site.change(routes=[Route("10.7.0.0/24", "10.0.0.5")])
    assert asker.reaches("10.7.0.1")
    site.change(routes=[])
    assert asker.misses("10.7.0.1")


def test_a_leg_is_taken_away(site: Site) -> None:
    one = site.guest(site.left, "10.0.0.5", "10.0.0.1")
    assert one.reaches("10.0.1.1")
    site.change(interfaces=site.router.interfaces[:1])
    assert one.misses("10.0.1.1")
    assert one.reaches("172.24.4.1")


def test_a_router_that_is_gone_leaves_nothing(site: Site) -> None:
    one = site.guest(site.left, "10.0.0.5", "10.0.0.1")
    site.host.apply(gone=[Item("router", site.router.id)])
    assert one.misses("10.0.0.1")
    mark = site.host.options.mark
    assert f"onestack-{mark}-router" not in site.host.call("ip", "netns").stdout
    assert [each.kind for each in site.host.switch.inventory()].count("router") == 0


def test_groups_judge_what_comes_through_a_floating_address(site: Site) -> None:
    only = group(rule(direction="egress"), rule(protocol="tcp", port_min=22, port_max=22,
                                                remote_prefix=OUTSIDE))  # fmt: skip
    site.host.apply(groups=[only])
    guest = site.host.guest(port(site.left, "10.0.0.5", groups=[only.id]))
    guest.addressed(24, "10.0.0.1")
    site.change(floating=[FloatingWiring(new_id(), "172.24.4.50", "10.0.0.5")])
    with guest.listening(22), guest.listening(80):
        assert site.host.connects("172.24.4.50", 22, True)
        assert site.host.connects("172.24.4.50", 80, False)


def test_networks_that_overlap_stay_apart(make_host: MakeHost) -> None:
    """Two tenants with the same addresses, the same ports, at the same time."""
    host = make_host(physical_networks={"public": ""}, gateway_of=frozenset({"public"}))
    everything = group(*OPEN)
    public = network(segment=Segment("flat", "public"), subnets=[subnet(OUTSIDE)])
    host.apply(networks=[public], groups=[everything])
    guests = []
    for number in (10, 11):
        own = network(subnets=[subnet("10.0.0.0/24")])
        gateway = GatewayWiring(
            interface=leg(public, f"172.24.4.{number}/24"), nexthops=["172.24.4.1"]
        )
        floating = [FloatingWiring(new_id(), f"172.24.4.{number + 40}", "10.0.0.5")]
        one = router(leg(own, "10.0.0.1/24"), gateway=gateway, floating=floating)
        host.apply(networks=[own], routers=[one])
        guest = host.guest(port(own, "10.0.0.5", groups=[everything.id]))
        guests.append(guest.addressed(24, "10.0.0.1"))
        neighbour = host.guest(port(own, f"10.0.0.{number}", groups=[everything.id]))
        neighbour.addressed(24, "10.0.0.1")
    assert guests[0].reaches("10.0.0.10")
    assert guests[0].misses("10.0.0.11")
    assert guests[1].reaches("10.0.0.11")
    assert guests[1].misses("10.0.0.10")
    assert guests[0].reaches("172.24.4.51")
    assert guests[1].reaches("172.24.4.50")


def test_ipv6_guests_hear_of_their_router(host: Host) -> None:
    mode = {"ra_mode": "slaac", "address_mode": "slaac"}
    everything = group(*OPEN)
    left = network(subnets=[subnet("fd00:1::/64", **mode)])
    right = network(subnets=[subnet("fd00:2::/64", **mode)])
    one = router(leg(left, "fd00:1::1/64"), leg(right, "fd00:2::1/64"))
    host.apply(networks=[left, right], groups=[everything], routers=[one])
    guests = []
    for on, prefix in ((left, "fd00:1::"), (right, "fd00:2::")):
        made = port(on, groups=[everything.id])
        address = probe.local_address(made.mac).replace("fe80::", prefix)
        guests.append((host.guest(changed(made, addresses=[address])), address))
    for guest, address in guests:
        assert guest.obtains(address)
    assert guests[0][0].reaches(guests[1][1])
