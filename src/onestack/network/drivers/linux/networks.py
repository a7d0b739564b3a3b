"""Networks on this host: a bridge each, the way to other hosts, and the host's own leg."""

import ipaddress
from collections.abc import Iterable, Mapping
from pathlib import Path

from onestack.core import shell
from onestack.core.shell import CommandFailed
from onestack.network.drivers.linux.firewall import Bridge
from onestack.network.drivers.linux.links import Links, set_sysctl
from onestack.network.drivers.linux.names import Names
from onestack.network.drivers.linux.options import LinuxOptions
from onestack.network.switch import NetworkWiring

SEGMENTS = ("local", "flat", "vxlan")
FILTER = Path("/proc/sys/net/bridge")  # there when packets on bridges pass by the rules for IP
MODULE_S = 20.0


class NotPossible(ValueError):
    """A kind of network that this host's kernel has nothing for."""


class Networks:
    """Makes bridges, and leads them to other hosts."""

    def __init__(self, options: LinuxOptions, names: Names) -> None:
        self._options, self._names = options, names

    def bridge(self, links: Links, network: NetworkWiring) -> Bridge:
        """The bridge that a network has, or will have; it may be another's, who was here before."""
        name = self.name(network)
        found = links.find(name)
        is_own = found is None or found.get("IFLA_IFALIAS") == self._names.alias
        return Bridge(name, network.id, is_own)

    def name(self, network: NetworkWiring) -> str:
        """The name of a network's bridge."""
        segment = network.segment
        if segment.kind not in SEGMENTS:
            raise NotPossible(f"this host has no networks of the kind {segment.kind}")
        if segment.kind != "flat":
            return self._names.bridge(network.id)
        physical = segment.physical_network or ""
        if physical not in self._options.physical_networks:
            raise NotPossible(f"this host is not on the physical network {physical}")
        return self._options.physical_networks[physical] or self._names.physical(physical)

    def pattern(self, network: NetworkWiring) -> str:
        """A name that a network's bridge fits; all that are named by us fit the same one."""
        name = self.name(network)
        return f"{self._names.bridges}*" if name.startswith(self._names.bridges) else name

    def ensure(self, links: Links, network: NetworkWiring) -> None:
        """Make a network's bridge, and lead it where it must lead."""
        _have_filter()
        bridge = self.name(network)
        links.bridge(bridge, self._names.alias)
        if network.segment.kind == "vxlan":
            self._tunnel(links, network, bridge)
        elif network.segment.kind == "flat":
            self._host_leg(links, network, bridge)

    def remove(self, links: Links, network: NetworkWiring) -> None:
        """Remove what a network had here; a bridge that others put there stays."""
        bridge = self.bridge(links, network)
        links.remove(self._names.tunnel(network.id), self._names.host_leg(bridge.name))
        if bridge.is_own:
            links.remove(bridge.name)

    def _tunnel(self, links: Links, network: NetworkWiring, bridge: str) -> None:
        name, number = self._names.tunnel(network.id), network.segment.segmentation_id
        if number is None:
            raise NotPossible("a vxlan network has a number")
        if not network.peers:  # nobody to send to: what is on this host stays here
            links.remove(name)
            return
        local, port = self._options.tunnel_address, self._options.tunnel_port
        links.tunnel(name, self._names.alias, number, local, port)
        links.peers(name, network.peers)
        links.join(name, bridge, network.mtu)

    def _host_leg(self, links: Links, network: NetworkWiring, bridge: str) -> None:
        """The gateway that the outside world would be: on a leg like any router's, so that what it
        sends is judged by the same rules as what comes from elsewhere."""
        if network.segment.physical_network not in self._options.gateway_of:
            return
        inside, outside = self._names.gateway(bridge), self._names.host_leg(bridge)
        addresses = [
            f"{subnet.gateway}/{ipaddress.ip_network(subnet.cidr).prefixlen}"
            for subnet in network.subnets if subnet.gateway
        ]  # fmt: skip
        links.veth(outside, self._names.alias, inside)
        links.alter(inside, IFLA_IFALIAS=self._names.alias)
        links.join(outside, bridge, network.mtu)
        set_sysctl(f"ipv6/conf/{inside}/accept_dad", "0")
        links.alter(inside, state="up", mtu=network.mtu)
        links.addresses(inside, addresses)

    def gateways(self, networks: Iterable[NetworkWiring]) -> Mapping[str, list[str]]:
        """The bridges that this host is the gateway of, and the IPv4 networks behind them."""
        return {
            self.name(each): [subnet.cidr for subnet in each.subnets if subnet.version == 4]
            for each in networks
            if each.segment.kind == "flat"
            and each.segment.physical_network in self._options.gateway_of
        }


def _have_filter() -> None:
    """See to it that the kernel judges what passes over bridges; without that, no bridge."""
    if FILTER.exists():
        return
    try:
        shell.run(["modprobe", "br_netfilter"], timeout_s=MODULE_S)
    except CommandFailed as error:
        raise NotPossible(f"this kernel judges nothing on bridges: {error}") from None
    # Our bridges ask for it themselves; those of others are left as they were.
    for version in ("iptables", "ip6tables", "arptables"):
        set_sysctl(f"bridge/bridge-nf-call-{version}", "0")
