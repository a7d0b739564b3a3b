"""What a security group rule may say: protocols, ports and prefixes, checked and made canonical."""

from ipaddress import ip_interface
from types import MappingProxyType

import msgspec

from onestack.core.errors import BadRequest
from onestack.network.security_groups.record import ETHERTYPES

PROTOCOLS = MappingProxyType({
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "icmpv6": 58,
    "igmp": 2, "ipip": 4, "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59,
    "ipv6-opts": 60, "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6,
    "udp": 17, "udplite": 136, "vrrp": 112,
})  # fmt: skip
WITH_PORTS = frozenset({"tcp", "udp", "udplite", "sctp", "dccp"})
ICMP = frozenset({"icmp", "icmpv6", "ipv6-icmp"})
OF_IPV6 = frozenset(
    {"icmpv6", "ipv6-encap", "ipv6-frag", "ipv6-icmp", "ipv6-nonxt", "ipv6-opts", "ipv6-route"}
)
PORT_MAX = 65535
ICMP_MAX = 255


class InvalidEtherType(BadRequest):
    type = "SecurityGroupRuleInvalidEtherType"
    message = (
        "Security group rule for ethertype '{ethertype}' not supported. Allowed values are "
        "['IPv4', 'IPv6']."
    )


class InvalidProtocol(BadRequest):
    type = "SecurityGroupRuleInvalidProtocol"
    message = (
        "Security group rule protocol {protocol} not supported. Only protocol values {values} and "
        "integer representations [0 to 255] are supported."
    )


class EthertypeConflict(BadRequest):
    type = "SecurityGroupEthertypeConflictWithProtocol"
    message = "Invalid ethertype {ethertype} for protocol {protocol}."


class ProtocolRequired(BadRequest):
    type = "SecurityGroupProtocolRequiredWithPorts"
    message = "Must also specify protocol if port range is given."


class InvalidPortRange(BadRequest):
    type = "SecurityGroupInvalidPortRange"
    message = "For TCP/UDP protocols, port_range_min must be <= port_range_max"


class InvalidPortValue(BadRequest):
    type = "SecurityGroupInvalidPortValue"
    message = "Invalid value for port {port}"


class InvalidIcmpValue(BadRequest):
    type = "SecurityGroupInvalidIcmpValue"
    message = "Invalid value for ICMP {field} ({attribute}) {value}. It must be 0 to 255."


class MissingIcmpType(BadRequest):
    type = "SecurityGroupMissingIcmpType"
    message = (
        "ICMP code (port-range-max) {value} is provided but ICMP type (port-range-min) is missing."
    )


class InvalidProtocolForPort(BadRequest):
    type = "SecurityGroupInvalidProtocolForPort"
    message = (
        "Invalid protocol {protocol} for port range, only supported for TCP, UDP, UDPLITE, SCTP "
        "and DCCP."
    )


class InvalidCidr(BadRequest):
    type = "InvalidCIDR"
    message = "Invalid CIDR {prefix} given as IP prefix."


class ParameterConflict(BadRequest):
    type = "SecurityGroupRuleParameterConflict"
    message = "Conflicting value ethertype {ethertype} for CIDR {cidr}"


class Traffic(msgspec.Struct, frozen=True):
    """What a rule lets through, whoever it comes from."""

    ethertype: str
    protocol: str | None
    port_min: int | None
    port_max: int | None
    prefix: str | None


def traffic(
    ethertype: str,
    protocol: str | int | None,
    ports: tuple[int | str | None, int | str | None],
    prefix: str | None,
) -> Traffic:
    """What a rule lets through, or the error that says what makes no sense in it."""
    kind = _ethertype(ethertype)
    name = _protocol(protocol, kind)
    port_min, port_max = (_port(each) for each in ports)
    _check_ports(name, port_min, port_max)
    return Traffic(kind, name, port_min, port_max, _prefix(prefix, kind))


def number_of(protocol: str | None) -> int | None:
    """A protocol's number, by which two ways of naming it are the same."""
    if protocol is None:
        return None
    return PROTOCOLS[protocol] if protocol in PROTOCOLS else int(protocol)


def normalized(prefix: str | None) -> str | None:
    """A prefix without the bits that do not count."""
    return None if prefix is None else str(ip_interface(prefix).network)


def _ethertype(given: str) -> str:
    for each in ETHERTYPES:
        if given.lower() == each.lower():
            return each
    raise InvalidEtherType(ethertype=given[:32])


def _protocol(given: str | int | None, ethertype: str) -> str | None:
    """A name as it is known, or a number as text; IPv6's ICMP has one name."""
    text = str(given).lower() if given is not None else ""
    if not text or text == "any":
        return None
    is_number = text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 255
    if not is_number and text not in PROTOCOLS:
        raise InvalidProtocol(protocol=str(given)[:32], values=sorted(PROTOCOLS))
    text = str(int(text)) if is_number else text
    if ethertype == "IPv6" and text in ("icmp", "icmpv6"):
        return "ipv6-icmp"
    if ethertype == "IPv4" and text in OF_IPV6:
        raise EthertypeConflict(ethertype=ethertype, protocol=text)
    return text


def _port(given: int | str | None) -> int | None:
    text = str(given).strip() if given is not None else ""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= PORT_MAX):
        raise InvalidPortValue(port=text[:32])
    return int(text)


def _check_ports(protocol: str | None, port_min: int | None, port_max: int | None) -> None:
    if port_min is None and port_max is None:
        return
    if protocol is None:
        raise ProtocolRequired
    known = {name for name, number in PROTOCOLS.items() if number == number_of(protocol)}
    if known & WITH_PORTS:
        if 0 in (port_min, port_max):
            raise InvalidPortValue(port=0)
        if port_min is None or port_max is None or port_min > port_max:
            raise InvalidPortRange
    elif known & ICMP:
        _check_icmp(port_min, port_max)
    else:
        raise InvalidProtocolForPort(protocol=protocol)


def _check_icmp(kind: int | None, code: int | None) -> None:
    for field, attribute, value in (
        ("type", "port_range_min", kind), ("code", "port_range_max", code)
    ):  # fmt: skip
        if value is not None and value > ICMP_MAX:
            raise InvalidIcmpValue(field=field, attribute=attribute, value=value)
    if kind is None and code is not None:
        raise MissingIcmpType(value=code)


def _prefix(given: str | None, ethertype: str) -> str | None:
    if not given:
        return None
    try:
        found = ip_interface(given)
    except ValueError:
        raise InvalidCidr(prefix=given[:64]) from None
    if "%" in given:
        raise InvalidCidr(prefix=given[:64])
    if f"IPv{found.version}" != ethertype:
        raise ParameterConflict(ethertype=ethertype, cidr=str(found))
    return str(found)
