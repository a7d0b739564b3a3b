"""VMware's disks: only those that are one file, and name no other."""

import struct

from onestack.image.inspection.refusal import Refused
from onestack.image.inspection.regions import TAIL_BYTES, Regions

MAGIC = b"KDMV"
DESCRIPTOR_FILE = b"# Disk DescriptorFile"
SECTOR = 512
HEADER = struct.Struct("<4sIIQQQQIQQ")  # up to where the grain directory is
AT_END = (1 << 64) - 1
FOOTER_OFFSET = 2 * SECTOR  # from the end of the file
VERSIONS = (1, 2, 3)
TYPES = ("monolithicsparse", "streamoptimized")
NO_PARENT = "ffffffff"
ACCESSES = ("RW", "RDONLY", "NOACCESS")
DESCRIPTION_BYTES_MAX = 64 << 10


def virtual_size(regions: Regions) -> int:
    """How large the disk is; refused when its data is not all in this file."""
    if not regions.peek(0, 4) == MAGIC:
        raise Refused(reason="it is only the description of a VMDK, and names other files")
    found = HEADER.unpack(regions.head(0, HEADER.size))
    _, version, _, capacity, _, descriptor, descriptor_sectors, _, _, _ = found
    if version not in VERSIONS:
        raise Refused(reason=f"its VMDK version is {version}")
    if not capacity:
        # Programs then believe the description alone, whatever files that names.
        raise Refused(reason="its VMDK header has no capacity")
    if not descriptor or not descriptor_sectors:
        raise Refused(reason="its VMDK has no description")
    if descriptor_sectors * SECTOR > DESCRIPTION_BYTES_MAX:
        raise Refused(reason="its VMDK's description is too long")
    _check_description(regions.head(descriptor * SECTOR, descriptor_sectors * SECTOR))
    return int(capacity) * SECTOR


def check_end(regions: Regions) -> None:
    """A stream's header is repeated at its end, where it counts: it must be the same."""
    header = HEADER.unpack(regions.head(0, HEADER.size))
    if header[-1] != AT_END:
        return
    start = TAIL_BYTES - FOOTER_OFFSET
    footer_bytes = regions.tail[start : start + HEADER.size]
    if len(regions.tail) < TAIL_BYTES or footer_bytes[:4] != MAGIC:
        raise Refused(reason="its VMDK has no footer")
    footer = HEADER.unpack(footer_bytes)
    if footer[:-2] != header[:-2] or footer[-1] == AT_END:
        raise Refused(reason="its VMDK's footer contradicts its header")


def _check_description(content: bytes) -> None:
    text = content.partition(b"\0")[0].decode("latin-1")
    if not text.startswith("# Disk DescriptorFile"):
        raise Refused(reason="its VMDK's description is none")
    settings: dict[str, str] = {}
    extents = []
    for line in text.split("\n"):
        words = line.split(maxsplit=3)
        name, is_setting, value = line.partition("=")
        if words and words[0].upper() in ACCESSES:
            extents.append(words)
        elif is_setting:
            name = name.strip().lower()
            # Programs differ in which of two they believe.
            if name in settings:
                raise Refused(reason=f"its VMDK says {name[:40]} twice")
            settings[name] = value.strip().strip('"').lower()
    kind = settings.get("createtype", "none")
    if kind not in TYPES or text.lower().count("createtype") != 1:
        raise Refused(
            reason=f"its VMDK type is {kind[:40]}, not monolithicSparse or streamOptimized"
        )
    if settings.get("parentcid", NO_PARENT) != NO_PARENT or "parentfilenamehint" in settings:
        raise Refused(reason="its VMDK has a parent")
    _check_extents(extents)


def _check_extents(extents: list[list[str]]) -> None:
    """One extent, within this very file: `RW 20480 SPARSE "disk.vmdk"`."""
    if len(extents) != 1 or len(extents[0]) < 4:
        raise Refused(reason="its VMDK does not have one extent")
    _, _, kind, name = extents[0]
    if kind != "SPARSE":
        raise Refused(reason=f"its VMDK has an extent of type {kind[:40]}")
    if any(each in name for each in "/\\:"):
        raise Refused(reason="an extent of its VMDK is a path")
