"""Router advertisements: dnsmasq's file for the IPv6 legs of a router."""

import ipaddress
from pathlib import Path

from onestack.network.drivers.linux.dnsmasq import line
from onestack.network.drivers.linux.names import inner
from onestack.network.switch import RouterWiring, SubnetWiring

INTERVAL_S = 30
# What an advertisement says of how one gets an address there.
MODES = {"slaac": "ra-only", "dhcpv6-stateless": "ra-stateless", "dhcpv6-stateful": "static"}


def configuration(router: RouterWiring, mtus: dict[str, int], folder: Path) -> str:
    """The file; nothing when no leg has anything to announce."""
    written = []
    for leg in router.interfaces:
        device = inner("qr", leg.port_id)
        subnets = [each for each in leg.subnets if each.version == 6 and each.ra_mode in MODES]
        if not subnets:
            continue
        mtu = mtus[device]
        written += [line(f"interface={device}"),
                    line(f"ra-param={device}", f"mtu:{mtu}", str(INTERVAL_S))]  # fmt: skip
        for subnet in subnets:
            written += _announced(subnet, device)
    if not written:
        return ""
    return "".join([
        "port=0\n", "no-resolv\n", "no-hosts\n", "enable-ra\n", "leasefile-ro\n", "quiet-ra\n",
        "quiet-dhcp6\n", "except-interface=lo\n", line(f"pid-file={folder / 'pid'}"), *written,
    ])  # fmt: skip


def _announced(subnet: SubnetWiring, device: str) -> list[str]:
    block = ipaddress.ip_network(subnet.cidr)
    tag = f"ra-{subnet.id}"
    mode = MODES[subnet.ra_mode or ""]
    fields = [f"dhcp-range=set:{tag}", str(block.network_address), mode, str(block.prefixlen)]
    found = [line(*fields, "86400s")]
    if subnet.nameservers:
        shown = [f"[{ipaddress.ip_address(each)}]" for each in subnet.nameservers]
        found.append(line(f"dhcp-option=tag:{tag}", "option6:dns-server", *shown))
    return found
