"""Networks that reach over several hosts, and the physical ones that they are on."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from onestack.core import shell
from onestack.network.drivers.linux import networks
from onestack.network.switch import Changes, Segment
from tests.network.linux.conftest import MakeHost
from tests.network.linux.world import (
    OPEN,
    Host,
    changed,
    dhcp,
    group,
    lease,
    network,
    port,
    rule,
    subnet,
)

ADDRESSES = ("192.0.2.1", "192.0.2.2", "192.0.2.3")


@pytest.fixture
def hosts(make_host: MakeHost) -> list[Host]:
    """Three hosts on one wire."""
    made = [make_host(tunnel_address=each) for each in ADDRESSES]
    middle = made[0]
    middle.call("ip", "link", "add", "wire", "type", "bridge")
    middle.call("ip", "link", "set", "wire", "up")
    middle.add_address(f"{ADDRESSES[0]}/24", "wire")
    for number, host in enumerate(made[1:], 1):
        middle.call("ip", "link", "add", f"w{number}", "type", "veth", "peer", "name", "uplink",
                    "netns", host.name)  # fmt: skip
        middle.call("ip", "link", "set", f"w{number}", "master", "wire", "up")
        host.call("ip", "link", "set", "uplink", "up")
        host.add_address(f"{ADDRESSES[number]}/24", "uplink")
    return made


def test_a_network_reaches_over_its_hosts(hosts: list[Host]) -> None:
    everything = group(*OPEN)
    one = network(segment=Segment("vxlan", segmentation_id=1001), subnets=[subnet("10.0.0.0/24")])
    guests = []
    asked = port(one, "10.0.0.7", groups=[everything.id])
    for number, host in enumerate(hosts):
        others = [each for each in ADDRESSES if each != host.options.tunnel_address]
        here = replace(one, peers=others)
        if number == 0:
            here = replace(here, dhcp=dhcp("10.0.0.2/24", leases=[lease(asked)]))
        host.apply(networks=[here], groups=[everything])
        made = port(one, f"10.0.0.{5 + number}", groups=[everything.id]) if number < 2 else asked
        guests.append(host.guest(made).addressed(24))
    assert guests[0].reaches("10.0.0.6")
    assert guests[1].reaches("10.0.0.7")
    assert guests[2].reaches("10.0.0.2")  # the DHCP server of another host
    alone = changed(one, peers=[ADDRESSES[0]])
    hosts[1].apply(networks=[alone])
    hosts[2].apply(networks=[alone])
    hosts[0].apply(networks=[changed(one, peers=[])])
    assert guests[1].misses("10.0.0.5")


def test_networks_with_other_numbers_are_other_networks(hosts: list[Host]) -> None:
    everything = group(*OPEN)
    one, other = (network(segment=Segment("vxlan", segmentation_id=n)) for n in (1001, 1002))
    for host in hosts[:2]:
        others = [each for each in ADDRESSES[:2] if each != host.options.tunnel_address]
        host.apply(networks=[replace(each, peers=others) for each in (one, other)],
                   groups=[everything])  # fmt: skip
    here = hosts[0].guest(port(one, "10.0.0.5", groups=[everything.id])).addressed(24)
    hosts[1].guest(port(other, "10.0.0.6", groups=[everything.id])).addressed(24)
    hosts[1].guest(port(one, "10.0.0.7", groups=[everything.id])).addressed(24)
    assert here.reaches("10.0.0.7")
    assert here.misses("10.0.0.6")


def test_groups_judge_what_comes_from_other_hosts(hosts: list[Host]) -> None:
    everything = group(*OPEN)
    only = group(rule(direction="egress"), rule(protocol="tcp", port_min=22, port_max=22))
    one = network(segment=Segment("vxlan", segmentation_id=1001))
    for host in hosts[:2]:
        others = [each for each in ADDRESSES[:2] if each != host.options.tunnel_address]
        host.apply(networks=[replace(one, peers=others)], groups=[everything, only])
    here = hosts[0].guest(port(one, "10.0.0.5", groups=[everything.id])).addressed(24)
    there = hosts[1].guest(port(one, "10.0.0.6", groups=[only.id])).addressed(24)
    with there.listening(22), there.listening(80):
        assert here.connects("10.0.0.6", 22, True)
        assert here.connects("10.0.0.6", 80, False)
    assert there.reaches("10.0.0.5")


def test_a_guest_moves_to_another_host(hosts: list[Host]) -> None:
    """The same port, first here and then there; the others find it again."""
    everything = group(*OPEN)
    one = network(segment=Segment("vxlan", segmentation_id=1001))
    for host in hosts:
        others = [each for each in ADDRESSES if each != host.options.tunnel_address]
        host.apply(networks=[replace(one, peers=others)], groups=[everything])
    asker = hosts[0].guest(port(one, "10.0.0.5", groups=[everything.id])).addressed(24)
    moving = port(one, "10.0.0.6", groups=[everything.id])
    first = hosts[1].guest(moving).addressed(24)
    assert asker.reaches("10.0.0.6")
    first.call("ip", "link", "set", "eth0", "down")
    after = hosts[2].guest(moving).addressed(24)
    assert after.reaches("10.0.0.5")
    assert asker.reaches("10.0.0.6")


def test_an_operator_s_bridge_is_used_and_left(make_host: MakeHost) -> None:
    host = make_host(physical_networks={"physnet1": "br-ex"})
    host.call("ip", "link", "add", "br-ex", "type", "bridge")
    host.call("ip", "link", "set", "br-ex", "up")
    host.add_address("192.0.2.9/24", "br-ex")
    everything = group(*OPEN)
    one = network(segment=Segment("flat", "physnet1"), mtu=1500)
    host.apply(networks=[one], groups=[everything])
    guest = host.guest(port(one, "192.0.2.10", groups=[everything.id])).addressed(24)
    assert guest.reaches("192.0.2.9")  # the operator's own address is part of that network
    host.switch.remove_all()
    assert "br-ex" in host.call("ip", "-br", "link").stdout


def test_what_the_host_sends_as_a_gateway_is_judged_too(make_host: MakeHost) -> None:
    """A guest on the external network itself is no less guarded than others."""
    host = make_host(physical_networks={"public": ""}, gateway_of=frozenset({"public"}))
    only = group(rule(direction="egress"), rule(protocol="tcp", port_min=22, port_max=22))
    public = network(segment=Segment("flat", "public"), subnets=[subnet("172.24.4.0/24")])
    host.apply(networks=[public], groups=[only])
    guest = host.guest(port(public, "172.24.4.20", groups=[only.id])).addressed(24, "172.24.4.1")
    assert guest.reaches("172.24.4.1")
    with guest.listening(22), guest.listening(80):
        assert host.connects("172.24.4.20", 22, True)
        assert host.connects("172.24.4.20", 80, False)
    assert host.misses("172.24.4.20")


def test_guests_go_out_in_the_host_s_name_where_that_is_wanted(make_host: MakeHost) -> None:
    host = make_host(
        physical_networks={"public": ""}, gateway_of=frozenset({"public"}), is_masquerading=True
    )
    world = make_host()
    host.call("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "uplink",
              "netns", world.name)  # fmt: skip
    for each, address in ((host, "192.0.2.1/24"), (world, "192.0.2.2/24")):
        each.call("ip", "link", "set", "uplink", "up")
        each.add_address(address, "uplink")
    everything = group(*OPEN)
    public = network(segment=Segment("flat", "public"), subnets=[subnet("172.24.4.0/24")])
    host.apply(networks=[public], groups=[everything])
    made = port(public, "172.24.4.20", groups=[everything.id])
    guest = host.guest(made).addressed(24, "172.24.4.1")
    with world.listening(8000) as server:
        assert guest.connects("192.0.2.2", 8000, True)
        assert server.peers == ["192.0.2.1"]


def test_what_a_host_can_do_is_said(make_host: MakeHost) -> None:
    host = make_host(tunnel_address="192.0.2.7", physical_networks={"public": "", "lab": "br-lab"})
    said = host.switch.describe()
    assert said.driver == "linux"
    assert said.segments == ["local", "flat", "vxlan"]
    assert said.tunnel_address == "192.0.2.7"
    assert said.physical_networks == ["lab", "public"]
    assert "vxlan" not in host.call("ip", "-d", "link").stdout  # nothing is left of the trial


def test_no_bridge_is_made_that_no_rule_reaches(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The kernel of the tests has the filter built in: a path stands for one that has not."""
    monkeypatch.setattr(networks, "FILTER", tmp_path / "none")
    one = network()

    def answer(argv: tuple[str, ...], _: bytes | None) -> shell.Result:
        return shell.Result(b'{"nftables":[]}', b"not found", int(argv[0] == "modprobe"))

    with shell.use(shell.Simulated(answer)):
        applied = host.switch.apply(Changes(networks=[one]))
    assert "modprobe br_netfilter" in applied.troubles[0].text
    assert host.call("ip", "-br", "link", "show", "type", "bridge").stdout == ""


@pytest.mark.parametrize(
    "segment", [Segment("vlan", "public", 7), Segment("gre", None, 7), Segment("flat", "nowhere")]
)
def test_what_the_kernel_cannot_do_is_said(host: Host, segment: Segment) -> None:
    assert segment.kind not in host.switch.describe().segments or segment.kind == "flat"
    one = network(segment=segment)
    applied = host.switch.apply(Changes(networks=[one]))
    assert [each.item.id for each in applied.troubles] == [one.id]


def test_firewalls_of_others_leave_our_bridges_to_us(make_host: MakeHost) -> None:
    """Docker's, for one, drops whatever it does not know."""
    host = make_host(physical_networks={"public": "br-public"})
    host.call("nft", "add", "table", "ip", "filter")
    drops = "{ type filter hook forward priority 0 ; policy drop ; }"
    host.call("nft", f"add chain ip filter FORWARD {drops}")
    host.call("nft", "add rule ip filter FORWARD iifname docker0 accept")
    before = host.call("nft", "list", "table", "ip", "filter").stdout
    assert "policy drop" in before
    everything, only = group(*OPEN), group(rule(direction="egress"))
    inside, public = network(), network(segment=Segment("flat", "public"))
    host.apply(networks=[inside, public], groups=[everything, only])
    for one in (inside, public):
        guest, other, shut = (
            host.guest(port(one, f"10.0.0.{n}", groups=[each.id])).addressed(24)
            for n, each in ((5, everything), (6, everything), (7, only))
        )
        assert guest.reaches("10.0.0.6")
        assert other.misses("10.0.0.7")
        assert shut.reaches("10.0.0.5")
    told = host.call("nft", "list", "table", "ip", "filter").stdout
    host.restart()
    assert host.call("nft", "list", "table", "ip", "filter").stdout == told
    host.switch.remove_all()
    assert host.call("nft", "list", "table", "ip", "filter").stdout == before
