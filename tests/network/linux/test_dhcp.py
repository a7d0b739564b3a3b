"""What a guest is given when it asks for an address."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from onestack.network.drivers.linux import dnsmasq
from onestack.network.switch import DhcpOption, Item, Route
from tests.network.linux import probe
from tests.network.linux.world import (
    OPEN,
    Guest,
    Host,
    changed,
    dhcp,
    group,
    lease,
    network,
    port,
    subnet,
)

REPORT = """#!/bin/sh
[ "$1" = bound ] && env > "$REPORT"
exit 0
"""


class Asked(dict[str, str]):
    """What udhcpc says that it was given."""


def ask(guest: Guest, folder: Path) -> Asked:
    """Ask for an address as the smallest of guests does."""
    script, report = folder / "report.sh", folder / f"{guest.name}.env"
    script.write_text(REPORT)
    script.chmod(0o755)
    report.unlink(missing_ok=True)
    guest.call(
        "env", f"REPORT={report}", "busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "2",
        "-T", "1", "-s", str(script), "-O", "121", "-O", "mtu", "-O", "search", "-O", "tftp",
    )  # fmt: skip
    if not report.exists():
        return Asked()
    return Asked(line.partition("=")[::2] for line in report.read_text().splitlines())


def test_a_guest_is_given_what_its_subnet_says(host: Host, tmp_path: Path) -> None:
    everything = group(*OPEN)
    inside = subnet(
        "10.0.0.0/24", nameservers=["9.9.9.9", "1.1.1.1"], routes=[Route("10.9.0.0/16", "10.0.0.9")]
    )
    one = network(subnets=[inside], mtu=1400)
    asker = port(one, "10.0.0.5", groups=[everything.id])
    server = dhcp("10.0.0.2/24", leases=[lease(asker, hostname="web-1")])
    one = replace(one, dhcp=server)
    host.apply(networks=[one], groups=[everything])
    given = ask(host.guest(asker), tmp_path)
    assert given["ip"] == "10.0.0.5"
    assert given["mask"] == "24"
    assert given["router"] == "10.0.0.1"
    assert given["dns"] == "9.9.9.9 1.1.1.1"
    assert given["mtu"] == "1400"
    assert given["domain"] == "openstacklocal"
    assert given["hostname"] == "web-1"
    assert given["serverid"] == "10.0.0.2"
    assert given["staticroutes"].split() == [
        "10.9.0.0/16", "10.0.0.9", "169.254.169.254/32", "10.0.0.2", "0.0.0.0/0", "10.0.0.1",
    ]  # fmt: skip


def test_who_is_not_known_is_given_nothing(host: Host, tmp_path: Path) -> None:
    everything = group(*OPEN)
    one = network(subnets=[subnet("10.0.0.0/24")], dhcp=dhcp("10.0.0.2/24"))
    host.apply(networks=[one], groups=[everything])
    stranger = host.guest(port(one, "10.0.0.5", groups=[everything.id]))
    assert ask(stranger, tmp_path) == {}


def test_a_port_s_own_options_and_the_ones_that_nobody_has(host: Host, tmp_path: Path) -> None:
    everything = group(*OPEN)
    one = network(subnets=[subnet("10.0.0.0/24")])
    asker = port(one, "10.0.0.5", groups=[everything.id])
    options = [
        DhcpOption("tftp-server", "tftp.example.com"),
        DhcpOption("mtu", "1300"),
        DhcpOption("no-such-thing", "1"),
        DhcpOption("bootfile-name", "x\ndhcp-script=/bin/sh"),
    ]
    one = replace(one, dhcp=dhcp("10.0.0.2/24", leases=[lease(asker, options=options)]))
    host.apply(networks=[one], groups=[everything])
    given = ask(host.guest(asker), tmp_path)
    assert given["ip"] == "10.0.0.5"
    assert given["tftp"] == "tftp.example.com"
    assert given["mtu"] == "1300"
    assert "dhcp-script" not in "".join(
        each.read_text() for each in host.folder.glob("dhcp/*/[!.]*") if each.is_file()
    )


def test_a_lease_that_makes_no_sense_keeps_out_no_other(host: Host, tmp_path: Path) -> None:
    everything = group(*OPEN)
    one = network(subnets=[subnet("10.0.0.0/24")])
    asker = port(one, "10.0.0.5", groups=[everything.id])
    broken = replace(lease(port(one, "10.0.0.6")), mac="fa:16:3e:00:00:01,[::1]")
    one = replace(one, dhcp=dhcp("10.0.0.2/24", leases=[broken, lease(asker)]))
    host.apply(networks=[one], groups=[everything])
    assert ask(host.guest(asker), tmp_path)["ip"] == "10.0.0.5"


def test_leases_come_and_go_and_an_address_gets_another_owner(host: Host, tmp_path: Path) -> None:
    everything = group(*OPEN)
    one = network(subnets=[subnet("10.0.0.0/24")])
    first, second = (port(one, "10.0.0.5", groups=[everything.id]) for _ in range(2))
    server = dhcp("10.0.0.2/24", leases=[lease(first)])
    one = replace(one, dhcp=server)
    host.apply(networks=[one], groups=[everything])
    before = host.guest(first)
    assert ask(before, tmp_path)["ip"] == "10.0.0.5"
    one = changed(one, dhcp=replace(server, leases=[]))
    host.apply(networks=[one], gone=[Item("port", first.id)])
    after = host.guest(second)
    one = changed(one, dhcp=replace(server, leases=[lease(second)]))
    host.apply(networks=[one])
    assert ask(after, tmp_path)["ip"] == "10.0.0.5"


def test_a_server_goes_on_when_more_leases_come(host: Host, tmp_path: Path) -> None:
    everything = group(*OPEN)
    one = network(subnets=[subnet("10.0.0.0/24")])
    first = port(one, "10.0.0.5", groups=[everything.id])
    second = port(one, "10.0.0.6", groups=[everything.id])
    server = dhcp("10.0.0.2/24", leases=[lease(first)])
    host.apply(networks=[replace(one, dhcp=server)], groups=[everything])
    process = _process(host, one.id)
    more = replace(server, leases=[lease(first), lease(second)])
    host.apply(networks=[changed(one, dhcp=more)])
    assert ask(host.guest(second), tmp_path)["ip"] == "10.0.0.6"
    assert _process(host, one.id) == process
    host.restart()
    assert _process(host, one.id) == process


def test_more_leases_come_when_some_were_given(host: Host, tmp_path: Path) -> None:
    """Which dnsmasq survives only as long as it knows no port with options of its own."""
    one = network(subnets=[subnet("10.0.0.0/24")])
    ports = [port(one, f"10.0.0.{n}") for n in range(5, 8)]
    options = [DhcpOption("domain-name", "mine.example", 4)]
    leases = [lease(ports[0]), lease(ports[1], options=options), lease(ports[2])]
    host.apply(networks=[one])
    guests, server = [host.guest(each) for each in ports], dhcp("10.0.0.2/24")
    for count in range(1, 4):
        one = changed(one, dhcp=replace(server, leases=leases[:count]))
        host.apply(networks=[one])
        for guest, each in list(zip(guests, ports, strict=True))[:count]:
            assert ask(guest, tmp_path)["ip"] == each.addresses[0]


def test_a_server_that_has_just_begun_hears_of_more_leases(host: Host) -> None:
    one = network(subnets=[subnet("10.0.0.0/24")])
    ports = [port(one, f"10.0.0.{n}") for n in range(5, 15)]
    server = dhcp("10.0.0.2/24")
    host.apply(networks=[replace(one, dhcp=server)])
    process = _process(host, one.id)
    for count in range(1, 11):
        leases = [lease(each) for each in ports[:count]]
        host.apply(networks=[changed(one, dhcp=replace(server, leases=leases))])
    assert _process(host, one.id) == process
    assert "dnsmasq" in Path(f"/proc/{process}/cmdline").read_text()


def test_no_server_is_left_where_none_is_wanted(host: Host) -> None:
    one = network(subnets=[subnet("10.0.0.0/24")], dhcp=dhcp("10.0.0.2/24"))
    host.apply(networks=[one])
    process = _process(host, one.id)
    assert Path(f"/proc/{process}").exists()
    host.apply(networks=[changed(one, dhcp=None)])
    assert not Path(f"/proc/{process}").exists()
    assert not Path(f"/run/netns/onestack-{host.options.mark}-dhcp-{one.id}").exists()


@pytest.mark.parametrize("is_wanted", [True, False])
def test_a_server_that_nobody_noted_gives_way(host: Host, is_wanted: bool) -> None:
    """As one whose agent is killed at the very moment of its start."""
    one = network(subnets=[subnet("10.0.0.0/24")], dhcp=dhcp("10.0.0.2/24"))
    host.apply(networks=[one])
    lost = _process(host, one.id)
    _note(host, one.id).unlink()
    if is_wanted:
        host.restart()
        assert _process(host, one.id) != lost
    else:
        host.switch.take_down()
    assert not Path(f"/proc/{lost}").exists()


def test_names_lead_to_addresses(host: Host) -> None:
    everything = group(*OPEN)
    one = network(subnets=[subnet("10.0.0.0/24")])
    asker = port(one, "10.0.0.5", groups=[everything.id])
    server = dhcp("10.0.0.2/24", leases=[lease(asker, hostname="web-1")])
    host.apply(networks=[replace(one, dhcp=server)], groups=[everything])
    guest = host.guest(asker).addressed(24)
    said = guest.call("busybox", "nslookup", "web-1.openstacklocal", "10.0.0.2").stdout
    assert "10.0.0.5" in said


@pytest.mark.parametrize("text", ["a\nb", "a\0b", "a\x7fb", "\ta"])
def test_no_control_character_becomes_part_of_a_file(text: str) -> None:
    with pytest.raises(dnsmasq.Unsafe):
        dnsmasq.line("option:domain-name", text)


@pytest.mark.parametrize("name", ["web 1", "-x", "a,b", "a" * 300, "x\ny", "..", "é"])
def test_a_name_that_is_none_is_not_used(name: str) -> None:
    one = network(subnets=[subnet("10.0.0.0/24")])
    known = lease(port(one, "10.0.0.5"), hostname=name)
    assert dnsmasq.host_name(known, "10.0.0.5") == "host-10-0-0-5"


def test_dhcpv6_gives_an_address(host: Host) -> None:
    everything = group(*OPEN)
    mode = {"ra_mode": "dhcpv6-stateful", "address_mode": "dhcpv6-stateful"}
    one = network(subnets=[subnet("fd00:1::/64", **mode)])
    asker = port(one, "fd00:1::55", groups=[everything.id])
    one = replace(one, dhcp=dhcp("fd00:1::2/64", leases=[lease(asker)]))
    host.apply(networks=[one], groups=[everything])
    guest = host.guest(asker)
    offered = guest.run(lambda: probe.solicit("eth0", asker.mac))
    assert offered == "fd00:1::55"


def _note(host: Host, network_id: str) -> Path:
    return host.folder / "dhcp" / network_id / "dnsmasq.process"


def _process(host: Host, network_id: str) -> int:
    note = _note(host, network_id)
    return int(json.loads(note.read_bytes())["pid"])
