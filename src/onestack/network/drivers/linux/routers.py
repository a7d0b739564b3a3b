"""Routers: a namespace each, with a leg on every network that it joins."""

import contextlib
import ipaddress
import shutil
import socket
import struct
from pathlib import Path

from onestack.core import log
from onestack.network.drivers.linux import advertise, connections, namespaces, nat, nft
from onestack.network.drivers.linux.links import Links, set_sysctl
from onestack.network.drivers.linux.names import Names, inner
from onestack.network.drivers.linux.programs import Program
from onestack.network.drivers.linux.store import write
from onestack.network.switch import InterfaceWiring, RouterWiring

ARP_TYPE, REQUEST = 0x0806, 1


class Routers:
    """The routers of this host; what their programs read is in `folder`."""

    def __init__(self, folder: Path, names: Names) -> None:
        self._folder, self._names = folder, names

    def ensure(
        self, links: Links, router: RouterWiring, before: RouterWiring | None,
        bridges: dict[str, tuple[str, int]],
    ) -> None:  # fmt: skip
        """Have a router as it must be; `bridges` gives the bridge and the MTU of each network."""
        name = self._names.router_namespace(router.id)
        if namespaces.ensure(name):  # what there may be leads to one that nobody finds any more
            links.remove(*(self._names.router_leg(leg.port_id) for _, leg in _legs(router)))
            Program(self._folder / router.id, "dnsmasq").stop()
        inside = namespaces.named(name)
        mtus: dict[str, int] = {}
        for kind, leg in _legs(router):
            device, outer = inner(kind, leg.port_id), self._names.router_leg(leg.port_id)
            bridge, mtu = bridges[leg.network_id]
            links.veth(outer, self._names.alias, device, inside.path)
            links.join(outer, bridge, mtu)
            mtus[device] = mtu
        if before is not None:
            kept = {leg.port_id for _, leg in _legs(router)}
            lost = [leg.port_id for _, leg in _legs(before) if leg.port_id not in kept]
            links.remove(*(self._names.router_leg(each) for each in lost))
        old = _translations(before) if before is not None else set()
        stale = {address for address, _ in old - _translations(router)}
        inside.run(lambda: self._arrange(router, mtus, stale))
        self._advertise(router, mtus)

    def remove(self, links: Links, router_id: str, router: RouterWiring | None) -> None:
        folder = self._folder / router_id
        if folder.exists():
            Program(folder, "dnsmasq").stop()
            shutil.rmtree(folder)
        legs = _legs(router) if router is not None else []
        links.remove(*(self._names.router_leg(leg.port_id) for _, leg in legs))
        namespaces.remove(self._names.router_namespace(router_id))

    def _arrange(self, router: RouterWiring, mtus: dict[str, int], stale: set[str]) -> None:
        """What is done within the namespace."""
        nft.load(nat.rules(router))
        with Links() as links:
            links.alter("lo", state="up")
            set_sysctl("ipv4/conf/all/arp_ignore", "1")
            set_sysctl("ipv4/conf/all/arp_announce", "2")
            for kind, leg in _legs(router):
                device = inner(kind, leg.port_id)
                set_sysctl(f"ipv6/conf/{device}/accept_dad", "0")
                set_sysctl(f"ipv6/conf/{device}/accept_ra", "0")
                links.end(device, leg.mac, mtus[device])
                wanted = list(leg.addresses)
                if kind == "qg":
                    wanted += sorted(f"{each}/32" for each in _floating(router))
                for fresh in sorted(links.addresses(device, wanted)):
                    _announce(device, leg.mac, fresh)
            links.routes(_routes(router))
        for version in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            set_sysctl(version, "1" if router.is_up else "0")
        if stale:
            connections.forget_translations(sorted(stale))

    def _advertise(self, router: RouterWiring, mtus: dict[str, int]) -> None:
        """Tell the guests of IPv6 networks where their router is."""
        folder = self._folder / router.id
        program = Program(folder, "dnsmasq")
        text = advertise.configuration(router, mtus, folder)
        if not text or not router.is_up:
            program.stop()
            return
        if write(folder / "configuration", text.encode()) or not program.is_running():
            argv = ["dnsmasq", "--keep-in-foreground", "--user=root", "--log-facility=-",
                    f"--conf-file={folder / 'configuration'}"]  # fmt: skip
            program.start(argv, namespaces.named(self._names.router_namespace(router.id)))


def _legs(router: RouterWiring) -> list[tuple[str, InterfaceWiring]]:
    outer = [("qg", router.gateway.interface)] if router.gateway else []
    return [*(("qr", each) for each in router.interfaces), *outer]


def _floating(router: RouterWiring) -> set[str]:
    return {each.address for each in router.floating} | {each.address for each in router.forwarding}


def _translations(router: RouterWiring) -> set[tuple[str, str]]:
    """Which outside address stands for what inside."""
    found = {(each.address, each.fixed) for each in router.floating}
    found |= {(each.address, each.id) for each in router.forwarding}
    address = nat.external_address(router.gateway) if router.gateway else None
    return found | ({(address, "")} if address else set())


def _routes(router: RouterWiring) -> dict[str, tuple[str, str]]:
    """Where to go for what is not connected: by destination, via which neighbour by which leg."""
    legs = [
        (ipaddress.ip_interface(text).network, inner(kind, leg.port_id))
        for kind, leg in _legs(router) for text in leg.addresses
    ]  # fmt: skip
    wanted = [(each.destination, each.nexthop) for each in router.routes]
    if router.gateway:
        wanted += [
            ("0.0.0.0/0" if "." in nexthop else "::/0", nexthop)
            for nexthop in router.gateway.nexthops
        ]
    found: dict[str, tuple[str, str]] = {}
    outside = inner("qg", router.gateway.interface.port_id) if router.gateway else None
    for destination, nexthop in wanted:
        near = ipaddress.ip_address(nexthop)
        device = next((name for network, name in legs if near in network), outside)
        if device is not None:
            found.setdefault(
                str(ipaddress.ip_network(destination, strict=False)), (nexthop, device)
            )
    return found


def _announce(device: str, mac: str, address: str) -> None:
    """Tell neighbours who has an IPv4 address now: they may remember another."""
    ip = ipaddress.ip_interface(address).ip
    if ip.version != 4:
        return
    own = bytes.fromhex(mac.replace(":", ""))
    everyone = b"\xff" * 6
    frame = everyone + own + struct.pack("!HHHBBH", ARP_TYPE, 1, 0x0800, 6, 4, REQUEST)
    frame += own + ip.packed + b"\0" * 6 + ip.packed
    try:
        with contextlib.closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) as raw:
            raw.bind((device, 0))
            raw.send(frame)
    except OSError as error:  # the neighbours ask by themselves, only later
        log.info("an address could not be announced", device=device, reason=str(error))
