"""The content of a guest's root disk, taken at one moment while the guest goes on."""

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, fromstring

from onestack.compute.drivers.libvirt.bindings import libvirt
from onestack.compute.drivers.libvirt.daemon import ignoring
from onestack.compute.drivers.libvirt.domain import disk_alias, text_of
from onestack.compute.drivers.libvirt.images import convert
from onestack.compute.drivers.libvirt.layout import Layout, inside
from onestack.core import clock, download

COPY_S = 3600.0
LOOK_S = 0.1
FORMATS = ("qcow2", "raw")
ROOT = "root.qcow2"


class NoSnapshot(Exception):
    """The disk's content could not be taken."""


def take(layout: Layout, domain: Any, url: str, disk_format: str) -> None:
    """Copy the disk, whole and free of what it lies over, and send it."""
    if disk_format not in FORMATS:
        raise NoSnapshot(f"snapshots are {' or '.join(FORMATS)}, not {disk_format!r}")
    folder = layout.guest(domain.UUIDString())
    if not (folder / ROOT).exists():
        raise NoSnapshot("the guest's root disk is not one of this host's")
    taken = folder / f"snapshot-{clock.new_id()[:8]}.{disk_format}"
    try:
        if domain.isActive():
            _copy_running(domain, taken, disk_format)
        else:
            convert(folder / ROOT, "qcow2", taken, disk_format)
        download.send(taken, url)
    finally:
        taken.unlink(missing_ok=True)


def _copy_running(domain: Any, target: Path, disk_format: str) -> None:
    """QEMU copies the disk as it is now, and keeps aside what the guest overwrites meanwhile."""
    domain.backupBegin(_order(domain, target.name, disk_format), None, 0)
    until = clock.monotonic() + COPY_S
    try:
        while domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE:
            if clock.monotonic() > until:
                raise NoSnapshot(f"copying the disk took longer than {COPY_S:.0f} s")
            clock.sleep(LOOK_S)
    except BaseException:
        with ignoring("OPERATION_INVALID", "NO_DOMAIN"):
            domain.abortJob()
        raise
    ended = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
    if ended.get("type") != libvirt.VIR_DOMAIN_JOB_COMPLETED:
        raise NoSnapshot(str(ended.get("errmsg") or "copying the disk failed"))


def _order(domain: Any, name: str, disk_format: str) -> str:
    """The root disk, and no other, to a file."""
    order = Element("domainbackup", mode="push")
    disks = SubElement(order, "disks")
    described = fromstring(domain.XMLDesc())  # noqa: S314 - libvirt wrote it
    for disk in described.iterfind("./devices/disk"):
        alias, target = disk.find("alias"), disk.find("target")
        assert target is not None
        device = target.get("dev", "")
        if alias is None or alias.get("name") != disk_alias("root"):
            SubElement(disks, "disk", name=device, backup="no")
            continue
        wanted = SubElement(disks, "disk", name=device, backup="yes", type="file")
        SubElement(wanted, "target", file=inside(domain.UUIDString(), name))
        SubElement(wanted, "driver", type=disk_format)
    return text_of(order)
