"""The protocols that rules of security groups may name, by number."""

NUMBERS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "icmpv6": 58,
    "igmp": 2, "ip": 0, "ipip": 4, "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58,
    "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46,
    "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
ICMP, TCP, ICMPV6 = 1, 6, 58
WITH_PORTS = {TCP: "tcp", 17: "udp", 33: "dccp", 132: "sctp", 136: "udplite"}
# Those of which conntrack knows more than two addresses.
TRACKED = {ICMP: "icmp", ICMPV6: "icmpv6", 47: "gre", **WITH_PORTS}
# IPv6 headers that precede a protocol's own: the kernel's idea of a protocol passes over them.
EXTENSIONS = frozenset({0, 43, 44, 60})
ANY = frozenset({"", "any", "-1"})


class UnknownProtocol(ValueError):
    """A name or number that no packet carries."""


def number(protocol: str | None, ethertype: str) -> int | None:
    """A protocol's number; None stands for all of them."""
    if protocol is None or protocol.lower() in ANY:
        return None
    name = protocol.lower()
    if name.isascii() and name.isdecimal():
        found = int(name)
        if found > 255:
            raise UnknownProtocol(protocol)
        return found
    if name not in NUMBERS:
        raise UnknownProtocol(protocol)
    if name == "icmp" and ethertype == "IPv6":  # as upstream has always understood it
        return ICMPV6
    return NUMBERS[name]
