"""The files of a guest's own disks: made when they are not there, and found again."""

import base64
import shutil
from pathlib import Path

from onestack.compute.drivers.libvirt import iso9660
from onestack.compute.drivers.libvirt.domain import LocalFile, NotDescribable
from onestack.compute.drivers.libvirt.images import LIMITS, LOOK_S, Images, size_of
from onestack.compute.drivers.libvirt.layout import Layout
from onestack.compute.hypervisor import Disk, GuestSpec
from onestack.core import shell

GB, MB = 1 << 30, 1 << 20
CONFIG_LABEL = "config-2"
FILE_SYSTEMS = {"ext2", "ext3", "ext4", "xfs", "vfat"}
MAKE_S = 120


class TooSmall(Exception):
    """A flavour gives a guest less disk than its image needs."""


class DisksMissing(Exception):
    """The guest's disks are not on this host."""


class Disks:
    """The disks of a host's guests."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._images = Images(layout.images)

    def make(self, guest: GuestSpec) -> None:
        """Have every file; what is there is left as it is."""
        folder = self._layout.guest(guest.id)
        folder.mkdir(exist_ok=True, mode=0o700)
        for name, source in (("kernel", guest.kernel), ("ramdisk", guest.ramdisk)):
            if source is not None and not (folder / name).exists():
                self._images.link(source, folder / f".{name}").rename(folder / name)
        for disk in guest.disks:
            if disk.connection is None and not (folder / _name(disk)).exists():
                self._make(folder, disk)

    def find(self, guest: GuestSpec) -> dict[str, LocalFile]:
        """The files of the guest's disks, by the disks' ids."""
        folder = self._layout.guest(guest.id)
        own = [disk for disk in guest.disks if disk.connection is None]
        missing = [disk.id for disk in own if not (folder / _name(disk)).exists()]
        if missing:
            raise DisksMissing(f"{guest.id}: {', '.join(missing)}")
        return {disk.id: located(folder / _name(disk)) for disk in own}

    def grow_root(self, guest_id: str, size_gb: int) -> None:
        """Make the root disk larger; never smaller."""
        path = self._layout.guest(guest_id) / "root.qcow2"
        if path.exists() and size_of(path, "qcow2") < size_gb * GB:
            command = ["qemu-img", "resize", "-q", "-f", "qcow2", str(path), f"{size_gb}G"]
            shell.run(command, timeout_s=LOOK_S, limits=LIMITS)

    def remove(self, guest_id: str) -> None:
        """Leave nothing of a guest."""
        shutil.rmtree(self._layout.guest(guest_id), ignore_errors=True)
        for path in (self._layout.folder / "run").glob(f"{guest_id}.*"):
            path.unlink(missing_ok=True)
        self._images.tidy(self._layout.guests)

    def _make(self, folder: Path, disk: Disk) -> None:
        target = folder / _name(disk)
        new = folder / f".{target.name}"
        new.unlink(missing_ok=True)
        if disk.image is not None:
            base = self._images.link(disk.image, folder / f"{disk.id}.base")
            overlay(new, base, disk.size_gb * GB)
        elif disk.config_drive is not None:
            files = {name: base64.b64decode(text) for name, text in disk.config_drive.items()}
            new.write_bytes(iso9660.image(files, CONFIG_LABEL))
        else:
            with new.open("xb") as file:
                file.truncate(disk.size_gb * GB + disk.size_mb * MB)
            _format(new, disk)
        new.rename(target)


def located(path: Path) -> LocalFile:
    """A disk's file, and what it lies over."""
    kind = "qcow2" if path.suffix == ".qcow2" else "raw"
    base = next(iter(path.parent.glob(f"{path.stem}.base.*")), None)
    if base is None:
        return LocalFile(path.name, kind)
    return LocalFile(path.name, kind, base.name, base.suffix.removeprefix("."))


def overlay(path: Path, base: Path, size: int) -> None:
    """An empty layer over an image in the same folder; 0 is as large as the image."""
    kind = base.suffix.removeprefix(".")
    least = size_of(base, kind)
    if size and size < least:
        raise TooSmall(f"the image needs {-(-least // GB)} GB, and the disk has {size // GB}")
    command = [
        "qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", base.name, str(path),
        str(size or least),
    ]  # fmt: skip
    shell.run(command, timeout_s=LOOK_S, limits=LIMITS)


def _format(path: Path, disk: Disk) -> None:
    if disk.id == "swap":
        shell.run(["mkswap", "-q", str(path)], timeout_s=MAKE_S)
        return
    kind = disk.filesystem or ("ext4" if disk.id.startswith("ephemeral") else None)
    if kind is None:
        return
    if kind not in FILE_SYSTEMS:
        raise NotDescribable(f"this host cannot make file systems of kind {kind!r}")
    label = ["-n" if kind == "vfat" else "-L", disk.id[:11]]
    force = {"xfs": ["-f"], "vfat": []}.get(kind, ["-F"])
    shell.run(["mkfs", "-t", kind, *force, *label, str(path)], timeout_s=MAKE_S)


def _name(disk: Disk) -> str:
    if disk.image is not None:
        return f"{disk.id}.qcow2"
    return f"{disk.id}.iso" if disk.config_drive is not None else f"{disk.id}.raw"
