"""Devices, addresses and routes of a namespace: made, and changed where they differ."""

import contextlib
import errno
import fcntl
import ipaddress
import os
import socket
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

TUNSETIFF, TUNSETPERSIST = 0x400454CA, 0x400454CB
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
GONE = (errno.ENODEV, errno.ENOENT, errno.EADDRNOTAVAIL, errno.ESRCH)
SYSTEM = Path("/proc/sys/net")
DOOMED = 0x6F6E6531  # the group of devices that are removed together
STATIC = 4  # the protocol of routes that are ours
PROBE = (1 << 24) - 1  # the number of a tunnel that nobody has
GLOBAL, LINK = 0, 253  # scopes of addresses


class NoSuchDevice(Exception):
    """A device that must be there is not."""


class Links:
    """A netlink socket in the namespace of the calling thread."""

    def __init__(self) -> None:
        self._netlink = IPRoute()
        self._seen: dict[str, Any] | None = None  # by name; None until it pays to ask for all

    def __enter__(self) -> "Links":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._netlink.close()

    def look_around(self) -> None:
        """Ask for all devices at once, for who is about to ask for many."""
        self._seen = {each.get("IFLA_IFNAME"): each for each in self._netlink.get_links()}

    def find(self, name: str) -> Any | None:
        if self._seen is not None and name in self._seen:
            return self._seen[name]
        try:
            return next(iter(self._netlink.link("get", ifname=name)), None)
        except NetlinkError as error:
            if error.code in GONE:
                return None
            raise

    def index(self, name: str) -> int:
        try:
            return socket.if_nametoindex(name)
        except OSError:
            raise NoSuchDevice(f"there is no device {name}") from None

    def named(self, alias: str) -> list[str]:
        """The devices that carry an alias."""
        links = self._netlink.get_links()
        return [each.get("ifname") for each in links if each.get("IFLA_IFALIAS") == alias]

    def remove(self, *names: str) -> None:
        """Remove devices, if they are there; many at once take no longer than one."""
        there = []
        for name in names:
            with contextlib.suppress(NoSuchDevice):
                there.append(self.index(name))
            self._forget(name)
        if len(there) == 1:
            with _unless_gone():
                self._netlink.link("del", index=there[0])
        elif there:
            for index in there:
                with _unless_gone():
                    self._netlink.link("set", index=index, IFLA_GROUP=DOOMED)
            with _unless_gone():
                self._netlink.link("del", IFLA_GROUP=DOOMED)

    def bridge(self, name: str, alias: str) -> None:
        """A bridge whose packets pass by the rules for IP, and that has no address of its own."""
        filters = {"br_nf_call_iptables": 1, "br_nf_call_ip6tables": 1}
        found = self.find(name)
        if found is None:
            self._netlink.link("add", ifname=name, kind="bridge", **filters)
            self.alter(name, IFLA_IFALIAS=alias)
            set_sysctl(f"ipv6/conf/{name}/disable_ipv6", "1")
            set_sysctl(f"ipv4/conf/{name}/arp_ignore", "8")
        elif found.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA", "IFLA_BR_NF_CALL_IPTABLES") != 1:
            self._netlink.link("set", index=found["index"], kind="bridge", **filters)
        if found is None or not found["flags"] & 1:
            self.alter(name, state="up")

    def tap(self, name: str, alias: str, bridge: str, mtu: int) -> None:
        """A device that a guest's machine takes hold of, and that stays when it lets go."""
        wanted = {"IFLA_IFALIAS": alias, "IFLA_MASTER": self.index(bridge), "IFLA_MTU": mtu}
        found = self.find(name)
        if found is None:
            _make_tap(name)
            set_sysctl(f"ipv6/conf/{name}/disable_ipv6", "1")
            change: dict[str, Any] = {**wanted, "state": "up"}
        else:  # whoever made it: from now on it is ours to remove
            change = {key: value for key, value in wanted.items() if found.get(key) != value}
            if not found["flags"] & 1:
                change["state"] = "up"
        if change:
            self.alter(name, **change)

    def veth(self, name: str, alias: str, peer: str, namespace: Path | None = None) -> None:
        """A pair of devices: one here, and its peer here or in another namespace."""
        found = self.find(name)
        if found is not None:
            return
        other: dict[str, Any] = {"ifname": peer}
        file = None
        if namespace is not None:
            file = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
            other["net_ns_fd"] = file
        try:
            self._netlink.link("add", ifname=name, kind="veth", peer=other)
        finally:
            if file is not None:
                os.close(file)
        set_sysctl(f"ipv6/conf/{name}/disable_ipv6", "1")
        self.alter(name, IFLA_IFALIAS=alias)

    def tunnel(self, name: str, alias: str, number: int, local: str, port: int) -> None:
        """A device that carries frames to other hosts, wrapped in UDP."""
        found = self.find(name)
        if found is not None:
            data = found.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA")
            if data.get_attr("IFLA_VXLAN_ID") == number and local in (
                data.get_attr("IFLA_VXLAN_LOCAL"), data.get_attr("IFLA_VXLAN_LOCAL6")
            ):  # fmt: skip
                return
            self.remove(name)
        where = "vxlan_local" if ipaddress.ip_address(local).version == 4 else "vxlan_local6"
        self._netlink.link(
            "add", ifname=name, kind="vxlan", vxlan_id=number, vxlan_port=port, vxlan_learning=True,
            **{where: local},
        )  # fmt: skip
        set_sysctl(f"ipv6/conf/{name}/disable_ipv6", "1")
        self.alter(name, IFLA_IFALIAS=alias)

    def can_tunnel(self, name: str) -> bool:
        """Whether the kernel has tunnels; tried with a name that is free."""
        try:
            self._netlink.link("add", ifname=name, kind="vxlan", vxlan_id=PROBE, vxlan_port=0)
        except NetlinkError as error:
            return bool(error.code != errno.EOPNOTSUPP)
        self.remove(name)
        return True

    def peers(self, name: str, wanted: Iterable[str]) -> None:
        """Where a tunnel sends what it does not know the way of: to each of these hosts."""
        index = self.index(name)
        entries = self._netlink.fdb("dump", ifindex=index)
        everyone = "00:00:00:00:00:00"
        known = {
            each.get("NDA_DST") for each in entries
            if each["ifindex"] == index and each.get("NDA_LLADDR") == everyone
        } - {None}  # fmt: skip
        wanted = set(wanted)
        for peer in wanted - known:
            self._netlink.fdb("append", ifindex=index, lladdr=everyone, dst=peer)
        for peer in known - wanted:
            with _unless_gone():
                self._netlink.fdb("del", ifindex=index, lladdr=everyone, dst=peer)

    def join(self, name: str, bridge: str, mtu: int = 0) -> None:
        """Put a device on a bridge, and up."""
        found, master = self.find(name), self.index(bridge)
        if found is None:
            raise NoSuchDevice(f"there is no device {name}")
        change: dict[str, Any] = {}
        if found.get("IFLA_MASTER") != master:
            change["master"] = master
        if mtu and found.get("IFLA_MTU") != mtu:
            change["mtu"] = mtu
        if not found["flags"] & 1:
            change["state"] = "up"
        if change:
            self._netlink.link("set", index=found["index"], **change)

    def part(self, name: str) -> None:
        """Take a device off its bridge, if it is there."""
        if self.find(name) is not None:
            self.alter(name, master=0)

    def alter(self, name: str, **change: Any) -> None:
        self._forget(name)
        self._netlink.link("set", index=self.index(name), **change)

    def end(self, name: str, mac: str, mtu: int) -> None:
        """The end of a pair that is in this namespace: its MAC, its MTU, and that it is up."""
        found = self.find(name)
        if found is None:
            raise NoSuchDevice(f"there is no device {name}")
        if found.get("IFLA_ADDRESS") != mac.lower():
            self._netlink.link("set", index=found["index"], state="down")
            self._netlink.link("set", index=found["index"], address=mac)
            found["flags"] = 0
        if mtu and found.get("IFLA_MTU") != mtu:
            self._netlink.link("set", index=found["index"], mtu=mtu)
        if not found["flags"] & 1:
            self._netlink.link("set", index=found["index"], state="up")

    def addresses(self, name: str, wanted: Iterable[str]) -> set[str]:
        """Give a device exactly these addresses, with their prefix lengths; those that are new."""
        index = self.index(name)
        chosen = {str(ipaddress.ip_interface(each)) for each in wanted}
        known = {
            f"{each.get('IFA_ADDRESS')}/{each['prefixlen']}"
            for each in self._netlink.get_addr(index=index)
            if each["scope"] == GLOBAL
        }
        for each in known - chosen:
            address, _, length = each.partition("/")
            with _unless_gone():
                self._netlink.addr("del", index=index, address=address, prefixlen=int(length))
        for each in sorted(chosen - known, key=lambda one: int(one.partition("/")[2])):
            address, _, length = each.partition("/")
            self._netlink.addr("add", index=index, address=address, prefixlen=int(length))
        return chosen - known

    def link_local(self, name: str, address: str) -> None:
        """Give a device one more IPv6 address that is valid on its own link only."""
        index = self.index(name)
        known = (each.get("IFA_ADDRESS") for each in self._netlink.get_addr(index=index, family=10))
        if address not in known:
            self._netlink.addr("add", index=index, address=address, prefixlen=64, scope=LINK)

    def routes(self, wanted: Mapping[str, tuple[str, str]]) -> None:
        """Have exactly these routes besides the connected ones: by destination, via what on what
        device."""
        known = {}
        for route in self._routes():
            destination = route.get("RTA_DST")
            anywhere = "0.0.0.0/0" if route["family"] == 2 else "::/0"
            text = f"{destination}/{route['dst_len']}" if destination else anywhere
            known[text] = (route.get("RTA_GATEWAY"), route.get("RTA_OIF"))
        fitting = {text: (via, self.index(device)) for text, (via, device) in wanted.items()}
        for text, (via, index) in fitting.items():
            if known.get(text) != (via, index):
                self._netlink.route("replace", dst=text, gateway=via, oif=index, proto=STATIC)
        for text in known.keys() - fitting.keys():
            via, index = known[text]
            with _unless_gone():
                self._netlink.route("del", dst=text, gateway=via, oif=index, proto=STATIC)

    def _forget(self, name: str) -> None:
        if self._seen is not None:
            self._seen.pop(name, None)

    def _routes(self) -> list[Any]:
        return [
            route for family in (2, 10) for route in self._netlink.get_routes(family=family)
            if route["proto"] == STATIC and route["table"] == 254
        ]  # fmt: skip


def _make_tap(name: str) -> None:
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
        fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        fcntl.ioctl(file, TUNSETPERSIST, 1)
    finally:
        os.close(file)


def set_sysctl(name: str, value: str) -> None:
    """Set what the kernel keeps for this namespace; a kernel without IPv6 has nothing to set."""
    path = SYSTEM / name
    if name.startswith("ipv6/") and not path.exists():
        return
    if path.read_text().strip() != value:
        path.write_text(value)


def read_sysctl(name: str) -> str:
    return (SYSTEM / name).read_text().strip()


@contextlib.contextmanager
def _unless_gone() -> Any:
    try:
        yield
    except NetlinkError as error:
        if error.code not in GONE:
            raise
