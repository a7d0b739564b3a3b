"""Any rules that can be said compile, and what cannot be said lets nothing through."""

import ipaddress
import time
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onestack.core import shell, shell_host
from onestack.core.shell import CommandFailed
from onestack.network.drivers.linux import groups, guard, nft, protocols
from onestack.network.switch import (
    AddressPair,
    Changes,
    GroupWiring,
    Item,
    PortWiring,
    RuleWiring,
)
from tests.network.linux.world import (
    OPEN,
    Host,
    Room,
    changed,
    group,
    network,
    new_id,
    port,
    rule,
)

FAMILIES: tuple[nft.Family, ...] = ("bridge", "inet")
NAMES = [*sorted(protocols.NUMBERS), "any"]
V4 = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
    lambda pair: str(ipaddress.IPv4Network(pair, strict=False))
)
V6 = st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)).map(
    lambda pair: str(ipaddress.IPv6Network(pair, strict=False))
)
GROUPS = [new_id() for _ in range(3)]
MACS = st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex(":"))


@st.composite
def rules(draw: st.DrawFn) -> RuleWiring:
    ethertype = draw(st.sampled_from(["IPv4", "IPv6"]))
    protocol = draw(st.none() | st.sampled_from(NAMES) | st.integers(0, 255).map(str))
    number = protocols.number(protocol, ethertype)
    low = high = None
    if number in protocols.WITH_PORTS and draw(st.booleans()):
        low = draw(st.integers(0, 65535))
        high = draw(st.integers(low, 65535))
    elif number in (protocols.ICMP, protocols.ICMPV6) and draw(st.booleans()):
        low, high = draw(st.integers(0, 255)), draw(st.none() | st.integers(0, 255))
    remote = draw(st.sampled_from(["", "prefix", "group"]))
    return RuleWiring(
        direction=draw(st.sampled_from(["ingress", "egress"])),
        ethertype=ethertype,
        protocol=protocol,
        port_min=low,
        port_max=high,
        remote_prefix=draw(V4 if ethertype == "IPv4" else V6) if remote == "prefix" else None,
        remote_group=draw(st.sampled_from(GROUPS)) if remote == "group" else None,
    )


@st.composite
def ports(draw: st.DrawFn) -> PortWiring:
    pairs = st.builds(AddressPair, st.just("") | MACS, V4 | V6)
    addresses = draw(st.lists(st.integers(1, 2**32 - 2).map(ipaddress.IPv4Address), max_size=3))
    longer = draw(st.lists(st.integers(1, 2**128 - 2).map(ipaddress.IPv6Address), max_size=3))
    return PortWiring(
        id="port", revision=1, network_id="network", device="tap12345678-90", mac=draw(MACS),
        addresses=[str(each) for each in (*addresses, *longer)],
        pairs=draw(st.lists(pairs, max_size=6)),
        groups=draw(st.lists(st.sampled_from(GROUPS), max_size=3)),
        is_secured=draw(st.booleans()), is_up=draw(st.booleans()),
    )  # fmt: skip


@pytest.fixture(scope="module")
def room() -> Room:
    made = Room("rules")
    yield made
    made.close()


@settings(
    max_examples=60, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    accepted=st.lists(rules(), max_size=12),
    members=st.lists(V4 | V6, max_size=8),
    of=ports(),
    number=st.integers(1, 65535),
)
def test_any_rules_and_ports_compile(
    room: Room, accepted: list[RuleWiring], members: list[str], of: PortWiring, number: int
) -> None:
    """OSSA-2019-001, OSSA-2019-002, OSSA-2014-014, OSSA-2014-025, OSSA-2015-012."""
    wiring = GroupWiring(id=GROUPS[0], revision=1, rules=accepted, members=members)
    piece, troubles = groups.compiled(wiring)
    assert troubles == []
    table = nft.Table("rules", FAMILIES, guard.skeleton("rules", "ox"))
    others = {f"group {name}": groups.unknown(name) for name in GROUPS[1:]}
    pieces = {"group": piece, **others, "port": guard.guarded(of, number)}
    commands = table.whole(pieces)
    room.run(lambda: nft.load(commands, check=True))


@pytest.mark.parametrize(
    "wrong",
    [
        rule(protocol="no-such"),
        rule(protocol="256"),
        rule(protocol="-6"),
        rule(remote_prefix="fd00::/64"),
        rule(remote_prefix="10.0.0.0/33"),
        rule(remote_prefix="10.0.0.1; accept"),
        rule(ethertype="IPv6", remote_prefix="10.0.0.0/8"),
        rule(protocol="tcp", port_min=5, port_max=4),
        rule(protocol="tcp", port_min=1, port_max=65536),
        rule(protocol="icmp", port_min=256),
    ],
)
def test_what_cannot_be_said_lets_nothing_through(wrong: RuleWiring) -> None:
    piece, troubles = groups.compiled(group(wrong))
    assert len(troubles) == 1
    assert not any(piece.chains.values())


def test_a_member_that_is_no_address_is_nobody() -> None:
    piece, troubles = groups.compiled(group(members=["10.0.0.1", "accept"]))
    assert len(troubles) == 1
    assert [each.elements for each in piece.sets.values()] == [("10.0.0.1",), ()]


def test_ports_mean_nothing_where_a_protocol_has_none(room: Room) -> None:
    """OSSA-2019-001: such a rule once kept all others from being applied."""
    piece, troubles = groups.compiled(group(rule(protocol="vrrp", port_min=1, port_max=2)))
    assert troubles == []
    table = nft.Table("rules", FAMILIES, guard.skeleton("rules", "ox"))
    room.run(lambda: nft.load(table.whole({"group": piece}), check=True))


def test_a_port_that_the_kernel_refuses_is_shut_and_the_others_open(host: Host) -> None:
    one, everything = network(), group(*OPEN)
    host.apply(networks=[one], groups=[everything])
    broken = port(
        one, "10.0.0.5", groups=[everything.id], pairs=[AddressPair("no mac", "10.0.0.9")]
    )
    guest = host.plugged(broken)
    fine = port(one, "10.0.0.6", groups=[everything.id])
    other = host.plugged(fine)
    applied = host.switch.apply(Changes(ports=[broken, fine]))
    assert [each.item.id for each in applied.troubles] == [broken.id]
    assert [each.id for each in applied.done] == [fine.id]
    guest.addressed(24)
    other.addressed(24)
    neighbour = host.guest(port(one, "10.0.0.7", groups=[everything.id])).addressed(24)
    assert neighbour.reaches("10.0.0.6")
    assert neighbour.misses("10.0.0.5")
    assert guest.misses("10.0.0.7")
    host.apply(ports=[changed(broken, pairs=[])])
    assert neighbour.reaches("10.0.0.5")


def test_a_group_goes_while_others_refer_to_it(host: Host) -> None:
    one, friends = network(), group(*OPEN, members=["10.0.0.6"])
    chosen = group(rule(remote_group=friends.id))
    of = port(one, "10.0.0.5", groups=[chosen.id, friends.id])
    host.apply(networks=[one], groups=[friends, chosen], ports=[of])
    host.apply(gone=[Item("group", friends.id)])
    host.apply(ports=[changed(of, groups=[])], gone=[Item("group", chosen.id)])
    host.apply(gone=[Item("port", of.id), Item("network", one.id)])
    assert host.switch.inventory() == []
    left = host.call("nft", "list", "ruleset").stdout
    assert of.device not in left
    assert chosen.id not in left


def test_many_ports_take_one_program_and_one_port_little_time(host: Host) -> None:
    one, everything = network(), group(*OPEN)
    host.apply(networks=[one], groups=[everything])
    many = [port(one, f"10.0.{n // 250}.{n % 250}", groups=[everything.id]) for n in range(5, 105)]
    with shell.use(Counting()) as counting:
        host.apply(ports=many)
    assert counting.programs == ["nft"]
    took = []
    for _ in range(5):
        began = time.process_time()
        host.apply(ports=[port(one, "10.0.9.9", groups=[everything.id])])
        took.append(time.process_time() - began)
    assert min(took) < 0.05  # of our own; it is some 10 ms, and another 10 of nft
    loaded = host.call("nft", "list", "map", "bridge", f"onestack-{host.options.mark}", "guards")
    assert loaded.stdout.count("jump guard-") == 105


def test_what_nft_says_is_passed_on(room: Room) -> None:
    with pytest.raises(CommandFailed, match="Error"):
        room.run(lambda: nft.load([{"add": {"nonsense": {}}}]))


def test_tables_that_somebody_emptied_are_filled_again(host: Host) -> None:
    one, everything, closed = network(), group(*OPEN), group()
    host.apply(networks=[one], groups=[everything, closed])
    guest = host.guest(port(one, "10.0.0.5", groups=[everything.id])).addressed(24)
    shut = host.guest(port(one, "10.0.0.6", groups=[closed.id])).addressed(24)
    host.call("nft", "flush", "ruleset")
    assert guest.reaches("10.0.0.6")
    other = host.guest(port(one, "10.0.0.7", groups=[everything.id])).addressed(24)
    assert other.reaches("10.0.0.5")
    assert guest.misses("10.0.0.6")
    assert shut.misses("10.0.0.5")


def test_without_a_firewall_nobody_is_on_a_bridge(host: Host) -> None:
    one, everything = network(), group(*OPEN)
    host.apply(networks=[one], groups=[everything])
    old = port(one, "10.0.0.5", groups=[everything.id])
    guest = host.guest(old).addressed(24)
    other = host.guest(port(one, "10.0.0.6", groups=[everything.id])).addressed(24)
    assert guest.reaches("10.0.0.6")
    fresh = port(one, "10.0.0.7", groups=[everything.id])
    late = host.plugged(fresh)
    with shell.use(NoFirewall()):
        applied = host.switch.apply(Changes(ports=[changed(old, groups=[]), fresh]))
        assert {each.item.id for each in applied.troubles} == {old.id, fresh.id}
    late.addressed(24)
    assert late.misses("10.0.0.6")
    assert guest.misses("10.0.0.6")
    host.apply(ports=[changed(old), fresh])
    assert late.reaches("10.0.0.6")
    assert other.reaches("10.0.0.5")


class Counting(shell_host.Host):
    """A host that notes which programs are run."""

    def __init__(self) -> None:
        super().__init__()
        self.programs: list[str] = []

    def run(
        self, argv: Sequence[str], input: bytes | None, timeout_s: float,  # noqa: A002
        environment: Mapping[str, str],
    ) -> shell_host.Result:  # fmt: skip
        self.programs.append(argv[0].rpartition("/")[2])
        return super().run(argv, input, timeout_s, environment)


class NoFirewall(shell_host.Host):
    """A host whose nft never does what it is told."""

    def run(
        self, argv: Sequence[str], input: bytes | None, timeout_s: float,  # noqa: A002
        environment: Mapping[str, str],
    ) -> shell_host.Result:  # fmt: skip
        if argv[0].endswith("/nft"):
            return shell_host.Result(b"", b"Error: no such thing", 1)
        return super().run(argv, input, timeout_s, environment)
