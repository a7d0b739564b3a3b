"""What passes between ports: by groups, statefully, and never in another's name."""

import pytest

from onestack.network.switch import AddressPair, RuleWiring
from tests.network.linux import probe
from tests.network.linux.world import (
    OPEN,
    Guest,
    Host,
    changed,
    group,
    network,
    port,
    rule,
)  # fmt: skip

EGRESS = [rule(direction="egress"), rule(direction="egress", ethertype="IPv6")]


def test_guests_of_a_network_reach_each_other(pair: tuple[Guest, Guest]) -> None:
    one, other = pair
    assert one.reaches("10.0.0.6")
    assert other.reaches("10.0.0.5")
    assert one.reaches("fd00::6")


def test_nothing_comes_in_that_no_rule_lets_in(host: Host) -> None:
    one, shut, everything = network(), group(*EGRESS), group(*OPEN)
    host.apply(networks=[one], groups=[shut, everything])
    closed = host.guest(port(one, "10.0.0.5", groups=[shut.id])).addressed(24)
    other = host.guest(port(one, "10.0.0.6", groups=[everything.id])).addressed(24)
    assert closed.reaches("10.0.0.6")  # and so the answers come in
    assert other.misses("10.0.0.5")


def test_nothing_goes_out_that_no_rule_lets_out(host: Host) -> None:
    one, mute, everything = network(), group(rule()), group(*OPEN)
    host.apply(networks=[one], groups=[mute, everything])
    silent = host.guest(port(one, "10.0.0.5", groups=[mute.id])).addressed(24)
    other = host.guest(port(one, "10.0.0.6", groups=[everything.id])).addressed(24)
    assert silent.misses("10.0.0.6")
    assert other.reaches("10.0.0.5")


def test_a_port_without_groups_is_shut(host: Host) -> None:
    one, everything = network(), group(*OPEN)
    host.apply(networks=[one], groups=[everything])
    alone = host.guest(port(one, "10.0.0.5")).addressed(24)
    other = host.guest(port(one, "10.0.0.6", groups=[everything.id])).addressed(24)
    assert alone.misses("10.0.0.6")
    assert other.misses("10.0.0.5")


def test_a_group_that_the_host_does_not_know_lets_nothing_through(host: Host) -> None:
    one, everything = network(), group(*OPEN)
    later = group(*OPEN)
    host.apply(networks=[one], groups=[everything])
    waiting = host.guest(port(one, "10.0.0.5", groups=[later.id])).addressed(24)
    other = host.guest(port(one, "10.0.0.6", groups=[everything.id])).addressed(24)
    assert other.misses("10.0.0.5")
    host.apply(groups=[later])
    assert other.reaches("10.0.0.5")
    assert waiting.reaches("10.0.0.6")


@pytest.mark.parametrize(
    ("given", "is_open"),
    [
        (rule(protocol="tcp", port_min=2000, port_max=2010), True),
        (rule(protocol="6", port_min=2001, port_max=2001), True),
        (rule(protocol="tcp", port_min=2002, port_max=2010), False),
        (rule(protocol="udp", port_min=2000, port_max=2010), False),
        (rule(protocol="tcp", remote_prefix="10.0.0.0/29"), True),
        (rule(protocol="tcp", remote_prefix="10.0.0.0/30"), False),
        (rule(), True),
    ],
)
def test_tcp_passes_by_port_and_prefix(host: Host, given: RuleWiring, is_open: bool) -> None:
    one, everything, chosen = network(), group(*OPEN), group(*EGRESS, given)
    host.apply(networks=[one], groups=[everything, chosen])
    server = host.guest(port(one, "10.0.0.6", groups=[chosen.id])).addressed(24)
    client = host.guest(port(one, "10.0.0.5", groups=[everything.id])).addressed(24)
    with server.listening(2001):
        assert client.connects("10.0.0.6", 2001, is_open)


def test_a_rule_may_name_a_group_whose_members_come_and_go(host: Host) -> None:
    one, friends = network(), group(*OPEN)
    chosen = group(*EGRESS, rule(remote_group=friends.id))
    host.apply(networks=[one], groups=[friends, chosen])
    guarded = host.guest(port(one, "10.0.0.6", groups=[chosen.id])).addressed(24)
    friend = host.guest(port(one, "10.0.0.5", groups=[friends.id])).addressed(24)
    assert friend.misses("10.0.0.6")
    host.apply(groups=[group(*OPEN, members=["10.0.0.5"], name=friends.id)])
    assert friend.reaches("10.0.0.6")
    host.apply(groups=[group(*OPEN, members=["10.0.0.9", "10.0.0.8"], name=friends.id)])
    assert friend.misses("10.0.0.6")
    assert guarded.reaches("10.0.0.5")


def test_a_port_that_is_down_is_cut_off(pair: tuple[Guest, Guest], host: Host) -> None:
    one, other = pair
    host.apply(ports=[changed(one.port, is_up=False)])
    assert other.misses("10.0.0.5")
    assert one.misses("10.0.0.6")
    host.apply(ports=[changed(one.port, is_up=True)])
    assert other.reaches("10.0.0.5")


def test_an_unsecured_port_may_send_and_receive_anything(host: Host) -> None:
    one, everything = network(), group(*OPEN)
    host.apply(networks=[one], groups=[everything])
    free = host.guest(port(one, "10.0.0.5", is_secured=False)).addressed(24)
    other = host.guest(port(one, "10.0.0.6", groups=[everything.id])).addressed(24)
    assert other.reaches("10.0.0.5")
    free.add_address("10.0.0.77/24")
    assert free.reaches("10.0.0.6", source="10.0.0.77")


def test_address_pairs_are_names_too(host: Host) -> None:
    one, everything = network(), group(*OPEN)
    host.apply(networks=[one], groups=[everything])
    allowed = [AddressPair("fa:16:3e:aa:aa:aa", "10.0.0.200"), AddressPair("", "10.0.1.0/24")]
    speaker = host.guest(port(one, "10.0.0.5", groups=[everything.id], pairs=allowed)).addressed(24)
    hearer = host.guest(port(one, "10.0.0.6", groups=[everything.id])).addressed(24)
    yours = hearer.port.mac
    frames = {
        f"{mac} {address}": probe.frame(
            mac, yours, 0x0800, probe.udp4((address, 1), ("10.0.0.6", 9), b"pair")
        )
        for mac in (speaker.port.mac, "fa:16:3e:aa:aa:aa")
        for address in ("10.0.0.5", "10.0.0.200", "10.0.1.77", "10.0.2.1")
    }
    own = speaker.port.mac
    heard = {f"{own} 10.0.0.5", f"{own} 10.0.1.77", "fa:16:3e:aa:aa:aa 10.0.0.200"}
    assert hearer.hears(speaker, frames) == heard


def test_guests_do_not_reach_the_host_that_carries_them(
    pair: tuple[Guest, Guest], host: Host
) -> None:
    guest, _ = pair
    host.add_address("192.0.2.1/32", "lo")
    bridge = host.bridge_of(guest.port)
    guest.call("ip", "neighbour", "add", "10.0.0.1", "lladdr", bridge["address"], "dev", "eth0")
    guest.call("ip", "route", "add", "default", "via", "10.0.0.1")
    host.call("ip", "route", "add", "10.0.0.0/24", "dev", bridge["ifname"])
    assert guest.misses("192.0.2.1")
    host.call("nft", "delete", "table", "inet", f"onestack-{host.options.mark}")
    assert guest.reaches("192.0.2.1")  # but for the rules


def test_a_port_s_device_is_one_that_a_machine_takes_hold_of(host: Host) -> None:
    """As QEMU does it: by name, with a header for offloads before each frame."""
    one, everything = network(), group(*OPEN)
    made = port(one, "10.0.0.5", groups=[everything.id])
    host.apply(networks=[one], groups=[everything], ports=[made])
    hearer = host.guest(port(one, "10.0.0.6", groups=[everything.id])).addressed(24)
    with host.machine(made.device) as machine:
        said = probe.udp4(("10.0.0.5", 1), ("10.0.0.6", 9), b"from a machine")
        frames = {"said": probe.frame(made.mac, hearer.port.mac, 0x0800, said)}
        assert hearer.hears(machine, frames) == {"said"}
    host.apply(ports=[changed(made)])
    with host.machine(made.device) as machine:  # it comes and goes, and its device stays
        assert hearer.hears(machine, frames) == {"said"}


def test_what_is_larger_than_a_packet_passes_in_pieces(host: Host) -> None:
    one = network()
    chosen = group(*EGRESS, rule(protocol="udp", port_min=5000, port_max=5000))
    host.apply(networks=[one], groups=[chosen])
    speaker, hearer = (
        host.guest(port(one, f"10.0.0.{n}", groups=[chosen.id])).addressed(24) for n in (5, 6)
    )
    with hearer.datagrams(5000) as heard, speaker.datagrams(4000) as said:
        said.sendto(bytes(6000), ("10.0.0.6", 5000))
        assert len(heard.recv(9000)) == 6000
