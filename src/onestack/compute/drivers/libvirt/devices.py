"""A guest's disks and network cards, plugged and unplugged while it runs."""

from typing import Any
from xml.etree.ElementTree import Element, fromstring

from onestack.compute.drivers.libvirt.bindings import libvirt
from onestack.compute.drivers.libvirt.daemon import ignoring
from onestack.compute.drivers.libvirt.domain import (
    DISK_PREFIX,
    NIC_PREFIX,
    Machine,
    disk_alias,
    disk_element,
    nic_alias,
    nic_element,
    secret_uuid,
    secret_xml,
    text_of,
)
from onestack.compute.drivers.libvirt.power import power_of
from onestack.compute.hypervisor import Disk, Guest, Nic
from onestack.core import clock

RELEASE_S = 60.0
LOOK_S = 0.05
# A guest that was busy, or still booting, may have missed that it should let go.
ASK_AGAIN_S = 6.0


class NotReleased(Exception):
    """The guest holds on to a device."""


def guest_of(domain: Any) -> Guest:
    """What the control plane is told of a guest."""
    names = list(_plugged(domain))
    disks = [name.removeprefix(DISK_PREFIX) for name in names if name.startswith(DISK_PREFIX)]
    nics = [name.removeprefix(NIC_PREFIX) for name in names if name.startswith(NIC_PREFIX)]
    return Guest(domain.UUIDString(), power_of(domain), disks, nics)


def volumes_of(domain: Any) -> list[str]:
    """The ids of a guest's disks that are volumes."""
    return [
        name.removeprefix(DISK_PREFIX)
        for name, element in _plugged(domain).items()
        if element.get("type") == "network"
    ]


def attach_disk(domain: Any, disk: Disk, machine: Machine) -> None:
    element = disk_element(domain.UUIDString(), disk, None, machine)
    _attach(domain, disk_alias(disk.id), element)


def attach_nic(domain: Any, nic: Nic) -> None:
    _attach(domain, nic_alias(nic.port_id), nic_element(nic))


def detach_disk(domain: Any, disk_id: str) -> None:
    _detach(domain, disk_alias(disk_id))


def extend_disk(domain: Any, disk_id: str, size_gb: int) -> None:
    """Have QEMU look again how large a disk is; a guest that does not run sees it by itself."""
    target = None
    if domain.isActive():
        element = _plugged(domain, libvirt.VIR_DOMAIN_AFFECT_LIVE).get(disk_alias(disk_id))
        target = element.find("target") if element is not None else None
    if target is not None:
        domain.blockResize(target.get("dev"), size_gb << 30, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)


def detach_nic(domain: Any, port_id: str) -> None:
    _detach(domain, nic_alias(port_id))


def put_secret(connection: Any, disk: Disk) -> None:
    """Let libvirt know a volume's password."""
    data = (disk.connection or {}).get("data", {})
    if data.get("auth_password"):
        secret = connection.secretDefineXML(secret_xml(disk.id))
        secret.setValue(str(data["auth_password"]).encode())


def forget_secret(connection: Any, disk_id: str) -> None:
    with ignoring("NO_SECRET"):
        connection.secretLookupByUUIDString(secret_uuid(disk_id)).undefine()


def _attach(domain: Any, alias: str, element: Element) -> None:
    """Plug it into the guest as it runs, and as it will be started."""
    for flag in _scopes(domain):
        if alias not in _plugged(domain, flag):
            domain.attachDeviceFlags(text_of(element), flag)


def _detach(domain: Any, alias: str) -> None:
    """Unplug it, and wait until the guest has let go: only then may others have it."""
    live, config = libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG
    until = clock.monotonic() + RELEASE_S
    ask_at = clock.monotonic()
    while domain.isActive() and alias in _plugged(domain, live):
        now = clock.monotonic()
        if now > until:
            raise NotReleased(f"the guest did not release {alias} within {RELEASE_S:.0f} s")
        if now >= ask_at:
            # It may be gone at this moment, or asked already.
            with ignoring("DEVICE_MISSING", "OPERATION_FAILED", "OPERATION_INVALID"):
                domain.detachDeviceAlias(alias, live)
            ask_at = now + ASK_AGAIN_S
        clock.sleep(LOOK_S)
    element = _plugged(domain, config).get(alias)
    if element is not None:
        domain.detachDeviceAlias(alias, config)


def _scopes(domain: Any) -> list[int]:
    config: int = libvirt.VIR_DOMAIN_AFFECT_CONFIG
    return [libvirt.VIR_DOMAIN_AFFECT_LIVE, config] if domain.isActive() else [config]


def _plugged(domain: Any, scope: int = 0) -> dict[str, Element]:
    """The guest's devices that are ours, by their names."""
    is_config = scope == libvirt.VIR_DOMAIN_AFFECT_CONFIG
    xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE if is_config else 0)
    found = {}
    for element in fromstring(xml).iterfind("./devices/*"):  # noqa: S314 - libvirt wrote it
        alias = element.find("alias")
        name = alias.get("name", "") if alias is not None else ""
        if name.startswith((DISK_PREFIX, NIC_PREFIX)):
            found[name] = element
    return found
