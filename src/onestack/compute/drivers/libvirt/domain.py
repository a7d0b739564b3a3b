"""What libvirt is told of a guest: its description in XML, written by a writer that escapes."""

import re
import uuid
from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

import msgspec

from onestack.compute.drivers.libvirt.layout import inside, inside_socket
from onestack.compute.hypervisor import Disk, GuestSpec, Nic

NAMESPACE = "urn:onestack:guest:1"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}")
DEVICE = re.compile(r"(vd|sd|hd|xvd)[a-z]{1,2}")
TAP = re.compile(r"[A-Za-z0-9_.-]{1,15}")
MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", re.IGNORECASE)
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
MACHINES = ("pc", "q35")
MACHINE = re.compile(r"pc|q35|pc-(i440fx|q35)-\d+\.\d+")
BUSES = ("virtio", "scsi", "ide", "sata", "usb")
CARDS = ("virtio", "e1000", "e1000e", "rtl8139", "ne2k_pci", "pcnet")
VIDEOS = ("vga", "cirrus", "virtio", "none")
# Sockets of PCI Express hold one device each, and those that a guest may get later must be there.
FREE_SOCKETS = 12
DISK_PREFIX, NIC_PREFIX = "ua-disk-", "ua-nic-"  # libvirt lets users name devices so
_SECRETS = uuid.UUID("a3b0e7f2-7f0e-4a4e-9a52-6c0a6c7e3f11")

register_namespace("onestack", NAMESPACE)


class NotDescribable(ValueError):
    """Something about a guest is not what it can be."""


class LocalFile(msgspec.Struct, frozen=True):
    """A disk's file in its guest's folder."""

    name: str
    format: str  # qcow2 or raw
    base: str | None = None
    base_format: str | None = None


class Machine(msgspec.Struct, frozen=True):
    """What is the same for all guests of a host."""

    mark: str
    is_kvm: bool
    initiator: str


def domain_xml(guest: GuestSpec, files: Mapping[str, LocalFile], machine: Machine) -> str:
    """A whole guest."""
    domain = Element("domain", type="kvm" if machine.is_kvm else "qemu")
    _text(domain, "name", _checked(NAME, guest.name, "name"))
    _text(domain, "uuid", str(uuid.UUID(guest.id)))
    _metadata(domain, guest, machine.mark)
    _text(domain, "memory", str(guest.memory_mb), unit="MiB")
    _text(domain, "vcpu", str(guest.vcpus), placement="static")
    kind = guest.machine or "pc"
    _boot(domain, guest, kind)
    features = SubElement(domain, "features")
    SubElement(features, "acpi")
    SubElement(features, "apic")
    _processor(domain, guest, machine)
    clock = SubElement(domain, "clock", offset="utc")
    SubElement(clock, "timer", name="hpet", present="no")
    _text(domain, "on_poweroff", "destroy")
    _text(domain, "on_reboot", "restart")
    _text(domain, "on_crash", "destroy")
    devices = SubElement(domain, "devices")
    _controllers(devices, guest, kind)
    for disk in guest.disks:
        devices.append(disk_element(guest.id, disk, files.get(disk.id), machine))
    for nic in guest.nics:
        devices.append(nic_element(nic))
    _consoles(devices, guest)
    source = SubElement(devices, "rng", model="virtio")
    _text(source, "backend", "/dev/urandom", model="random")
    SubElement(devices, "memballoon", model="none")
    return text_of(domain)


def disk_element(
    guest_id: str, disk: Disk, file: LocalFile | None, machine: Machine
) -> Element:  # fmt: skip
    """One disk: a file of the guest's folder, or a volume that QEMU itself reaches by iSCSI."""
    if disk.connection is not None:
        element = _volume(disk, machine)
    elif file is not None:
        element = _file(guest_id, file)
    else:
        raise NotDescribable(f"disk {disk.id} has neither a file nor a connection")
    device = _checked(DEVICE, disk.device, "device")
    SubElement(element, "target", dev=device, bus=_one_of(BUSES, disk.bus, "bus"))
    is_read_only = disk.is_read_only or disk.config_drive is not None
    if is_read_only and disk.bus in ("ide", "sata"):
        element.set("device", "cdrom")  # these know no other disk that cannot be written to
    if disk.serial or disk.connection is not None:
        _text(element, "serial", _checked(ID, disk.serial or disk.id, "serial"))
    if is_read_only:
        SubElement(element, "readonly")
    if disk.boot_index is not None:
        SubElement(element, "boot", order=str(disk.boot_index + 1))
    SubElement(element, "alias", name=disk_alias(disk.id))
    return element


def nic_element(nic: Nic) -> Element:
    """One network card on a tap that the host's switch made."""
    element = Element("interface", type="ethernet")
    SubElement(element, "mac", address=_checked(MAC, nic.mac, "mac"))
    SubElement(element, "target", dev=_checked(TAP, nic.device, "tap"), managed="no")
    SubElement(element, "model", type=_one_of(CARDS, nic.model, "model"))
    if nic.model == "virtio":
        SubElement(element, "driver", name="qemu")
    SubElement(element, "mtu", size=str(nic.mtu))
    SubElement(element, "rom", enabled="no")
    SubElement(element, "alias", name=nic_alias(nic.port_id))
    return element


def secret_xml(disk_id: str) -> str:
    """The place of a volume's password, which libvirt keeps in memory only."""
    secret = Element("secret", ephemeral="yes", private="yes")
    _text(secret, "uuid", secret_uuid(disk_id))
    usage = SubElement(secret, "usage", type="iscsi")
    _text(usage, "target", f"onestack/{disk_id}")
    return text_of(secret)


def secret_uuid(disk_id: str) -> str:
    return str(uuid.uuid5(_SECRETS, disk_id))


def disk_alias(disk_id: str) -> str:
    return f"{DISK_PREFIX}{_checked(ID, disk_id, 'disk')}"


def nic_alias(port_id: str) -> str:
    return f"{NIC_PREFIX}{_checked(ID, port_id, 'port')}"


def text_of(element: Element) -> str:
    return tostring(element, encoding="unicode")


def _metadata(domain: Element, guest: GuestSpec, mark: str) -> None:
    said = SubElement(SubElement(domain, "metadata"), f"{{{NAMESPACE}}}guest", mark=mark)
    for name, value in (
        ("name", guest.display_name),
        ("project", guest.project_id),
        ("user", guest.user_id),
    ):
        _text(said, f"{{{NAMESPACE}}}{name}", _printable(value))


def _boot(domain: Element, guest: GuestSpec, kind: str) -> None:
    system = SubElement(domain, "os")
    machine = _checked(MACHINE, kind, "machine")
    _text(system, "type", "hvm", arch="x86_64", machine=machine)
    if guest.kernel is not None:
        _text(system, "kernel", inside(guest.id, "kernel"))
        if guest.ramdisk is not None:
            _text(system, "initrd", inside(guest.id, "ramdisk"))
        _text(system, "cmdline", _printable(guest.command_line))


def _processor(domain: Element, guest: GuestSpec, machine: Machine) -> None:
    if machine.is_kvm:
        processor = SubElement(domain, "cpu", mode="host-model", check="none")
    else:
        processor = SubElement(domain, "cpu", mode="custom", match="exact", check="none")
        _text(processor, "model", "qemu64", fallback="forbid")
    SubElement(
        processor, "topology", sockets=str(guest.vcpus), dies="1", cores="1", threads="1"
    )  # fmt: skip


def _controllers(devices: Element, guest: GuestSpec, kind: str) -> None:
    buses = {disk.bus for disk in guest.disks}
    is_pointing = guest.properties.get("hw_pointer_model") == "usbtablet"
    if "usb" in buses or is_pointing:
        SubElement(devices, "controller", type="usb", index="0", model="qemu-xhci")
    else:
        SubElement(devices, "controller", type="usb", index="0", model="none")
    if is_pointing:
        SubElement(devices, "input", type="tablet", bus="usb")
    if "scsi" in buses:
        SubElement(devices, "controller", type="scsi", index="0", model="virtio-scsi")
    if "q35" in kind:
        SubElement(devices, "controller", type="pci", index="0", model="pcie-root")
        for _ in range(FREE_SOCKETS + len(guest.disks) + len(guest.nics)):
            SubElement(devices, "controller", type="pci", model="pcie-root-port")


def _consoles(devices: Element, guest: GuestSpec) -> None:
    """A serial console that is kept and can be talked to, and a screen; both by Unix sockets."""
    serial = SubElement(devices, "serial", type="unix")
    SubElement(serial, "source", mode="bind", path=inside_socket(guest.id, "serial"))
    SubElement(serial, "log", file=inside(guest.id, "serial.log"), append="on")
    SubElement(serial, "target", type="isa-serial", port="0")
    video = guest.properties.get("hw_video_model", "vga")
    SubElement(SubElement(devices, "video"), "model", type=_one_of(VIDEOS, video, "video"))
    if video != "none":
        SubElement(devices, "graphics", type="vnc", socket=inside_socket(guest.id, "vnc"))


def _file(guest_id: str, file: LocalFile) -> Element:
    element = Element("disk", type="file", device="disk")
    SubElement(element, "driver", name="qemu", type=file.format, cache="writeback", discard="unmap")
    SubElement(element, "source", file=inside(guest_id, file.name))
    if file.base is not None:
        # Said to its end, so that nothing is ever looked for in what a guest or a user wrote.
        backing = SubElement(element, "backingStore", type="file")
        SubElement(backing, "format", type=file.base_format or "raw")
        SubElement(backing, "source", file=inside(guest_id, file.base))
        SubElement(backing, "backingStore")
    elif file.format != "raw":
        SubElement(element, "backingStore")
    return element


def _volume(disk: Disk, machine: Machine) -> Element:
    connection = disk.connection or {}
    if connection.get("driver_volume_type") != "iscsi":
        kind = connection.get("driver_volume_type")
        raise NotDescribable(f"QEMU reaches volumes by iscsi, not by {kind!r}")
    data = connection["data"]
    host, _, port = str(data["target_portal"]).rpartition(":")
    element = Element("disk", type="network", device="disk")
    SubElement(element, "driver", name="qemu", type="raw", cache="none", discard="unmap")
    name = f"{data['target_iqn']}/{int(data['target_lun'])}"
    source = SubElement(element, "source", protocol="iscsi", name=_printable(name))
    SubElement(source, "host", name=host.strip("[]"), port=str(int(port)))
    if data.get("auth_username"):
        login = SubElement(source, "auth", username=_printable(str(data["auth_username"])))
        SubElement(login, "secret", type="iscsi", uuid=secret_uuid(disk.id))
    initiator = SubElement(source, "initiator")
    SubElement(initiator, "iqn", name=machine.initiator)
    return element


def _text(parent: Element, tag: str, text: str, **attributes: str) -> Element:
    element = SubElement(parent, tag, attributes)
    element.text = text
    return element


def _printable(text: str) -> str:
    """Without characters that XML cannot hold."""
    return "".join(each for each in text if each.isprintable())


def _checked(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise NotDescribable(f"{text!r} cannot be the {what} of a device or a guest")
    return text


def _one_of(known: tuple[str, ...], text: str, what: str) -> str:
    if text not in known:
        raise NotDescribable(f"{text!r} is no {what} that this host knows: {', '.join(known)}")
    return text
