"""The driver: a host's guests, made and changed through libvirt."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from onestack.compute.drivers.libvirt import (
    acceleration,
    consoles,
    devices,
    diagnosis,
    host,
    power,
    snapshots,
)
from onestack.compute.drivers.libvirt.acceleration import Parts
from onestack.compute.drivers.libvirt.bindings import libvirt
from onestack.compute.drivers.libvirt.carrier import Carrier
from onestack.compute.drivers.libvirt.daemon import Libvirtd, ignoring
from onestack.compute.drivers.libvirt.disks import Disks
from onestack.compute.drivers.libvirt.domain import Machine, domain_xml
from onestack.compute.drivers.libvirt.layout import Layout
from onestack.compute.drivers.libvirt.migration import Migrations
from onestack.compute.hypervisor import (
    ConsoleAddress,
    Diagnosis,
    Disk,
    Guest,
    GuestSpec,
    HostDescription,
    Nic,
)
from onestack.core import log

GUEST_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
REBOOT_PATIENCE_S, TAKE_DOWN_PATIENCE_S = 60, 10


class NoSuchGuest(Exception):
    """The guest is not on this host."""


class LibvirtOptions(msgspec.Struct, frozen=True):
    """What an agent is told of its host."""

    host: str
    mark: str  # of the cloud, on everything that is made for it
    address: str = "127.0.0.1"  # where other hosts reach this one
    probe: Parts | None = None  # the guest that KVM is tried with; without one it is not used


class LibvirtHypervisor:
    """One host's guests; the folder holds all that there is of them."""

    def __init__(self, folder: Path, options: LibvirtOptions) -> None:
        self._options = options
        self._layout = Layout(folder)
        self._layout.make()
        self._libvirtd = Libvirtd(self._layout)
        self._disks = Disks(self._layout)
        self._lock = threading.Lock()
        self._busy: dict[str, threading.RLock] = {}
        self._carrier = Carrier()
        self._migrations = Migrations(self._layout, self._carrier, options.address)
        self._warming = threading.Thread(target=self._warm_up, name="libvirt", daemon=True)

    # What the host is

    def describe(self) -> HostDescription:
        self._libvirtd.connection()  # a host without it is not there
        with self._lock:
            if self._warming.ident is None:
                self._warming.start()
        consoles.bound_logs(self._layout)
        return host.describe(self._layout.folder, self._options.address, self._machine.initiator)

    def guests(self) -> list[Guest]:
        """All that this libvirtd has: it is the agent's alone, so they are all the cloud's."""
        found = []
        for domain in self._libvirtd.connection().listAllDomains():
            with ignoring("NO_DOMAIN"):  # it is gone meanwhile
                found.append(devices.guest_of(domain))
        return found

    # The life of a guest

    def create(self, guest: GuestSpec) -> Guest:
        with self._alone(guest.id):
            self._disks.make(guest)
            return self._started(guest)

    def destroy(self, guest_id: str, keep_disks: bool = False) -> None:
        self._interrupt(guest_id)
        with self._alone(guest_id):
            domain = self._found(guest_id)
            if domain is not None:
                volumes = devices.volumes_of(domain)
                power.end(domain)
                power.forget(domain)
                self._forget_secrets(volumes)
            self._migrations.withdraw(guest_id)
            if not keep_disks:
                self._disks.remove(guest_id)
        with self._lock:
            self._busy.pop(guest_id, None)

    def start(self, guest: GuestSpec) -> Guest:
        with self._alone(guest.id):
            return self._started(guest)

    def stop(self, guest_id: str, patience_s: int) -> Guest:
        with self._alone(guest_id):
            domain = self._needed(guest_id)
            power.shut_down(domain, patience_s=patience_s)
            return devices.guest_of(domain)

    def reboot(self, guest: GuestSpec, is_hard: bool) -> Guest:
        with self._alone(guest.id):
            domain = self._found(guest.id)
            if domain is not None:
                power.shut_down(domain, patience_s=0 if is_hard else REBOOT_PATIENCE_S)
                power.discard_saved(domain)
            return self._started(guest)

    def pause(self, guest_id: str) -> Guest:
        with self._alone(guest_id):
            domain = self._needed(guest_id)
            if power.is_running(domain):
                domain.suspend()
            return devices.guest_of(domain)

    def unpause(self, guest_id: str) -> Guest:
        with self._alone(guest_id):
            domain = self._needed(guest_id)
            if power.is_paused(domain):
                domain.resume()
            return devices.guest_of(domain)

    def suspend(self, guest_id: str) -> Guest:
        with self._alone(guest_id):
            domain = self._needed(guest_id)
            if domain.isActive():
                domain.managedSave()
            return devices.guest_of(domain)

    def resume(self, guest: GuestSpec) -> Guest:
        with self._alone(guest.id):
            domain = self._needed(guest.id)
            if not domain.hasManagedSaveImage():
                return self._started(guest)
            self._put_secrets(guest.disks)
            power.begin(domain)
            return devices.guest_of(domain)

    # Its devices

    def attach_disk(self, guest_id: str, disk: Disk) -> None:
        with self._alone(guest_id):
            self._put_secrets([disk])
            devices.attach_disk(self._needed(guest_id), disk, self._machine)

    def detach_disk(self, guest_id: str, disk_id: str) -> None:
        with self._alone(guest_id):
            domain = self._found(guest_id)
            if domain is not None:
                devices.detach_disk(domain, disk_id)
            self._forget_secrets([disk_id])

    def extend_disk(self, guest_id: str, disk_id: str, size_gb: int) -> None:
        with self._alone(guest_id):
            devices.extend_disk(self._needed(guest_id), disk_id, size_gb)

    def attach_nic(self, guest_id: str, nic: Nic) -> None:
        with self._alone(guest_id):
            devices.attach_nic(self._needed(guest_id), nic)

    def detach_nic(self, guest_id: str, port_id: str) -> None:
        with self._alone(guest_id):
            domain = self._found(guest_id)
            if domain is not None:
                devices.detach_nic(domain, port_id)

    def resize_root(self, guest_id: str, size_gb: int) -> None:
        with self._alone(guest_id):
            self._disks.grow_root(_checked(guest_id), size_gb)

    # Moving to another host

    def offer(self, guest: GuestSpec, is_live: bool) -> str:
        with self._alone(guest.id):
            self._put_secrets(guest.disks)
            return self._migrations.offer(guest.id, self._machine.initiator)

    def send_disks(self, guest_id: str, address: str) -> None:
        with self._alone(guest_id):
            self._migrations.send_disks(_checked(guest_id), address)

    def migrate(self, guest: GuestSpec, address: str) -> None:
        with self._alone(guest.id):
            domain = self._found(guest.id)
            if domain is not None:
                self._migrations.migrate(domain, guest.disks, address)
            self._forget_secrets([disk.id for disk in guest.disks if disk.connection])
            self._disks.remove(guest.id)

    # What is read of it

    def snapshot(self, guest_id: str, url: str, disk_format: str) -> None:
        with self._alone(guest_id):
            snapshots.take(self._layout, self._needed(guest_id), url, disk_format)

    def console_log(self, guest_id: str) -> str:
        return consoles.end_of_log(self._layout.serial_log(_checked(guest_id)))

    def diagnose(self, guest_id: str) -> Diagnosis:
        return diagnosis.of(self._libvirtd.connection(), self._needed(guest_id))

    def console(self, guest_id: str, kind: Literal["vnc", "serial"]) -> ConsoleAddress:
        path = self._layout.guest_socket(_checked(guest_id), kind)
        if not path.exists():
            raise NoSuchGuest(f"{guest_id} has no {kind} console: it does not run")
        return consoles.address(self._carrier, path, kind, self._options.address)

    # The agent's own

    def take_down(self) -> None:
        """Shut every guest down, and leave nothing running; their disks stay."""
        self._stop_carrying()
        if self._layout.socket.exists():
            domains = self._libvirtd.connection().listAllDomains()
            power.shut_down(*domains, patience_s=TAKE_DOWN_PATIENCE_S)
        self._libvirtd.stop()

    def remove_all(self) -> None:
        """Leave nothing at all."""
        self._stop_carrying()
        if self._layout.socket.exists():
            for guest in self.guests():
                self.destroy(guest.id)
        self._libvirtd.stop()
        self._layout.remove()

    def _stop_carrying(self) -> None:
        self._migrations.close()
        self._carrier.stop()

    def _started(self, guest: GuestSpec) -> Guest:
        """Define the guest anew, and have it run; one that runs is left alone."""
        domain = self._found(guest.id)
        if domain is None or not domain.isActive():
            self._put_secrets(guest.disks)
            if domain is not None:
                power.discard_saved(domain)
            files = self._disks.find(guest)
            xml = domain_xml(guest, files, self._machine)
            domain = self._libvirtd.connection().defineXML(xml)
            power.begin(domain)
        elif power.is_paused(domain):
            domain.resume()
        return devices.guest_of(domain)

    @cached_property
    def _machine(self) -> Machine:
        remembered = self._layout.folder / "acceleration.json"
        is_kvm = acceleration.has_kvm(remembered, self._options.probe)
        name = re.sub(r"[^a-z0-9.-]", "-", self._options.host.lower())
        return Machine(self._options.mark, is_kvm, f"iqn.2026-11.cloud.onestack:{name}")

    def _warm_up(self) -> None:
        """libvirt asks QEMU what it can at the first use, which takes seconds."""
        try:
            kind = "kvm" if self._machine.is_kvm else "qemu"
            self._libvirtd.connection().getDomainCapabilities(None, "x86_64", "pc", kind)
        except Exception as error:  # what is wrong shows again, to somebody, at the first use
            log.warning("libvirt is not ready", reason=str(error))

    def _put_secrets(self, disks: list[Disk]) -> None:
        connection = self._libvirtd.connection()
        for disk in disks:
            devices.put_secret(connection, disk)

    def _forget_secrets(self, disk_ids: list[str]) -> None:
        connection = self._libvirtd.connection()
        for disk_id in disk_ids:
            devices.forget_secret(connection, disk_id)

    def _found(self, guest_id: str) -> Any:
        with suppress(libvirt.libvirtError), ignoring("NO_DOMAIN"):
            return self._libvirtd.connection().lookupByUUIDString(_checked(guest_id))
        return None

    def _needed(self, guest_id: str) -> Any:
        domain = self._found(guest_id)
        if domain is None:
            raise NoSuchGuest(f"{guest_id} is not on {self._options.host}")
        return domain

    def _interrupt(self, guest_id: str) -> None:
        """Pull the plug of a guest, so that nobody waits until it shuts down by itself."""
        domain = self._found(guest_id)
        with ignoring("NO_DOMAIN"):
            # One that is just coming in has nothing but its life, which tells of its volumes.
            if domain is not None and domain.isPersistent():
                power.end(domain)

    @contextmanager
    def _alone(self, guest_id: str) -> Iterator[None]:
        """One thing at a time is done to a guest."""
        with self._lock:
            lock = self._busy.setdefault(_checked(guest_id), threading.RLock())
        with lock:
            yield


def _checked(guest_id: str) -> str:
    """An id that can be part of a path."""
    if not GUEST_ID.fullmatch(guest_id):
        raise NoSuchGuest(f"{guest_id!r} is no id of a guest")
    return guest_id
