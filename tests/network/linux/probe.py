"""Packets that guests send: pings, and frames of any content."""

import contextlib
import ipaddress
import os
import select
import socket
import struct
import time
from collections.abc import Mapping

ECHO = {4: (8, 0), 6: (128, 129)}
EVERYONE = "ff:ff:ff:ff:ff:ff"
EVERY_S = 0.1


def ping(address: str, source: str, within_s: float) -> bool:
    """Send pings until one is answered or the time is over."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if ping_once(address, EVERY_S, source):
            return True
    return False


def ping_once(address: str, within_s: float, source: str = "") -> bool:
    """Send one ping, and wait for its answer."""
    version = ipaddress.ip_address(address.partition("%")[0]).version
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
    request, reply = ECHO[version]
    name = os.urandom(2)
    body = struct.pack("!BBH", request, 0, 0) + name + bytes(18)
    with contextlib.closing(socket.socket(family, socket.SOCK_RAW, protocol)) as raw:
        if source:
            raw.bind((source, 0))
        with contextlib.suppress(OSError):  # no neighbour and no route is no answer either
            raw.sendto(_checked(body), (address, 0))
        until = time.monotonic() + within_s
        while (left := until - time.monotonic()) > 0:
            if not select.select([raw], [], [], left)[0]:
                return False
            packet = raw.recv(2000)
            if version == 4:
                packet = packet[(packet[0] & 15) * 4 :]
            if packet[0] == reply and packet[4:6] == name:
                return True
    return False


def frame(source: str, target: str, kind: int, body: bytes) -> bytes:
    return mac(target) + mac(source) + struct.pack("!H", kind) + body


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def arp(sender: tuple[str, str], target: str, operation: int = 1) -> bytes:
    """Who has an address, said by somebody of a MAC and an address."""
    said = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return (
        said
        + mac(sender[0])
        + ipaddress.ip_address(sender[1]).packed
        + bytes(6)
        + (ipaddress.ip_address(target).packed)
    )


def udp4(source: tuple[str, int], target: tuple[str, int], content: bytes = b"x") -> bytes:
    body = struct.pack("!HHHH", source[1], target[1], 8 + len(content), 0) + content
    addresses = ipaddress.ip_address(source[0]).packed + ipaddress.ip_address(target[0]).packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, 17, 0) + addresses
    total = checksum(head)
    return head[:10] + struct.pack("!H", total) + head[12:] + body


def ip6(source: str, target: str, protocol: int, body: bytes) -> bytes:
    """An IPv6 packet; the checksum of what is in it is set where it is ICMP or UDP."""
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed
    at = {58: 2, 17: 6}[protocol]
    pseudo = addresses + struct.pack("!IxxxB", len(body), protocol)
    body = body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2 :]
    return struct.pack("!IHBB", 6 << 28, len(body), protocol, 255) + addresses + body


def advertisement(target: str) -> bytes:
    """Somebody has this IPv6 address."""
    return struct.pack("!BBHI", 136, 0, 0, 0x60000000) + ipaddress.ip_address(target).packed


def udp_header(source: int, target: int) -> bytes:
    return struct.pack("!HHHH", source, target, 8, 0)


def router_advertisement() -> bytes:
    return struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)


def local_address(mac_text: str) -> str:
    """The IPv6 address that a device with this MAC has on its own link."""
    octets = mac(mac_text)
    name = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + name))


def send(device: str, *frames: bytes) -> None:
    with contextlib.closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) as raw:
        raw.bind((device, 0))
        for each in frames:
            raw.send(each)


class Ear:
    """Hears every frame that comes to a device from now on."""

    def __init__(self, device: str) -> None:
        self._raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._raw.bind((device, 0))

    def heard(self, frames: Mapping[str, bytes], within_s: float = 0.6) -> set[str]:
        """Which of these frames come."""
        found: set[str] = set()
        until = time.monotonic() + within_s
        with contextlib.closing(self._raw):
            while (left := until - time.monotonic()) > 0 and len(found) < len(frames):
                if select.select([self._raw], [], [], left)[0]:
                    frame = self._raw.recv(4000)
                    found |= {name for name, each in frames.items() if _is_same(frame, each)}
        return found


def _is_same(heard: bytes, sent: bytes) -> bool:
    # The kernel takes the tag off a frame before it shows it.
    return any(heard[: len(each)] == each for each in (sent, sent[:12] + sent[16:]))


def checksum(data: bytes) -> int:
    padded = data + bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _checked(message: bytes) -> bytes:
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def solicit(device: str, mac_text: str, within_s: float = 20.0) -> str:
    """The address that a DHCPv6 server offers; nothing when none does."""
    duid = struct.pack("!HH", 3, 1) + mac(mac_text)
    wanted = _option(1, duid) + _option(3, b"\0\0\0\1" + bytes(8)) + _option(8, b"\0\0")
    question = b"\1" + os.urandom(3) + wanted
    number = socket.if_nametoindex(device)
    with contextlib.closing(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as asking:
        until = time.monotonic() + within_s
        while time.monotonic() < until:  # the device gives itself its address when it has a peer
            with contextlib.suppress(OSError):
                asking.bind((local_address(mac_text), 546, 0, number))
                break
            time.sleep(0.02)
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                asking.sendto(question, ("ff02::1:2", 547, 0, number))
            if select.select([asking], [], [], 0.5)[0]:
                answer = asking.recv(2000)
                at = answer.find(struct.pack("!HH", 5, 24))  # an address within what is offered
                if at >= 0:
                    return str(ipaddress.IPv6Address(answer[at + 4 : at + 20]))
    return ""


def _option(code: int, content: bytes) -> bytes:
    return struct.pack("!HH", code, len(content)) + content
