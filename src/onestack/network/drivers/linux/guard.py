"""What a port may send as: a guest speaks in its own name only, and never as a router or server."""

import ipaddress
from collections import defaultdict

from onestack.network.drivers.linux import connections, groups, nft
from onestack.network.drivers.linux.nft import (
    ACCEPT,
    DROP,
    RETURN,
    Family,
    Piece,
    Rule,
    assign,
    header,
    jump,
    look_up,
    match,
    meta,
    one_of,
)  # fmt: skip
from onestack.network.switch import Direction, PortWiring

BRIDGE: Family = "bridge"
INET: Family = "inet"
# The lower half of a packet's mark says from which port it came, the upper to which it goes.
LOWER, UPPER, TO = 0xFFFF, 0xFFFF0000, 16
UNSPECIFIED = ipaddress.ip_network("0.0.0.0/32")
MULTICAST_REPORTS = [131, 143]
SOLICITATION, ADVERTISEMENT, ROUTER_ADVERTISEMENT, REDIRECT = 135, 136, 134, 137
TARGET = {"payload": {"base": "th", "offset": 64, "len": 128}}  # of a neighbour's advertisement
FULL = (1 << 128) - 1
# What QEMU sends for a guest that has just moved here: bridges learn from it where it is now.
RARP = 0x8035
# A guest speaks IP only, answers nobody's DHCP requests, and announces no router.
NO_SERVER: list[Rule] = [
    [match(header("ether", "type"), one_of(["ip", "ip6", "arp", RARP]), "!="), DROP],
    [match(header("udp", "sport"), 67), match(header("udp", "dport"), 68), DROP],
    [match(header("udp", "sport"), 547), match(header("udp", "dport"), 546), DROP],
    [match(header("icmpv6", "type"), one_of([ROUTER_ADVERTISEMENT, REDIRECT])), DROP],
]


def guarded(port: PortWiring, number: int) -> Piece:
    """The rules of one port, which has this number on this host."""
    device = port.device
    if not port.is_up:
        return closed(port)
    if not port.is_secured:
        unmarked = [[assign(meta("mark"), 0), ACCEPT]]
        return Piece(
            chains={(BRIDGE, f"guard-{number}"): unmarked},
            entries={(BRIDGE, "guards"): {device: jump(f"guard-{number}")}},
        )
    out, into, guard, to = (f"{each}-{number}" for each in ("out", "into", "guard", "to"))
    towards = {"|": [{"&": [meta("mark"), LOWER]}, number << TO]}
    return Piece(
        chains={
            (BRIDGE, guard): _guard(port, number),
            (BRIDGE, to): [[assign(meta("mark"), towards)]],
            (INET, out): _judged("egress", port.groups),
            (INET, into): _judged("ingress", port.groups),
        },
        entries={
            (BRIDGE, "guards"): {device: jump(guard)},
            (BRIDGE, "targets"): {device: jump(to)},
            (INET, "egress"): {number: jump(out)},
            (INET, "ingress"): {number << TO: jump(into)},
        },
        groups=frozenset(port.groups),
    )


def closed(port: PortWiring) -> Piece:
    """A port that nothing passes."""
    return Piece(
        entries={
            (BRIDGE, "guards"): {port.device: DROP},
            (BRIDGE, "targets"): {port.device: DROP},
        }
    )


def skeleton(table: str, own_prefix: str) -> list[nft.Command]:
    """What the tables hold besides the pieces: the ways that packets take through them."""

    def named(family: Family, kind: str, name: str, **types: str) -> nft.Command:
        return {"add": {kind: {"family": family, "table": table, "name": name, **types}}}

    iif, oif = meta("iifname"), meta("oifname")
    own, bridges, host = f"{own_prefix}*", "@bridges", "@closed_bridges"
    ways: list[tuple[Family, str, str, int, list[Rule]]] = [
        # What comes from a router or another host has no mark; what comes from a port has its.
        (BRIDGE, "from", "prerouting", -200, [
            [match(iif, own), assign(meta("mark"), 0), ACCEPT],
            [look_up(iif, "guards")],
        ]),
        (BRIDGE, "towards", "forward", -200, [[look_up(oif, "targets")]]),
        # Nobody else on this host is to see our marks.
        (BRIDGE, "past", "postrouting", 300, [[match(oif, own), assign(meta("mark"), 0)]]),
        (INET, "zoned", "prerouting", -300, [[look_up(iif, "zones")]]),
        # Guests do not speak with the host that carries them, and it routes nothing for them.
        (INET, "to-host", "input", -1, [[match(iif, host), DROP]]),
        (INET, "through-host", "forward", -1, [[match(iif, host), match(oif, host, "!="), DROP]]),
        # In two chains: what one port may send, another need not receive.
        (INET, "sent", "forward", 0, [
            [match(iif, bridges, "!="), ACCEPT],
            [match({"ct": {"key": "mark"}}, connections.STOPPED), DROP],
            [look_up({"&": [meta("mark"), LOWER]}, "egress")],
        ]),
        (INET, "received", "forward", 1, [
            [match(iif, bridges, "!="), ACCEPT],
            [look_up({"&": [meta("mark"), UPPER]}, "ingress")],
        ]),
    ]  # fmt: skip
    commands = [
        named(BRIDGE, "map", "guards", type="ifname", map="verdict"),
        named(BRIDGE, "map", "targets", type="ifname", map="verdict"),
        named(INET, "map", "zones", type="ifname", map="verdict"),
        named(INET, "map", "egress", type="mark", map="verdict"),
        named(INET, "map", "ingress", type="mark", map="verdict"),
        named(INET, "set", "bridges", type="ifname"),
        named(INET, "set", "closed_bridges", type="ifname"),
        *_always(table),
    ]
    for family, name, hook, priority, rules in ways:
        commands.append(nft.add_chain(family, table, name, hook, priority))
        commands += [nft.add_rule(family, table, name, each) for each in rules]
    return commands


def bridged(bridge: str, zone: int, *, is_own: bool) -> Piece:
    """A network's bridge: its connections are apart from those of all others."""
    names = frozenset({bridge})
    return Piece(
        chains={(INET, f"zone-{zone}"): [[assign({"ct": {"key": "zone"}}, zone)]]},
        entries={(INET, "zones"): {bridge: jump(f"zone-{zone}")}},
        names={
            (INET, "bridges"): names,
            (INET, "closed_bridges"): names if is_own else frozenset(),
        },
    )


def _always(table: str) -> list[nft.Command]:
    """What no port may send, and what passes whatever the groups say: answers, and what an address
    is obtained with."""
    known = [match({"ct": {"key": "state"}}, one_of(["established", "related"])), ACCEPT]
    invalid = [match({"ct": {"key": "state"}}, "invalid"), DROP]
    sides = {
        "egress-always": [
            *_dhcp(68, 67),
            *_dhcp(546, 547),
            _icmpv6([130, 131, 133, 135, 136, 143]),
        ],
        "ingress-always": [*_dhcp(67, 68), *_dhcp(547, 546), _icmpv6([130, 134, 135, 136])],
    }
    commands = [nft.add_chain(BRIDGE, table, "no-server")]
    commands += [nft.add_rule(BRIDGE, table, "no-server", each) for each in NO_SERVER]
    for name, rules in sides.items():
        commands.append(nft.add_chain(INET, table, name))
        commands += [nft.add_rule(INET, table, name, each) for each in (known, invalid, *rules)]
    return commands


def _dhcp(source: int, target: int) -> list[Rule]:
    return [[match(header("udp", "sport"), source), match(header("udp", "dport"), target), ACCEPT]]


def _icmpv6(types: list[int]) -> Rule:
    return [match(header("icmpv6", "type"), one_of(types)), ACCEPT]


def _judged(direction: Direction, group_ids: list[str]) -> list[Rule]:
    chains = [groups.chain(direction, each) for each in sorted(set(group_ids))]
    return [[jump(f"{direction}-always")], *([jump(each)] for each in chains), [DROP]]


def _guard(port: PortWiring, number: int) -> list[Rule]:
    addresses: dict[str, list[groups.Network]] = defaultdict(list)
    addresses[port.mac.lower()] += [ipaddress.ip_network(each) for each in port.addresses]
    for pair in port.pairs:
        mac = (pair.mac or port.mac).lower()
        addresses[mac].append(ipaddress.ip_network(pair.address, strict=False))
    marked = assign(meta("mark"), number)
    rules: list[Rule] = [
        [match(header("ether", "saddr"), one_of(sorted(addresses)), "!="), DROP],
        [jump("no-server")],
    ]
    for mac, networks in sorted(addresses.items()):
        yours = match(header("ether", "saddr"), mac)
        v4, v6 = groups.collapsed(networks, 4), groups.collapsed(networks, 6)
        rules += [
            _arp(mac, [*v4, UNSPECIFIED]),
            [yours, match(header("ether", "type"), RARP), ACCEPT],
            *([[yours, *_from("ip", v4), marked, RETURN]] if v4 else []),
            [yours, *_discover(), marked, RETURN],
            [yours, *_before_an_address(), marked, RETURN],
        ]
        own = [*v6, ipaddress.ip_network(link_local(mac))]
        rules += [[yours, *_advertises(own, each), marked, RETURN] for each in own]
        rules.append([yours, match(header("icmpv6", "type"), ADVERTISEMENT), DROP])
        rules.append([yours, *_from("ip6", groups.collapsed(own, 6)), marked, RETURN])
    return [*rules, [DROP]]


def _from(protocol: str, networks: list[groups.Network]) -> Rule:
    if any(each.prefixlen == 0 for each in networks):
        return [match(header("ether", "type"), protocol)]
    return [match(header(protocol, "saddr"), one_of(nft.prefix(each) for each in networks))]


def _arp(mac: str, networks: list[groups.Network]) -> Rule:
    mine = groups.collapsed(networks, 4)
    sender = [match(header("arp", "saddr ether"), mac)]
    if not any(each.prefixlen == 0 for each in mine):
        sender.append(match(header("arp", "saddr ip"), one_of(nft.prefix(each) for each in mine)))
    return [match(header("ether", "type"), "arp"), match(header("ether", "saddr"), mac),
            *sender, ACCEPT]  # fmt: skip


def _discover() -> Rule:
    """What a client says before it has an IPv4 address."""
    nobody = str(UNSPECIFIED.network_address)
    return [
        match(header("ip", "saddr"), nobody),
        match(header("udp", "sport"), 68),
        match(header("udp", "dport"), 67),
    ]


def _before_an_address() -> Rule:
    """What is said before there is an IPv6 address: is somebody here who has it?"""
    asks = [SOLICITATION, *MULTICAST_REPORTS, 133]
    return [match(header("ip6", "saddr"), "::"), match(header("icmpv6", "type"), one_of(asks))]


def _advertises(own: list[groups.Network], network: groups.Network) -> Rule:
    said = [
        match(header("icmpv6", "type"), ADVERTISEMENT),
        *_from("ip6", groups.collapsed(own, 6)),
    ]
    if network.prefixlen == 0:
        return said
    mask = FULL ^ (FULL >> network.prefixlen)
    left = TARGET if network.prefixlen == 128 else {"&": [TARGET, hex(mask)]}
    return [*said, match(left, hex(int(network.network_address)))]


def link_local(mac: str) -> str:
    """The IPv6 address that a device gives itself by its MAC."""
    octets = bytes.fromhex(mac.replace(":", ""))
    name = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + name))
