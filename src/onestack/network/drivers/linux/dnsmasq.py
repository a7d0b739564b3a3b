"""dnsmasq's files, written from wirings: no text of a user's reaches them unexamined."""

import ipaddress
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from onestack.core import log
from onestack.network.switch import DhcpOption, Lease, NetworkWiring, SubnetWiring

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA = "169.254.169.254"
LEASE_S = 86400
# dnsmasq 2.90 crashes when it reads tagged hosts again after it gave one of them a lease: so only
# ports with options of their own have a tag, and a server that knows such a port is started anew.
HOST_TAG = "set:"
HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9-]{1,63})*")
OPTION_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
TAG = re.compile(r"[A-Za-z0-9-]+")


class Unsafe(ValueError):
    """A text that must not stand in a file of dnsmasq's."""


class Unknown(ValueError):
    """An option that dnsmasq does not have."""


def line(*fields: str) -> str:
    """One line of fields between commas; none of them holds what would end it."""
    for field in fields:
        if any(ord(each) < 32 or ord(each) == 127 for each in field):
            raise Unsafe(f"{field!r} holds control characters")
    return ",".join(fields) + "\n"


def served(network: NetworkWiring, version: int) -> list[SubnetWiring]:
    """The subnets of a network that have a DHCP server."""
    return [
        each for each in network.subnets
        if each.version == version and each.is_dhcp and each.address_mode != "slaac"
        and (version == 4 or each.address_mode is not None)
    ]  # fmt: skip


def configuration(network: NetworkWiring, device: str, folder: Path) -> str:
    """The file that dnsmasq reads once, when it starts."""
    assert network.dhcp is not None
    written = [
        "no-resolv\n", "no-hosts\n", "bind-interfaces\n", "dhcp-authoritative\n", "no-ping\n",
        "leasefile-ro\n", "dhcp-ignore=tag:!known\n", "quiet-dhcp\n", "quiet-dhcp6\n",
        line(f"interface={device}"), line("except-interface=lo"),
        line(f"dhcp-hostsfile={folder / 'hosts'}"), line(f"dhcp-optsfile={folder / 'options'}"),
        line(f"addn-hosts={folder / 'names'}"), line(f"pid-file={folder / 'pid'}"),
    ]  # fmt: skip
    if network.dhcp.domain and HOST_NAME.fullmatch(network.dhcp.domain.rstrip(".")):
        domain = network.dhcp.domain.rstrip(".")
        written += [line(f"domain={domain}"), line(f"local=/{domain}/"), "expand-hosts\n"]
    for subnet in served(network, 4):
        block = ipaddress.ip_network(subnet.cidr)
        written.append(line(f"dhcp-range=set:{_tag(subnet.id)}", str(block.network_address),
                            "static", str(block.netmask), f"{LEASE_S}s"))  # fmt: skip
    for subnet in served(network, 6):
        block = ipaddress.ip_network(subnet.cidr)
        written.append(line(f"dhcp-range=set:{_tag(subnet.id)}", str(block.network_address),
                            "static", str(block.prefixlen), f"{LEASE_S}s"))  # fmt: skip
    return "".join(written)


def hosts(network: NetworkWiring) -> str:
    """Who gets which address; what is wrong with a lease keeps out that lease only."""
    assert network.dhcp is not None
    subnets = [(ipaddress.ip_network(each.cidr), each) for each in network.subnets]
    given = {each.id for version in (4, 6) for each in served(network, version)}
    written = []
    for lease in network.dhcp.leases:
        for text in lease.addresses:
            address = ipaddress.ip_address(text)
            subnet = next((each for block, each in subnets if address in block), None)
            if subnet is not None and subnet.id in given:
                written += _written(lease, lambda: _host(lease, address, subnet))  # noqa: B023
    return "".join(written)


def names(network: NetworkWiring) -> str:
    """Which name leads to which address, in the form of a hosts file."""
    assert network.dhcp is not None
    return "".join(
        line(f"{ipaddress.ip_address(text)} {host_name(lease, text)}")
        for lease in network.dhcp.leases for text in lease.addresses
    )  # fmt: skip


def options(network: NetworkWiring) -> str:
    """What comes with an address: of a subnet, and of a port of its own."""
    assert network.dhcp is not None
    own = [ipaddress.ip_interface(each) for each in network.dhcp.addresses]
    written = []
    for subnet in [*served(network, 4), *served(network, 6)]:
        block = ipaddress.ip_network(subnet.cidr)
        server = next((str(each.ip) for each in own if each.ip in block), None)
        written += list(_of_subnet(subnet, server, network.mtu, network.dhcp.domain))
    for lease in network.dhcp.leases:
        for option in lease.options:
            written += _written(lease, lambda: _of_port(lease, option))  # noqa: B023
    return "".join(written)


def host_name(lease: Lease, address: str) -> str:
    """The name that a port asked for, or one made of its address."""
    if lease.hostname and len(lease.hostname) <= 253 and HOST_NAME.fullmatch(lease.hostname):
        return lease.hostname
    return "host-" + str(ipaddress.ip_address(address)).replace(".", "-").replace(":", "-")


def _written(lease: Lease, make: Callable[[], str]) -> list[str]:
    """A line, if what it is made of may stand in a file; else the port does without it."""
    try:
        return [make()]
    except ValueError as error:
        log.warning("a port does without what it asks for", port=lease.port_id, reason=str(error))
        return []


def _host(lease: Lease, address: Address, subnet: SubnetWiring) -> str:
    who = [_mac(lease.mac), *([f"{HOST_TAG}{_tag(lease.port_id)}"] if lease.options else [])]
    if subnet.address_mode == "dhcpv6-stateless":
        return line(*who)
    given = str(address) if address.version == 4 else f"[{address}]"
    return line(*who, host_name(lease, str(address)), given, f"{LEASE_S}s")


def _of_subnet(subnet: SubnetWiring, server: str | None, mtu: int, domain: str) -> Iterable[str]:
    tag = f"tag:{_tag(subnet.id)}"
    nameservers = [str(ipaddress.ip_address(each)) for each in subnet.nameservers]
    if subnet.version == 6:
        if nameservers:
            shown = [f"[{each}]" for each in nameservers]
            yield line(tag, "option6:dns-server", *shown)
        if domain and HOST_NAME.fullmatch(domain.rstrip(".")):
            yield line(tag, "option6:domain-search", domain.rstrip("."))
        return
    own = [server] if server else []
    yield line(tag, "option:dns-server", *(nameservers or own))
    yield line(tag, "option:router", *([subnet.gateway] if subnet.gateway else []))
    yield line(tag, "option:mtu", str(mtu))
    routes = [(str(ipaddress.ip_network(each.destination)), str(ipaddress.ip_address(each.nexthop)))
              for each in subnet.routes]  # fmt: skip
    if server and not any(destination == f"{METADATA}/32" for destination, _ in routes):
        routes.append((f"{METADATA}/32", server))
    if subnet.gateway:  # who knows this option does not look at the router's
        routes.append(("0.0.0.0/0", subnet.gateway))
    if routes:
        flat = [part for route in routes for part in route]
        yield line(tag, "option:classless-static-route", *flat)
        yield line(tag, "249", *flat)


def _of_port(lease: Lease, option: DhcpOption) -> str:
    name = option.name.strip().lower()
    number, _, more = name.partition(":")
    is_number = number.isascii() and number.isdecimal() and not more and 0 < int(number) < 255
    if not is_number and not OPTION_NAME.fullmatch(name):
        raise Unknown(f"there is no option {option.name!r}")
    if not is_number and name not in KNOWN[option.version]:
        raise Unknown(f"there is no option {option.name!r}")
    kind = "option" if option.version == 4 else "option6"
    chosen = name if is_number and option.version == 4 else f"{kind}:{name}"
    return line(f"tag:{_tag(lease.port_id)}", chosen, option.value)


def _mac(text: str) -> str:
    if not MAC.fullmatch(text.lower()):
        raise Unsafe(f"{text!r} is no MAC")
    return text.lower()


def _tag(name: str) -> str:
    if not TAG.fullmatch(name):
        raise Unsafe(f"{name!r} is no id")
    return name


# dnsmasq would stumble over a name that it does not know.
NAMES_4 = """
netmask time-offset router dns-server log-server lpr-server boot-file-size domain-name swap-server
root-path extension-path ip-forward-enable non-local-source-routing policy-filter
max-datagram-reassembly default-ttl mtu all-subnets-local router-discovery router-solicitation
static-route trailer-encapsulation arp-timeout ethernet-encap tcp-ttl tcp-keepalive nis-domain
nis-server ntp-server netbios-ns netbios-dd netbios-nodetype netbios-scope x-windows-fs x-windows-dm
vendor-class nis+-domain nis+-server tftp-server bootfile-name mobile-ip-home smtp-server
pop3-server nntp-server irc-server user-class rapid-commit client-arch client-interface-id
client-machine-id posix-timezone tzdb-timezone domain-search sip-server classless-static-route
vendor-id-encap tftp-server-address server-ip-address
"""
NAMES_6 = """
sip-server-domain sip-server dns-server domain-search nis-server nis+-server nis-domain nis+-domain
sntp-server information-refresh-time posix-timezone tzdb-timezone ntp-server bootfile-url
bootfile-param
"""
KNOWN = {4: frozenset(NAMES_4.split()), 6: frozenset(NAMES_6.split())}
