"""Guests that move between hosts: offered a place, sent shut down, or sent while they run.

libvirt and QEMU talk to each other through Unix sockets only; the agents carry what is said through
an offer's one encrypted port. So no host listens to others for libvirt, memory or disks.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any
from xml.etree.ElementTree import Element, fromstring

from onestack.compute.drivers.libvirt import cargo, channel
from onestack.compute.drivers.libvirt.bindings import libvirt
from onestack.compute.drivers.libvirt.carrier import Carrier
from onestack.compute.drivers.libvirt.channel import Address, Door, Streams
from onestack.compute.drivers.libvirt.domain import Machine, disk_alias, disk_element, text_of
from onestack.compute.drivers.libvirt.layout import Layout, inside_socket
from onestack.compute.hypervisor import Disk

OFFER_S = 900.0
DOWNTIME_MS = 80  # for which a guest may stand still at the end of its way, as QEMU estimates it
FILES, LIBVIRT, MEMORY, BLOCKS = "files", "libvirt", "memory", "blocks"


class Migrations:
    """Offers that this host made, and guests that it sends."""

    def __init__(self, layout: Layout, carrier: Carrier, address: str) -> None:
        self._layout, self._carrier, self._address = layout, carrier, address
        self._lock = threading.Lock()
        self._offers: dict[str, Door] = {}

    def offer(self, guest_id: str, greeting: str) -> str:
        """Make a place for a guest; the newest offer for a guest is the one that counts."""
        self.withdraw(guest_id)
        door = self._carrier.run(self._opened(guest_id, greeting))
        with self._lock:
            self._offers[guest_id] = door
        self._carrier.later(OFFER_S, door.close)
        return str(door.address)

    def withdraw(self, guest_id: str) -> None:
        with self._lock:
            door = self._offers.pop(guest_id, None)
        if door is not None:
            self._carrier.soon(door.close)

    def send_disks(self, guest_id: str, address: str) -> None:
        """Copy everything of a guest that is shut down."""
        pieces = cargo.of_stopped(self._layout, guest_id)
        self._carrier.run(_sent(Address.parse(address), pieces))

    def migrate(self, domain: Any, disks: list[Disk], address: str) -> None:
        """Send a running guest; it has stopped here when this returns."""
        guest_id, there = domain.UUIDString(), Address.parse(address)
        copied = _own_disks(domain)
        pieces = cargo.of_running(self._layout, guest_id, set(copied.values()))
        initiator = self._carrier.run(_sent(there, pieces))
        ready, done = threading.Event(), asyncio.Event()
        carrying = self._carrier.begin(self._carried(guest_id, there, ready, done))
        try:
            while not ready.wait(0.05):
                if carrying.done():
                    carrying.result()
            self._send(domain, disks, list(copied), initiator)
        finally:
            self._carrier.soon(done.set)
            with suppress(OSError):
                carrying.result()

    def close(self) -> None:
        """Take all offers back."""
        for guest_id in list(self._offers):
            self.withdraw(guest_id)

    def _send(self, domain: Any, disks: list[Disk], copied: list[str], initiator: str) -> None:
        guest_id = domain.UUIDString()
        path = self._layout.guest_socket(guest_id, LIBVIRT)
        other = libvirt.open(f"qemu+unix:///system?socket={path}")
        try:
            flags = (
                libvirt.VIR_MIGRATE_LIVE
                | libvirt.VIR_MIGRATE_PERSIST_DEST
                | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
                | libvirt.VIR_MIGRATE_AUTO_CONVERGE
            )
            secure = libvirt.VIR_DOMAIN_XML_SECURE
            persistent = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | secure)
            running = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE | secure)
            parameters: dict[str, Any] = {
                libvirt.VIR_MIGRATE_PARAM_URI: f"unix://{inside_socket(guest_id, MEMORY)}",
                libvirt.VIR_MIGRATE_PARAM_DEST_XML: _there(running, disks, initiator),
                libvirt.VIR_MIGRATE_PARAM_PERSIST_XML: _there(persistent, disks, initiator),
            }
            if copied:
                flags |= libvirt.VIR_MIGRATE_NON_SHARED_INC
                parameters[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = copied
                blocks = f"unix://{inside_socket(guest_id, BLOCKS)}"
                parameters[libvirt.VIR_MIGRATE_PARAM_DISKS_URI] = blocks
            domain.migrateSetMaxDowntime(DOWNTIME_MS)
            domain.migrate3(other, parameters, flags)
        finally:
            other.close()

    async def _opened(self, guest_id: str, greeting: str) -> Door:
        async def handle(purpose: str, streams: Streams) -> None:
            if purpose == FILES:
                await cargo.receive(self._layout, guest_id, streams)
                return
            own = {
                LIBVIRT: self._layout.socket,
                MEMORY: self._layout.guest_socket(guest_id, MEMORY),
                BLOCKS: self._layout.guest_socket(guest_id, BLOCKS),
            }
            if purpose in own:
                await channel.joined(streams, await asyncio.open_unix_connection(own[purpose]))

        return await channel.opened(self._address, greeting, handle)

    async def _carried(
        self, guest_id: str, there: Address, ready: threading.Event, done: asyncio.Event
    ) -> None:
        """Have the other host's sockets on this one, for as long as the guest is on its way."""
        async with AsyncExitStack() as stack:
            for purpose in (LIBVIRT, MEMORY, BLOCKS):
                path = str(self._layout.guest_socket(guest_id, purpose))
                await stack.enter_async_context(_forwarded(path, there, purpose))
            ready.set()
            await done.wait()


async def _sent(there: Address, pieces: list[cargo.Piece]) -> str:
    """Send files; the other side's greeting."""
    streams, greeting = await channel.entered(there, FILES)
    try:
        await cargo.send(pieces, streams)
    finally:
        streams[1].close()
    return greeting


@asynccontextmanager
async def _forwarded(path: str, there: Address, purpose: str) -> AsyncIterator[None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            streams, _ = await channel.entered(there, purpose)
        except (OSError, channel.Refused):
            writer.close()
            return
        await channel.joined((reader, writer), streams)

    with suppress(FileNotFoundError):
        os.unlink(path)
    server = await asyncio.start_unix_server(answer, path, limit=channel.PIECE_BYTES)
    try:
        yield
    finally:
        server.close()
        with suppress(FileNotFoundError):
            os.unlink(path)


def _own_disks(domain: Any) -> dict[str, str]:
    """The disks that QEMU must copy, by their devices: files that the guest writes to."""
    described = fromstring(domain.XMLDesc())  # noqa: S314 - libvirt wrote it
    found = {}
    for disk in described.iterfind("./devices/disk[@type='file']"):
        target, source = disk.find("target"), disk.find("source")
        if disk.find("readonly") is None and target is not None and source is not None:
            found[target.get("dev", "")] = source.get("file", "").rpartition("/")[2]
    return found


def _there(xml: str, disks: Iterable[Disk], initiator: str) -> str:
    """The guest as it is on the other host, which reaches volumes by connections of its own."""
    described = fromstring(xml)  # noqa: S314 - libvirt wrote it
    machine = Machine("", is_kvm=False, initiator=initiator)
    connected = {disk_alias(each.id): each for each in disks if each.connection is not None}
    for element in described.iterfind("./devices/disk[@type='network']"):
        alias, source = element.find("alias"), element.find("source")
        disk = connected.get(alias.get("name", "") if alias is not None else "")
        if disk is not None and source is not None:
            _replace(element, source, disk_element("", disk, None, machine))
    return text_of(described)


def _replace(element: Element, source: Element, wanted: Element) -> None:
    new = wanted.find("source")
    assert new is not None
    element.insert(list(element).index(source), new)
    element.remove(source)
