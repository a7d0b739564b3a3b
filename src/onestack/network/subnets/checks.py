"""What makes a subnet good: prefixes, gateways, ranges, IPv6 modes, routes and name servers."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from onestack.core.errors import BadRequest, Conflict
from onestack.network import ipam
from onestack.network.attributes import InvalidInput, address, prefix

NAMESERVERS_MAX = 5
ROUTES_MAX = 20


class GatewayConflict(Conflict):
    type = "GatewayConflictWithAllocationPools"
    message = "Gateway ip {gateway} conflicts with allocation pool {pool}."


class InvalidPool(BadRequest):
    type = "InvalidAllocationPool"
    message = "{reason}"


class TooManyNameservers(BadRequest):
    type = "DNSNameServersExhausted"
    message = (
        "Unable to complete operation for {id}. The number of DNS nameservers exceeds the limit "
        "{most}."
    )


class TooManyRoutes(BadRequest):
    type = "HostRoutesExhausted"
    message = (
        "Unable to complete operation for {id}. The number of host routes exceeds the limit {most}."
    )


def network_of(cidr: str) -> ipam.Network:
    """A subnet's prefix, which must be written as one."""
    try:
        found = ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        raise InvalidInput(reason=f"'{cidr[:64]}' is not a valid IP subnet") from None
    if "/" not in cidr or str(found.network_address) != _address_of(cidr):
        raise InvalidInput(
            reason=f"'{cidr[:64]}' isn't a recognized IP subnet cidr, '{found}' is recommended"
        )
    if found.prefixlen == 0:
        raise InvalidInput(reason=f"'{cidr[:64]}': 0 is not allowed as CIDR prefix length")
    return found


def check_modes(version: int, is_dhcp: bool, given: Mapping[str, Any], cidr: ipam.Network) -> None:
    """IPv6 modes go with IPv6, with DHCP, and with each other."""
    ra, addresses = given.get("ipv6_ra_mode"), given.get("ipv6_address_mode")
    if ra is None and addresses is None:
        return
    if version == 4:
        raise InvalidInput(reason="ipv6_ra_mode or ipv6_address_mode is only for ip_version 6")
    if not is_dhcp:
        raise InvalidInput(
            reason="ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to "
            "False"
        )
    if ra is not None and addresses is not None and ra != addresses:
        raise InvalidInput(
            reason=f"ipv6_ra_mode set to '{ra}' with ipv6_address_mode set to '{addresses}' is not "
            "valid. If both attributes are set, they must be the same value"
        )
    if addresses in ("slaac", "dhcpv6-stateless") and cidr.prefixlen != 64:
        raise InvalidInput(
            reason=f"Invalid CIDR {cidr} for IPv6 address mode. OpenStack uses the EUI-64 address "
            "format, which requires the prefix to be /64"
        )


def gateway_of(text: str, network: ipam.Network) -> str:
    """A gateway's address, which may be anything but what no host has."""
    found = ipaddress.ip_address(address(text))
    if found.version != network.version:
        raise InvalidInput(reason=f"gateway_ip '{text[:64]}' does not match the ip_version")
    is_host = ipam.usable(network).holds(int(found))
    is_first = network.version == 6 and found == network.network_address
    if found in network and not is_host and not is_first:
        raise InvalidInput(reason="Gateway is not valid on subnet")
    return str(found)


def pools_of(
    given: Sequence[Any] | None, network: ipam.Network, gateway: str | None
) -> list[dict[str, str]]:
    """The ranges that addresses are taken from: as given, or all that there are."""
    if given is None:
        return ipam.pools_of(ipam.default_ranges(network, gateway), network.version)
    pools = [{"start": address(each.start), "end": address(each.end)} for each in given]
    try:
        ranges = ipam.checked_ranges(pools, network)
    except ipam.BadRange as error:
        raise InvalidPool(reason=str(error)) from None
    check_gateway(gateway, ranges, network.version)
    return ipam.pools_of(ranges, network.version)


def check_gateway(gateway: str | None, ranges: Iterable[ipam.Range], version: int) -> None:
    """A gateway's address is nobody's."""
    if gateway is None:
        return
    number = int(ipaddress.ip_address(gateway))
    for each in ranges:
        if ipaddress.ip_address(gateway).version == version and each.holds(number):
            pool = f"{ipam.text(each.first, version)}-{ipam.text(each.last, version)}"
            raise GatewayConflict(gateway=gateway, pool=pool)


def nameservers_of(given: Sequence[str] | None, name: str) -> list[str]:
    """Name servers' addresses, each once."""
    found = [address(each, "nameserver") for each in given or ()]
    if len(found) > NAMESERVERS_MAX:
        raise TooManyNameservers(id=name, most=NAMESERVERS_MAX)
    for each in found:
        if found.count(each) > 1:
            raise InvalidInput(reason=f"Duplicate nameserver '{each}'")
    return found


def routes_of(given: Sequence[Any] | None, name: str, version: int) -> list[dict[str, str]]:
    """Routes that hosts are told of, each once."""
    if len(given or ()) > ROUTES_MAX:
        raise TooManyRoutes(id=name, most=ROUTES_MAX)
    found = []
    for each in given or ():
        route = {"destination": prefix(each.destination), "nexthop": address(each.nexthop)}
        versions = {ipaddress.ip_network(route["destination"]).version,
                    ipaddress.ip_address(route["nexthop"]).version}  # fmt: skip
        if versions != {version}:
            raise InvalidInput(reason="host_routes do not match the ip_version of the subnet")
        if route in found:
            raise InvalidInput(reason=f"Duplicate hostroute '{route}'")
        found.append(route)
    return found


def _address_of(cidr: str) -> str:
    return str(ipaddress.ip_address(cidr.partition("/")[0]))
