"""The contract of a switch: what a host must have of networks, and what it has.

The control plane holds the truth. It tells a host's switch, one *wiring* at a time, what each
network, group, port and router must look like there; a wiring is whole, so applying it twice, or
after a restart, changes nothing that is right already, and cuts no traffic.
"""

from typing import Literal, Protocol

import msgspec

Kind = Literal["network", "group", "port", "router"]
Direction = Literal["ingress", "egress"]
Ethertype = Literal["IPv4", "IPv6"]


class Wiring(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every wiring has: whose it is, and how new."""

    id: str
    revision: int


class Segment(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a network travels between hosts."""

    kind: Literal["local", "flat", "vlan", "vxlan", "gre"]
    physical_network: str | None = None
    segmentation_id: int | None = None


class Route(msgspec.Struct, frozen=True):
    destination: str
    nexthop: str


class SubnetWiring(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A subnet, as far as DHCP and router advertisements are concerned."""

    id: str
    cidr: str
    version: Literal[4, 6]
    gateway: str | None = None
    is_dhcp: bool = True
    ra_mode: str | None = None  # slaac, dhcpv6-stateful, dhcpv6-stateless
    address_mode: str | None = None
    nameservers: list[str] = []
    routes: list[Route] = []


class DhcpOption(msgspec.Struct, frozen=True):
    """An option that a port asks for beyond the usual ones."""

    name: str
    value: str
    version: Literal[4, 6] = 4


class Lease(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who has which addresses on a network; also who asks the metadata service from there."""

    port_id: str
    mac: str
    addresses: list[str]
    hostname: str = ""
    device_id: str = ""
    project_id: str = ""
    options: list[DhcpOption] = []


class DhcpWiring(msgspec.Struct, frozen=True, kw_only=True):
    """The DHCP server that this host has for a network: a port of its own, with addresses."""

    port_id: str
    mac: str
    addresses: list[str]  # with their prefix lengths
    leases: list[Lease]
    domain: str = ""


class NetworkWiring(Wiring, frozen=True, kw_only=True, omit_defaults=True):
    """A network on this host: its bridge, the way to other hosts, and perhaps its DHCP server."""

    segment: Segment
    mtu: int
    peers: list[str] = []  # tunnel addresses of the other hosts that have it
    subnets: list[SubnetWiring] = []
    dhcp: DhcpWiring | None = None


class RuleWiring(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a security group lets through."""

    direction: Direction
    ethertype: Ethertype
    protocol: str | None = None  # a name of upstream's, or a number
    port_min: int | None = None  # for ICMP its type
    port_max: int | None = None  # for ICMP its code
    remote_prefix: str | None = None
    remote_group: str | None = None


class GroupWiring(Wiring, frozen=True, kw_only=True, omit_defaults=True):
    """A security group: what it lets through, and the addresses of its members everywhere."""

    rules: list[RuleWiring] = []
    members: list[str] = []


class AddressPair(msgspec.Struct, frozen=True):
    """An address that a port may send from besides its own."""

    mac: str
    address: str


class PortWiring(Wiring, frozen=True, kw_only=True, omit_defaults=True):
    """A guest's port on this host: its tap device, and what may pass it."""

    network_id: str
    device: str  # the name of the tap
    mac: str
    addresses: list[str] = []
    pairs: list[AddressPair] = []
    groups: list[str] = []
    is_secured: bool = True  # port_security_enabled
    is_up: bool = True


class InterfaceWiring(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One leg of a router."""

    port_id: str
    network_id: str
    mac: str
    addresses: list[str]  # with their prefix lengths
    subnets: list[SubnetWiring] = []


class FloatingWiring(msgspec.Struct, frozen=True):
    id: str
    address: str
    fixed: str


class ForwardingWiring(msgspec.Struct, frozen=True):
    """One port of a floating address that goes to one port of a fixed one."""

    id: str
    address: str
    protocol: str
    port: int
    fixed: str
    fixed_port: int


class GatewayWiring(msgspec.Struct, frozen=True, kw_only=True):
    """A router's leg on an external network."""

    interface: InterfaceWiring
    nexthops: list[str]
    is_snat: bool = True


class RouterWiring(Wiring, frozen=True, kw_only=True, omit_defaults=True):
    """A router on this host."""

    is_up: bool = True
    interfaces: list[InterfaceWiring] = []
    gateway: GatewayWiring | None = None
    routes: list[Route] = []
    floating: list[FloatingWiring] = []
    forwarding: list[ForwardingWiring] = []


class Item(msgspec.Struct, frozen=True, order=True):
    """One thing that a host has, or must have no more; of what is gone, the revision is 0."""

    kind: Kind
    id: str
    revision: int = 0


class Changes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be done at once: networks before groups, ports and routers, then what is gone."""

    networks: list[NetworkWiring] = []
    groups: list[GroupWiring] = []
    ports: list[PortWiring] = []
    routers: list[RouterWiring] = []
    gone: list[Item] = []


class Trouble(msgspec.Struct, frozen=True):
    """What could not be applied, and why; the rest was."""

    item: Item
    text: str


class Applied(msgspec.Struct, frozen=True):
    """What came of the changes."""

    done: list[Item]
    troubles: list[Trouble] = []


class SwitchDescription(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a host's switch can do."""

    driver: str
    segments: list[str]  # the kinds of networks
    tunnel_address: str = ""
    physical_networks: list[str] = []
    is_gateway: bool = True  # whether routers and DHCP servers may be placed here


class Switch(Protocol):
    """Driver of a host's networks. Every method may be called again with the same effect."""

    def describe(self) -> SwitchDescription: ...
    def apply(self, changes: Changes) -> Applied: ...
    def inventory(self) -> list[Item]: ...


def device_of(port_id: str) -> str:
    """The name of a port's tap device, on whichever host it is."""
    return f"tap{port_id[:11]}"
