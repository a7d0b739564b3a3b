"""A simulated hypervisor: guests are entries of a table, which run as long as the process does."""

import struct
import tempfile
import threading
from pathlib import Path
from typing import Literal
from weakref import WeakValueDictionary

import msgspec

from onestack.compute.drivers.simulated_console import Consoles
from onestack.compute.hypervisor import (
    ConsoleAddress,
    Counters,
    Diagnosis,
    Disk,
    DiskCounters,
    Guest,
    GuestSpec,
    HostDescription,
    Nic,
    NicCounters,
    Power,
)
from onestack.core import clock, download
from onestack.core.errors import Conflict, NotFound

IMAGE_BYTES = 4096
UUID_LENGTH = 36
# An empty disk of a gigabyte: magic, version, no backing file, clusters of 64 KB, its size, no
# encryption, and where its tables would be.
QCOW2 = struct.pack(
    ">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, 1 << 30, 0, 2, 3 << 16, 1 << 16, 1, 0, 0
)


class NoSuchHost(NotFound):
    message = "Nobody is at {address}: simulated guests move within one process."


class NoSuchGuest(NotFound):
    message = "There is no guest {guest_id} on this host."


class NotConnected(Conflict):
    message = "Volume {volume_id} is not connected to this host."


class HostFailed(Conflict):
    message = "This host takes no guests: it is told to fail."


_HOSTS: "WeakValueDictionary[str, SimulatedHypervisor]" = WeakValueDictionary()


class SimulatedHypervisor:
    """One host's guests; one that is broken refuses new ones, and says why."""

    def __init__(self, vcpus: int = 64, memory_mb: int = 262_144, disk_gb: int = 10_000) -> None:
        self._size = (vcpus, memory_mb, disk_gb)
        self._lock = threading.Lock()
        self._guests: dict[str, Guest] = {}
        self._specs: dict[str, GuestSpec] = {}
        self._consoles = Consoles()
        self._address = f"simulated:{clock.new_id()}"
        _HOSTS[self._address] = self
        self.is_broken = False

    def describe(self) -> HostDescription:
        vcpus, memory_mb, disk_gb = self._size
        return HostDescription(
            driver="simulated", hypervisor_type="fake", hypervisor_version=1000,
            vcpus=vcpus, memory_mb=memory_mb, disk_gb=disk_gb,
        )  # fmt: skip

    def create(self, guest: GuestSpec) -> Guest:
        if self.is_broken:
            raise HostFailed
        return self.start(guest)

    def destroy(self, guest_id: str, keep_disks: bool = False) -> None:
        with self._lock:
            self._guests.pop(guest_id, None)
            self._specs.pop(guest_id, None)
        self._consoles.close(guest_id)

    def start(self, guest: GuestSpec) -> Guest:
        disks = [_checked(each).id for each in guest.disks]
        self._specs[guest.id] = guest
        return self._put(Guest(guest.id, "running", disks, [each.port_id for each in guest.nics]))

    def stop(self, guest_id: str, patience_s: int) -> Guest:
        return self._powered(guest_id, "shutdown")

    def reboot(self, guest: GuestSpec, is_hard: bool) -> Guest:
        return self.start(guest)

    def pause(self, guest_id: str) -> Guest:
        return self._powered(guest_id, "paused")

    def unpause(self, guest_id: str) -> Guest:
        return self._powered(guest_id, "running")

    def suspend(self, guest_id: str) -> Guest:
        return self._powered(guest_id, "suspended")

    def resume(self, guest: GuestSpec) -> Guest:
        return self.start(guest)

    def resize_root(self, guest_id: str, size_gb: int) -> None:
        """There is no disk."""

    def send_disks(self, guest_id: str, address: str) -> None:
        guest = self._of(guest_id)
        there = _host_at(address)
        there._specs[guest_id] = self._specs[guest_id]
        there._put(msgspec.structs.replace(guest, power="shutdown"))

    def offer(self, guest: GuestSpec, is_live: bool) -> str:
        if self.is_broken:
            raise HostFailed
        return self._address

    def migrate(self, guest: GuestSpec, address: str) -> None:
        there = _host_at(address)
        with self._lock:
            found = self._guests.get(guest.id)
        if found is not None:  # else it went when this was asked for the first time
            there.start(guest)
            there._powered(guest.id, found.power)
            self.destroy(guest.id)

    def attach_disk(self, guest_id: str, disk: Disk) -> None:
        guest = self._of(guest_id)
        disks = [each for each in guest.disks if each != _checked(disk).id]
        self._put(msgspec.structs.replace(guest, disks=[*disks, disk.id]))

    def detach_disk(self, guest_id: str, disk_id: str) -> None:
        guest = self._of(guest_id)
        kept = [each for each in guest.disks if each != disk_id]
        self._put(msgspec.structs.replace(guest, disks=kept))

    def extend_disk(self, guest_id: str, disk_id: str, size_gb: int) -> None:
        guest = self._of(guest_id)
        if disk_id not in guest.disks:
            raise HostFailed(f"guest {guest_id} has no disk {disk_id}")

    def attach_nic(self, guest_id: str, nic: Nic) -> None:
        guest = self._of(guest_id)
        nics = [each for each in guest.nics if each != nic.port_id]
        self._put(msgspec.structs.replace(guest, nics=[*nics, nic.port_id]))
        spec = self._specs[guest_id]
        self._specs[guest_id] = msgspec.structs.replace(spec, nics=[*spec.nics, nic])

    def detach_nic(self, guest_id: str, port_id: str) -> None:
        guest = self._of(guest_id)
        kept = [each for each in guest.nics if each != port_id]
        self._put(msgspec.structs.replace(guest, nics=kept))

    def snapshot(self, guest_id: str, url: str, disk_format: str) -> None:
        """Send an empty image: there is no disk."""
        self._of(guest_id)
        with tempfile.NamedTemporaryFile() as file:
            file.write((QCOW2 if disk_format == "qcow2" else b"").ljust(IMAGE_BYTES, b"\0"))
            file.flush()
            download.send(Path(file.name), url)

    def console_log(self, guest_id: str) -> str:
        lines = [f"[    0.{at:06}] simulated step {at} of its start" for at in range(1, 13)]
        return "\n".join([f"simulated guest {guest_id}", *lines, "login: ", ""])

    def diagnose(self, guest_id: str) -> Diagnosis:
        """A guest that does nothing: none of its devices has counted anything."""
        guest, nothing = self._of(guest_id), Counters()
        spec = self._specs[guest_id]
        macs = {each.port_id: each.mac for each in spec.nics}
        return Diagnosis(
            power=guest.power, memory_kb=spec.memory_mb << 10, cpu_times_ns=[0] * spec.vcpus,
            nics=[
                NicCounters(port_id, macs.get(port_id, ""), nothing, nothing)
                for port_id in guest.nics
            ],
            disks=[DiskCounters(each, nothing, nothing) for each in guest.disks],
        )  # fmt: skip

    def console(self, guest_id: str, kind: Literal["vnc", "serial"]) -> ConsoleAddress:
        return self._consoles.address(guest_id, kind)

    def guests(self) -> list[Guest]:
        with self._lock:
            return list(self._guests.values())

    def _of(self, guest_id: str) -> Guest:
        with self._lock:
            found = self._guests.get(guest_id)
        if found is None:
            raise NoSuchGuest(guest_id=guest_id)
        return found

    def _put(self, guest: Guest) -> Guest:
        with self._lock:
            self._guests[guest.id] = guest
        return guest

    def _powered(self, guest_id: str, power: Power) -> Guest:
        return self._put(msgspec.structs.replace(self._of(guest_id), power=power))


def _checked(disk: Disk) -> Disk:
    """A disk that is a host's own, or a volume that the host can reach."""
    if len(disk.id) == UUID_LENGTH and disk.connection is None:
        raise NotConnected(volume_id=disk.id)
    return disk


def _host_at(address: str) -> SimulatedHypervisor:
    found = _HOSTS.get(address)
    if found is None:
        raise NoSuchHost(address=address)
    return found
