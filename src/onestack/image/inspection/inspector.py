"""The inspector: reads along while data is uploaded, and refuses what no program should open.

It needs constant memory and time, opens nothing, and raises nothing but `Refused`.
"""

import struct

import msgspec

from onestack.image.inspection import qcow2, vdi, vhd, vmdk
from onestack.image.inspection.refusal import Refused
from onestack.image.inspection.regions import Regions

VIRTUAL_BYTES_MAX = 64 << 40  # larger disks are made by adding volumes, not by images
SECTOR = 512

ISO_DESCRIPTOR = 32 << 10
ISO_IDS = (b"CD001", b"BEA01")
PLOOP_MAGICS = (b"WithoutFreeSpace", b"WithouFreSpacExt")
PLOOP_SECTORS = struct.Struct("<Q")
# What a program that guesses would open as a disk of its own kind.
STARTS = {
    "qcow2": qcow2.MAGIC,
    "qed": b"QED\0",
    "vhd": vhd.COOKIE,
    "vhdx": vhd.X_MAGIC,
    "bochs": b"Bochs Virtual HD Image",
    "cloop": b"#!/bin/sh\n#V2.0 Format\n",
    "cow": b"OOOM",
}
DMG_TRAILER = b"koly"
LUKS_MAGIC = b"LUKS\xba\xbe"

OPAQUE = frozenset({"gpt", "mbr", "luks"})  # no program finds other files through these
RAW = frozenset({"raw"}) | OPAQUE
EXPECTED = {
    "raw": RAW,
    "ami": RAW,
    "ari": RAW,
    "aki": RAW,
    "gpt": frozenset({"gpt", "mbr"}),
}
PACKED = frozenset({"ova", "docker", "compressed"})  # containers that hide what they hold


class Finding(msgspec.Struct, frozen=True):
    """What the data is."""

    format: str
    virtual_size: int | None


class Inspector:
    """Judges one upload by what the image says that it is."""

    def __init__(self, disk_format: str, container_format: str) -> None:
        self._declared = disk_format
        self._is_packed = container_format in PACKED
        self._regions = Regions()
        self._is_head_judged = False

    def feed(self, piece: bytes) -> None:
        """Take the next bytes; raises `Refused` as soon as the start says enough."""
        if not self._is_head_judged:
            missing = self._regions.head_missing
            self._regions.feed(piece[:missing])
            if len(piece) < missing:
                return
            # What lies behind the head may be asked for only before it has passed by.
            self._judge_head()
            piece = piece[missing:]
        self._regions.feed(piece)

    def finish(self) -> Finding:
        """The stream is at its end: what it was."""
        if not self._is_head_judged:
            self._judge_head()
        found = self._agreed(at_end=True)
        if self._is_packed:
            return Finding(found, None)
        if found == "vmdk":
            vmdk.check_end(self._regions)
        return Finding(found, self._bounded_size(found))

    def _judge_head(self) -> None:
        self._is_head_judged = True
        found = self._agreed(at_end=False)
        if found == "vhdx":
            vhd.want_metadata(self._regions)
        elif found in ("qcow2", "vmdk", "vdi"):
            self._bounded_size(found)

    def _bounded_size(self, found: str) -> int:
        size = self._virtual_size(found)
        if size > VIRTUAL_BYTES_MAX:
            raise Refused(reason=f"a disk of {size} bytes is too large")
        return size

    def _agreed(self, *, at_end: bool) -> str:
        """The format, when it is the one that was declared."""
        found = self._formats(at_end=at_end)
        if self._is_packed:
            if found - OPAQUE:
                raise Refused(reason=f"it is {_listed(found)}, not packed")
            return "raw"
        if self._declared == "vhd" and not at_end and not found - OPAQUE:
            return "vhd"  # a fixed one, which shows only at the end
        expected = EXPECTED.get(self._declared, frozenset({self._declared}))
        disks = found - OPAQUE or found or frozenset({"raw"})
        if not disks <= expected or len(found - OPAQUE) > 1:
            raise Refused(reason=f"it is {_listed(disks)}, and was declared as {self._declared}")
        return next(iter(sorted(disks)))

    def _formats(self, *, at_end: bool) -> frozenset[str]:
        """Everything that the data could be taken for."""
        regions = self._regions
        start = regions.peek(0, 4096)
        found = {name for name, magic in STARTS.items() if start.startswith(magic)}
        if start[:4] in (vmdk.MAGIC, b"COWD") or vmdk.DESCRIPTOR_FILE in start[:512]:
            found.add("vmdk")
        if start[vdi.MAGIC_OFFSET : vdi.MAGIC_OFFSET + 4] == vdi.MAGIC:
            found.add("vdi")
        if start.startswith(PLOOP_MAGICS):
            found.add("ploop")
        if regions.peek(ISO_DESCRIPTOR + 1, 5) in ISO_IDS:
            found.add("iso")
        if start.startswith(LUKS_MAGIC):
            found.add("luks")
        found |= _partitions(start)
        if at_end and not found - OPAQUE:
            tail = regions.tail[-SECTOR:]
            if tail.startswith(vhd.COOKIE):
                found.add("vhd")
            elif tail.startswith(DMG_TRAILER):
                found.add("dmg")
        return frozenset(found)

    def _virtual_size(self, found: str) -> int:
        match found:
            case "qcow2":
                return qcow2.virtual_size(self._regions)
            case "vmdk":
                return vmdk.virtual_size(self._regions)
            case "vdi":
                return vdi.virtual_size(self._regions)
            case "vhd":
                return vhd.virtual_size(self._regions)
            case "vhdx":
                return vhd.x_virtual_size(self._regions)
            case "ploop":
                sectors, = PLOOP_SECTORS.unpack(self._regions.head(36, 8))  # fmt: skip
                return int(sectors) * SECTOR
        return self._regions.size


def _partitions(start: bytes) -> set[str]:
    """Whether the data begins as a disk with partitions does."""
    if start[SECTOR : SECTOR + 8] == b"EFI PART":
        return {"gpt"}
    flags = start[446:510:16]
    is_table = start[510:512] == b"\x55\xaa" and all(each in (0, 0x80) for each in flags)
    return {"mbr"} if is_table else set()


def _listed(found: frozenset[str]) -> str:
    return " and ".join(sorted(found))
