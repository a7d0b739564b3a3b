"""VirtualBox's disks."""

import struct

from onestack.image.inspection.refusal import Refused
from onestack.image.inspection.regions import Regions

MAGIC, MAGIC_OFFSET = b"\x7f\x10\xda\xbe", 64
VERSION = 0x00010001
DYNAMIC, STATIC = 1, 2
LINK, PARENT = slice(424, 440), slice(440, 456)


def virtual_size(regions: Regions) -> int:
    """How large the disk is; refused when it builds on another."""
    header = regions.head(0, 512)
    version, = struct.unpack("<I", header[68:72])  # fmt: skip
    kind, = struct.unpack("<I", header[76:80])  # fmt: skip
    size, = struct.unpack("<Q", header[368:376])  # fmt: skip
    if version != VERSION:
        raise Refused(reason="its VDI version is not 1.1")
    if kind not in (DYNAMIC, STATIC) or any(header[LINK]) or any(header[PARENT]):
        raise Refused(reason="its VDI builds on another file")
    return int(size)
