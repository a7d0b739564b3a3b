"""Security groups as rules of nftables, and as a judge of connections that are there already."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Literal

import msgspec

from onestack.network.drivers.linux import nft, protocols
from onestack.network.drivers.linux.nft import Family, Members, Piece, Rule, header, match, meta
from onestack.network.switch import Direction, GroupWiring, RuleWiring

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
VERSIONS: dict[str, Literal[4, 6]] = {"IPv4": 4, "IPv6": 6}
INET: Family = "inet"


class Refused(ValueError):
    """A rule that means nothing to the kernel; nothing passes because of it."""


def chain(direction: Direction, group_id: str) -> str:
    """The name of the chain that accepts what a group lets through in a direction."""
    return f"{direction}-{group_id}"


def members(group_id: str, version: int) -> str:
    """The name of the set of the addresses that the members of a group have."""
    return f"members{version}-{group_id}"


def unknown(group_id: str) -> Piece:
    """A group that others refer to, and that this host knows nothing of: lets nothing through."""
    return _piece(group_id, {"ingress": [], "egress": []}, [], frozenset())


def compiled(group: GroupWiring) -> tuple[Piece, list[str]]:
    """A group's piece of the tables, and what is wrong with rules that were left out."""
    accepted: dict[Direction, list[Rule]] = {"ingress": [], "egress": []}
    troubles = []
    referred: set[str] = set()
    for rule in group.rules:
        try:
            accepted[rule.direction].append(_rule(rule))
        except ValueError as error:
            troubles.append(f"a rule lets nothing through, for it is not valid: {error}")
            continue
        if rule.remote_group is not None:
            referred.add(rule.remote_group)
    networks = []
    for each in group.members:
        try:
            networks.append(ipaddress.ip_network(each, strict=False))
        except ValueError as error:
            troubles.append(f"a member is not known, for its address is not valid: {error}")
    return _piece(group.id, accepted, networks, frozenset(referred - {group.id})), troubles


def collapsed(networks: Iterable[Network], version: int) -> list[Network]:
    """The networks of one version, none within another."""
    chosen: list[Any] = [each for each in networks if each.version == version]
    return list(ipaddress.collapse_addresses(chosen))


class Connection(msgspec.Struct, frozen=True):
    """What is known of a connection: who began it, with whom, and about what."""

    source: str
    target: str
    protocol: int
    source_port: int = 0
    target_port: int = 0  # for ICMP its type and code
    code: int = 0


class Judge(msgspec.Struct):
    """Says whether groups would let a connection begin today."""

    groups: dict[str, GroupWiring]
    _members: dict[str, list[Network]] = {}

    def allows(self, direction: Direction, group_ids: Iterable[str], one: Connection) -> bool:
        known = (self.groups[each] for each in group_ids if each in self.groups)
        return any(self._fits(direction, rule, one) for each in known for rule in each.rules)

    def _fits(self, direction: Direction, rule: RuleWiring, one: Connection) -> bool:
        remote = ipaddress.ip_address(one.source if direction == "ingress" else one.target)
        if rule.direction != direction or VERSIONS[rule.ethertype] != remote.version:
            return False
        try:
            number = protocols.number(rule.protocol, rule.ethertype)
            prefix = rule.remote_prefix and _network(rule.remote_prefix)
        except ValueError:
            return False
        if number is not None and number != one.protocol:
            return False
        if prefix and remote not in prefix:
            return False
        if rule.remote_group is not None and not self._is_member(rule.remote_group, remote):
            return False
        return number is None or _ports_fit(number, rule, one)

    def _is_member(self, group_id: str, remote: Any) -> bool:
        if group_id not in self._members:
            group = self.groups.get(group_id)
            self._members[group_id] = [_network(each) for each in group.members] if group else []
        return any(remote in network for network in self._members[group_id])


def _ports_fit(number: int, rule: RuleWiring, one: Connection) -> bool:
    low, high = rule.port_min, rule.port_max
    if number in (protocols.ICMP, protocols.ICMPV6):
        is_type = low is None or low == one.target_port
        return is_type and (low is None or high is None or high == one.code)
    if number not in protocols.WITH_PORTS or (low is None and high is None):
        return True
    return (0 if low is None else low) <= one.target_port <= (65535 if high is None else high)


def _piece(
    group_id: str,
    accepted: dict[Direction, list[Rule]],
    networks: list[Network],
    referred: frozenset[str],
) -> Piece:
    v4, v6 = (
        tuple(nft.prefix(each) for each in collapsed(networks, version)) for version in (4, 6)
    )
    return Piece(
        chains={(INET, chain(direction, group_id)): rules for direction, rules in accepted.items()},
        sets={
            (INET, members(group_id, 4)): Members("ipv4_addr", v4),
            (INET, members(group_id, 6)): Members("ipv6_addr", v6),
        },
        groups=referred,
    )


def _rule(rule: RuleWiring) -> Rule:
    number = protocols.number(rule.protocol, rule.ethertype)
    return [
        match(meta("nfproto"), "ipv4" if rule.ethertype == "IPv4" else "ipv6"),
        *_remote(rule),
        *_protocol(rule, number),
        nft.ACCEPT,
    ]


def _remote(rule: RuleWiring) -> Rule:
    version = VERSIONS[rule.ethertype]
    side = header(
        "ip" if version == 4 else "ip6", "saddr" if rule.direction == "ingress" else "daddr"
    )
    found: Rule = []
    if rule.remote_prefix is not None:
        network = _network(rule.remote_prefix)
        if network.version != version:
            raise Refused(f"{rule.remote_prefix} is not {rule.ethertype}")
        if network.prefixlen:
            found.append(match(side, nft.prefix(network)))
    if rule.remote_group is not None:
        found.append(match(side, f"@{members(rule.remote_group, version)}"))
    return found


def _protocol(rule: RuleWiring, number: int | None) -> Rule:
    if number is None:
        return []
    if rule.ethertype == "IPv6" and number in protocols.EXTENSIONS:
        return [match(header("ip6", "nexthdr"), number)]
    found = [match(meta("l4proto"), number)]
    low, high = rule.port_min, rule.port_max
    if number in (protocols.ICMP, protocols.ICMPV6):
        # The type and code are read as bytes: nft would take a type of the other IP version for a
        # demand that the packet be of that version.
        for offset, value in ((0, low), (8, high if low is not None else None)):
            if value is not None:
                found.append(match(_transport(offset, 8), _within(value, 255)))
    elif number in protocols.WITH_PORTS and (low is not None or high is not None):
        low = _within(0 if low is None else low, 65535)
        high = _within(65535 if high is None else high, 65535)
        if low > high:
            raise Refused(f"ports {low} to {high}")
        found.append(match(_transport(16, 16), {"range": [low, high]} if low < high else low))
    return found


def _transport(offset: int, length: int) -> Any:
    return {"payload": {"base": "th", "offset": offset, "len": length}}


def _within(value: int, most: int) -> int:
    if not 0 <= value <= most:
        raise Refused(f"{value} is not between 0 and {most}")
    return value


@lru_cache(4096)
def _network(text: str) -> Network:
    return ipaddress.ip_network(text, strict=False)
