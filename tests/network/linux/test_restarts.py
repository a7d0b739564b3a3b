"""What goes on while the agent comes and goes, and what is left when all is removed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from onestack.network.drivers.linux import namespaces
from onestack.network.switch import (
    Changes,
    FloatingWiring,
    GatewayWiring,
    Item,
    RouterWiring,
    Segment,
)
from tests.network.linux.conftest import MakeHost
from tests.network.linux.test_routers import OUTSIDE, Site, leg
from tests.network.linux.world import (
    OPEN,
    Guest,
    Host,
    changed,
    dhcp,
    group,
    lease,
    network,
    new_id,
    port,
    revision,
    rule,
    subnet,
)


@pytest.fixture
def site(make_host: MakeHost) -> Site:
    return Site(make_host)


def test_what_is_applied_again_cuts_nothing(site: Site) -> None:
    one = site.guest(site.left, "10.0.0.5", "10.0.0.1")
    other = site.guest(site.right, "10.0.1.5", "10.0.1.1")
    everything = Changes(
        networks=[site.left, site.right, site.public],
        groups=[site.everything],
        ports=[one.port, other.port],
        routers=[site.router],
    )
    assert one.reaches("10.0.1.5")
    with other.listening(9000), one.flood("10.0.1.5") as flood:
        line = one.line("10.0.1.5", 9000)
        for _ in range(5):
            applied = site.host.switch.apply(everything)
            assert not applied.troubles
        site.host.restart()
        assert line.is_alive()
        line.close()
    assert flood.sent > 50
    assert flood.lost == 0


def test_an_agent_that_is_killed_finds_all_as_it_left_it(host: Host, tmp_path: Path) -> None:
    """A real process this time, killed in the middle of its work."""
    everything = group(*OPEN)
    one = network(subnets=[subnet("10.0.0.0/24")])
    ports = [port(one, f"10.0.0.{n}", groups=[everything.id]) for n in (5, 6)]
    one = replace(one, dhcp=dhcp("10.0.0.2/24", leases=[lease(each) for each in ports]))
    wanted = Changes(networks=[one], groups=[everything], ports=ports)
    guests = [Guest(f"killed{n}", each, host) for n, each in enumerate(ports)]
    host.guests += guests
    host.switch.close()
    (tmp_path / "wanted.json").write_bytes(msgspec.json.encode(wanted))
    for after_s, words in ((0.0, ["ready"]), (0.15, ["ready"]), (0.1, ["ready", "applied"])):
        agent = host.run(
            lambda: subprocess.Popen(
                [sys.executable, "-c", AGENT, str(host.folder), host.options.mark,
                 str(tmp_path / "wanted.json")], stdout=subprocess.PIPE,
            )
        )  # fmt: skip
        assert agent.stdout is not None
        assert [agent.stdout.readline().decode().strip() for _ in words] == words
        time.sleep(after_s)
        agent.kill()
        agent.wait()
        agent.stdout.close()
    server = host.folder / "dhcp" / one.id / "dnsmasq.process"
    before = json.loads(server.read_bytes())["pid"]
    for guest in guests:
        guest.addressed(24)
    assert guests[0].reaches("10.0.0.6")  # with no agent at all
    host.restart()
    assert guests[0].reaches("10.0.0.6")
    assert json.loads(server.read_bytes())["pid"] == before
    assert {each.kind for each in host.switch.inventory()} == {"network", "group", "port"}


AGENT = """
import sys, msgspec
from pathlib import Path
from onestack.network.drivers.linux import LinuxOptions, LinuxSwitch
from onestack.network.switch import Changes
folder, mark, wanted = sys.argv[1:]
changes = msgspec.json.decode(Path(wanted).read_bytes(), type=Changes)
print("ready", flush=True)
switch = LinuxSwitch(Path(folder), LinuxOptions(host="killed", mark=mark))
while True:
    switch.apply(changes)
    print("applied", flush=True)
"""


def test_after_it_was_taken_down_all_is_made_anew(site: Site) -> None:
    one = site.guest(site.left, "10.0.0.5", "10.0.0.1")
    site.change(floating=[FloatingWiring(new_id(), "172.24.4.50", "10.0.0.5")])
    site.host.switch.take_down()
    assert site.host.options.mark not in site.host.call("nft", "list", "tables").stdout
    assert site.host.options.mark not in site.host.call("ip", "netns").stdout
    site.host.call("ip", "-n", one.name, "link", "delete", "eth0")
    one.plug(site.host)
    site.host.restart()
    one.addressed(24, "10.0.0.1")
    assert one.reaches("172.24.4.1")
    assert site.host.reaches("172.24.4.50")


def test_a_namespace_that_is_lost_is_made_anew(site: Site) -> None:
    """An agent that was started with mounts of its own leaves namespaces that the next one cannot
    find."""
    one = site.guest(site.left, "10.0.0.5", "10.0.0.1")
    served = changed(site.left, dhcp=dhcp("10.0.0.2/24", leases=[lease(one.port)]))
    site.host.apply(networks=[served])
    mark = site.host.options.mark
    holding = []
    for name in namespaces.listed(f"onestack-{mark}-"):
        inside = namespaces.named(name)
        holding.append(inside.run(namespaces.Here))
        namespaces.remove(name)
    site.host.restart()
    assert one.reaches("172.24.4.1")
    assert one.reaches("10.0.0.2")
    for each in holding:
        each.close()


def test_an_older_wiring_does_not_replace_a_newer_one(host: Host) -> None:
    one = network()
    old, new = group(*OPEN), None
    new = changed(old, rules=[])
    host.apply(networks=[one], groups=[new])
    applied = host.switch.apply(Changes(groups=[old]))
    assert [each.item for each in applied.troubles] == [Item("group", old.id, old.revision)]
    assert Item("group", old.id, new.revision) in host.switch.inventory()
    closed = host.guest(port(one, "10.0.0.5", groups=[old.id])).addressed(24)
    other = host.guest(port(one, "10.0.0.6", is_secured=False)).addressed(24)
    assert other.misses("10.0.0.5")
    assert closed.misses("10.0.0.6")
    host.restart()
    host.apply(groups=[old])  # who counts anew, as after a loss, is believed again
    assert other.reaches("10.0.0.5")


def test_one_failure_keeps_nothing_else_back(host: Host) -> None:
    everything, broken = group(*OPEN), group(rule(protocol="no-such-protocol"), rule())
    one = network()
    impossible = network(segment=Segment("vlan", "public", 5))
    lost = port(impossible, "10.0.0.9")
    orphan = RouterWiring(id=new_id(), revision=revision(), interfaces=[leg(impossible)])
    fine = port(one, "10.0.0.5", groups=[everything.id])
    applied = host.switch.apply(
        Changes(
            networks=[impossible, one],
            groups=[broken, everything],
            ports=[lost, fine],
            routers=[orphan],
        )
    )
    assert {each.item.id for each in applied.troubles} == {
        impossible.id, broken.id, lost.id, orphan.id,
    }  # fmt: skip
    assert {each.id for each in applied.done} == {one.id, everything.id, fine.id}
    assert {each.id for each in host.switch.inventory()} == {one.id, everything.id, fine.id}


def test_removal_leaves_nothing_and_touches_nobody_else(make_host: MakeHost) -> None:
    """Two switches in one namespace: one goes, the other stays."""
    host = make_host(physical_networks={"public": ""}, gateway_of=frozenset({"public"}),
                     is_masquerading=True)  # fmt: skip
    host.call("ip", "link", "add", "theirs", "type", "bridge")
    host.call("nft", "add", "table", "inet", "theirs")
    before = _others(host)
    stays = host.neighbour()
    everything = group(*OPEN)
    theirs = network()
    stays.apply(networks=[theirs], groups=[everything])
    guests = [
        stays.guest(port(theirs, f"10.0.0.{n}", groups=[everything.id])).addressed(24)
        for n in (5, 6)
    ]
    with_neighbour = _others(host)
    mine = network(subnets=[subnet("10.0.0.0/24")], dhcp=dhcp("10.0.0.2/24"))
    public = network(segment=Segment("flat", "public"), subnets=[subnet(OUTSIDE)])
    gateway = GatewayWiring(interface=leg(public, "172.24.4.10/24"), nexthops=["172.24.4.1"])
    router = RouterWiring(
        id=new_id(), revision=revision(), interfaces=[leg(mine, "10.0.0.1/24")], gateway=gateway
    )
    host.apply(
        networks=[mine, public], groups=[everything], routers=[router],
        ports=[port(mine, "10.0.0.5", groups=[everything.id])],
    )  # fmt: skip
    assert _others(host) != with_neighbour
    assert host.options.mark in host.call("nft", "list", "tables").stdout
    process = json.loads((host.folder / "dhcp" / mine.id / "dnsmasq.process").read_bytes())["pid"]
    host.switch.remove_all()
    assert _others(host) == with_neighbour
    assert host.options.mark not in host.call("nft", "list", "tables").stdout
    assert namespaces.listed(f"onestack-{host.options.mark}") == []
    assert guests[0].reaches("10.0.0.6")
    with pytest.raises(ProcessLookupError):
        os.kill(process, signal.SIG_DFL)
    assert not host.folder.exists()
    stays.switch.remove_all()
    assert _others(host) == before


def _others(host: Host) -> dict[str, object]:
    """What anybody finds on a host, but for the tables that a switch has from its start."""
    links = json.loads(host.call("ip", "-j", "link").stdout)
    tables = host.call("nft", "list", "tables").stdout.splitlines()
    return {
        "devices": sorted(each["ifname"] for each in links),
        "tables": sorted(each for each in tables if host.options.mark not in each),
        "forwarding": host.call("sysctl", "-n", "net.ipv4.ip_forward").stdout,
    }


def test_the_folder_of_namespaces_goes_with_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(f"/run/netns-of-a-test-{os.getpid()}")
    monkeypatch.setattr(namespaces, "FOLDER", folder)
    namespaces.tidy()  # there is none
    assert namespaces.ensure("one")
    assert not namespaces.ensure("one")
    namespaces.tidy()
    assert (folder / "one").exists()
    assert namespaces.remove("one")
    assert not namespaces.remove("one")
    namespaces.tidy()
    assert not folder.exists()
    assert folder.name not in Path("/proc/self/mounts").read_text()
