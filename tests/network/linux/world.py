"""Hosts and guests made of network namespaces, with a real switch on each host."""

import fcntl
import ipaddress
import itertools
import json
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from onestack.network.drivers.linux import LinuxOptions, LinuxSwitch, namespaces, remove_all
from onestack.network.drivers.linux.links import Links, set_sysctl
from onestack.network.switch import (
    Applied,
    Changes,
    DhcpWiring,
    GroupWiring,
    Item,
    Kind,
    Lease,
    NetworkWiring,
    PortWiring,
    RuleWiring,
    Segment,
    SubnetWiring,
    Wiring,
    device_of,
)
from tests.network.linux import probe

T = TypeVar("T")
W = TypeVar("W", bound=Wiring)
REVISIONS = itertools.count(1)
NUMBERS = itertools.count(1)
OPEN = [
    RuleWiring(direction=direction, ethertype=ethertype)
    for direction in ("ingress", "egress") for ethertype in ("IPv4", "IPv6")
]  # fmt: skip


def new_id() -> str:
    """An id that no other one in this kernel has: they become names of devices."""
    return f"{os.getpid() & 0xFFFF:04x}{next(NUMBERS):07x}-0000-4000-8000-000000000000"


def mark() -> str:
    """A mark that no other switch in this kernel has, and no cloud that is up."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    number = os.getpid() * 26 + next(NUMBERS)
    return "z" + "".join(letters[number // 26**place % 26] for place in range(3))


def revision() -> int:
    return next(REVISIONS)


class Room:
    """A network namespace of the tests' own."""

    def __init__(self, name: str) -> None:
        self.name = f"test-{os.getpid()}-{name}"
        namespaces.ensure(self.name)
        self.namespace = namespaces.named(self.name)
        self.run(lambda: _with_links(lambda links: links.alter("lo", state="up")))

    def run(self, work: Callable[[], T]) -> T:
        return self.namespace.run(work)

    def call(self, *argv: str, timeout_s: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a program in here."""
        return self.run(
            lambda: subprocess.run(
                argv, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        )

    def reaches(self, address: str, *, source: str = "") -> bool:
        """Whether an answer to a ping comes, waiting as long as a busy machine may need."""
        return self.run(lambda: probe.ping(address, source, 15.0))

    def misses(self, address: str, *, source: str = "") -> bool:
        """Whether no answer to pings comes for as long as answers usually take, and longer."""
        return not self.run(lambda: probe.ping(address, source, 0.4))

    def add_address(self, address: str, device: str = "eth0") -> None:
        self.call("ip", "address", "add", address, "dev", device)

    @contextmanager
    def listening(self, number: int) -> Iterator["Server"]:
        """A TCP server in here, which greets whoever comes, and says back what it hears."""
        server = Server(self.run(lambda: socket.create_server(("", number), backlog=8)))
        try:
            yield server
        finally:
            server.close()

    @contextmanager
    def datagrams(self, number: int) -> Iterator[socket.socket]:
        """A UDP socket in here."""
        with self.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as made:
            made.bind(("", number))
            made.settimeout(15)
            yield made

    def line(self, address: str, number: int) -> "Line":
        """A connection to a server that stays open."""
        return Line(self.run(lambda: socket.create_connection((address, number), timeout=15)))

    def connects(self, address: str, number: int, is_expected: bool) -> bool:
        """Whether what was expected of a TCP connection is what happens."""
        patience_s = 15.0 if is_expected else 0.4

        def attempt() -> bool:
            try:
                with socket.create_connection((address, number), timeout=patience_s) as made:
                    return made.recv(5) == b"hello"
            except OSError:
                return False

        return self.run(attempt) is is_expected

    @contextmanager
    def flood(self, address: str) -> Iterator["Flood"]:
        """Pings without a pause, and how many of them went unanswered."""
        flood = Flood()
        thread = threading.Thread(target=lambda: self.run(lambda: flood.run(address)))
        thread.start()
        try:
            yield flood
        finally:
            flood.is_over.set()
            thread.join()

    def send(self, frames: Mapping[str, bytes]) -> None:
        self.run(lambda: probe.send("eth0", *frames.values()))

    def hears(self, sender: "Room | Machine", frames: Mapping[str, bytes]) -> set[str]:
        """Which of the frames that somebody sends come here."""
        ear = self.run(lambda: probe.Ear("eth0"))
        sender.send(frames)
        return ear.heard(frames)

    def close(self) -> None:
        namespaces.remove(self.name)


class Machine:
    """Holds a tap device, as a virtual machine does."""

    HEADER = bytes(10)  # of no offload at all

    def __init__(self, device: str) -> None:
        self._file = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self._file, 0x400454CA, struct.pack("16sH22x", device.encode(), 0x5002))

    def send(self, frames: Mapping[str, bytes]) -> None:
        for each in frames.values():
            os.write(self._file, self.HEADER + each)

    def close(self) -> None:
        os.close(self._file)


class Server:
    """Accepts connections, on a thread for all and one for each."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._accepted: list[socket.socket] = []
        self.peers: list[str] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def say(self, text: bytes) -> None:
        """Send to everybody who came."""
        for each in self._accepted:
            each.sendall(text)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for each in (*self._accepted, self._listening):
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                made, peer = self._listening.accept()
                self.peers.append(peer[0])
                self._accepted.append(made)
                made.sendall(b"hello")
                threading.Thread(target=_echo, args=(made,), daemon=True).start()


class Line:
    """A connection that says something now and then."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        assert connection.recv(5) == b"hello"

    def is_alive(self, within_s: float = 15.0) -> bool:
        """Whether what is said comes back."""
        try:
            self._connection.settimeout(within_s)
            self._connection.sendall(b"x")
            return self._connection.recv(1) == b"x"
        except OSError:
            return False

    def is_dead(self) -> bool:
        return not self.is_alive(0.5)

    def hears(self, text: bytes, within_s: float = 15.0) -> bool:
        """Whether this is what comes next."""
        try:
            self._connection.settimeout(within_s)
            return self._connection.recv(len(text), socket.MSG_WAITALL) == text
        except OSError:
            return False

    def close(self) -> None:
        self._connection.close()


class Flood:
    """Pings one after another."""

    def __init__(self) -> None:
        self.sent = self.lost = 0
        self.is_over = threading.Event()

    def run(self, address: str) -> None:
        while not self.is_over.is_set():
            self.sent += 1
            self.lost += not probe.ping_once(address, 2.0)
            time.sleep(0.002)


class Guest(Room):
    """What a virtual machine would be: the far end of a port's device."""

    def __init__(self, name: str, port: PortWiring, host: Room) -> None:
        super().__init__(name)
        self.port = port
        try:
            self.plug(host)
        except BaseException:
            self.close()
            raise

    def plug(self, host: Room) -> None:
        """Have the port's device on the host, with its far end in here."""

        def device() -> None:
            with Links() as links:
                links.veth(self.port.device, "", "eth0", self.namespace.path)

        def end() -> None:
            set_sysctl("ipv6/conf/eth0/accept_dad", "0")
            with Links() as links:
                links.end("eth0", self.port.mac, 0)

        host.run(device)
        self.run(end)

    def addressed(self, length: int, gateway: str = "", mtu: int = 1450) -> "Guest":
        """Set its addresses by hand."""

        def arrange() -> None:
            with Links() as links:
                links.alter("eth0", mtu=mtu)
                links.addresses("eth0", [f"{each}/{length}" for each in self.port.addresses])
                links.routes({"0.0.0.0/0": (gateway, "eth0")} if gateway else {})

        self.run(arrange)
        return self

    def addressed_by_both(self) -> "Guest":
        """Set its IPv4 and IPv6 addresses by hand."""

        def arrange() -> None:
            with Links() as links:
                links.alter("eth0", mtu=1450)
                lengths = {each: 64 if ":" in each else 24 for each in self.port.addresses}
                links.addresses("eth0", [f"{each}/{lengths[each]}" for each in lengths])

        self.run(arrange)
        return self

    def obtains(self, address: str, within_s: float = 30.0) -> bool:
        """Whether a router's advertisement gives it an address."""
        self.call("ip", "link", "set", "eth0", "down")
        self.call("ip", "link", "set", "eth0", "up")
        until = time.monotonic() + within_s
        wanted = ipaddress.ip_address(address)
        while time.monotonic() < until:
            (device,) = json.loads(self.call("ip", "-j", "address", "show", "eth0").stdout)
            if any(ipaddress.ip_address(each["local"]) == wanted for each in device["addr_info"]):
                return True
            time.sleep(0.1)
        return False


class Host(Room):
    """A host with a switch on it."""

    def __init__(self, name: str, folder: Path, options: LinuxOptions) -> None:
        super().__init__(name)
        self.folder, self.options = folder, options
        self.switch = self.run(lambda: LinuxSwitch(folder, options))
        self.guests: list[Guest] = []

    def apply(self, **changes: object) -> Applied:
        applied = self.switch.apply(Changes(**changes))  # type: ignore[arg-type]
        assert not applied.troubles, applied.troubles
        return applied

    def neighbour(self) -> "Host":
        """Another switch in the same namespace."""
        made = Host.__new__(Host)
        made.name, made.namespace, made.guests = self.name, self.namespace, self.guests
        made.options = LinuxOptions(host="neighbour", mark=mark())
        made.folder = self.folder.with_name(f"{self.folder.name}-neighbour")
        made.switch = made.run(lambda: LinuxSwitch(made.folder, made.options))
        return made

    def restart(self) -> None:
        """What an agent does after it was killed: begin anew with what is in its folder."""
        self.switch.close()
        self.switch = self.run(lambda: LinuxSwitch(self.folder, self.options))
        self.switch.describe()

    def bridge_of(self, port: PortWiring) -> dict[str, Any]:
        """The bridge that a port is on, as `ip` describes it."""

        (device,) = json.loads(self.call("ip", "-j", "link", "show", port.device).stdout)
        (bridge,) = json.loads(self.call("ip", "-j", "link", "show", device["master"]).stdout)
        return dict(bridge)

    def guest(self, port: PortWiring) -> Guest:
        """Plug a guest in, as its machine would take its tap; then the port is applied."""
        guest = self.plugged(port)
        self.apply(ports=[port])
        return guest

    @contextmanager
    def machine(self, device: str) -> Iterator[Machine]:
        """A machine that holds a tap device of this host."""
        machine = self.run(lambda: Machine(device))
        try:
            yield machine
        finally:
            machine.close()

    def plugged(self, port: PortWiring) -> Guest:
        guest = Guest(f"guest{next(NUMBERS)}", port, self)
        self.guests.append(guest)
        return guest

    def close(self) -> None:
        for guest in self.guests:
            guest.close()
        self.switch.close()
        self.run(lambda: remove_all(self.folder, self.options.mark))
        super().close()


def network(name: str = "", **more: object) -> NetworkWiring:
    given: dict[str, object] = {"segment": Segment("local"), "mtu": 1450, **more}
    return NetworkWiring(id=name or new_id(), revision=revision(), **given)  # type: ignore[arg-type]


def subnet(cidr: str, **more: object) -> SubnetWiring:
    block = ipaddress.ip_network(cidr)
    given: dict[str, object] = {"gateway": str(block[1]), **more}
    return SubnetWiring(id=new_id(), cidr=cidr, version=block.version, **given)  # type: ignore[arg-type]


def port(on: NetworkWiring, *addresses: str, **more: object) -> PortWiring:
    name = new_id()
    number = next(NUMBERS)
    return PortWiring(
        id=name, revision=revision(), network_id=on.id, device=device_of(name),
        mac=f"fa:16:3e:00:{number >> 8 & 255:02x}:{number & 255:02x}", addresses=list(addresses),
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


def group(*rules: RuleWiring, members: list[str] | None = None, name: str = "") -> GroupWiring:
    return GroupWiring(
        id=name or new_id(), revision=revision(), rules=list(rules), members=members or []
    )


def changed(old: W, **more: object) -> W:
    """A wiring that is newer, and differs in this."""
    return replace(old, revision=revision(), **more)


def rule(**given: object) -> RuleWiring:
    return RuleWiring(**{"direction": "ingress", "ethertype": "IPv4", **given})  # type: ignore[arg-type]


def dhcp(*addresses: str, leases: list[Lease] | None = None) -> DhcpWiring:
    number = next(NUMBERS)
    return DhcpWiring(
        port_id=new_id(), mac=f"fa:16:3e:01:{number >> 8 & 255:02x}:{number & 255:02x}",
        addresses=list(addresses), leases=leases or [], domain="openstacklocal",
    )  # fmt: skip


def lease(of: PortWiring, **more: object) -> Lease:
    return Lease(port_id=of.id, mac=of.mac, addresses=of.addresses, **more)  # type: ignore[arg-type]


def gone(kind: Kind, name: str) -> list[Item]:
    return [Item(kind, name)]


def _echo(connection: socket.socket) -> None:
    with suppress(OSError):
        while said := connection.recv(1000):
            connection.sendall(said)


def _with_links(work: Callable[[Links], T]) -> T:
    with Links() as links:
        return work(links)
