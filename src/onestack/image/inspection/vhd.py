"""Microsoft's disks: VHD, and VHDX, whose description lies behind tables."""

import struct
from collections.abc import Iterator

from onestack.image.inspection.refusal import Refused
from onestack.image.inspection.regions import Regions

COOKIE = b"conectix"
FOOTER_BYTES = 512
FIXED, DYNAMIC = 2, 3

X_MAGIC = b"vhdxfile"
REGION_TABLE, REGION_TABLE_BYTES = 192 << 10, 64 << 10
METADATA_TABLE_BYTES = 64 << 10
METADATA_KEPT_BYTES = 128 << 10
ENTRIES_MAX = 2047
BAT = bytes.fromhex("6677c22d23f600429d64115e9bfd4a08")
METADATA = bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")
FILE_PARAMETERS = bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b")
VIRTUAL_SIZE = bytes.fromhex("2442a52f1bcd7648b2115dbed83bf4b8")
PARENT_LOCATOR = bytes.fromhex("2d5fd3a80bb34d45abf7d3d84834ab0c")
HAS_PARENT = 1 << 1


def virtual_size(regions: Regions) -> int:
    """How large a VHD is; a fixed one says so only at its end."""
    footer = regions.peek(0, FOOTER_BYTES)
    if not footer.startswith(COOKIE):
        footer = regions.tail[-FOOTER_BYTES:]
    if len(footer) < FOOTER_BYTES:
        raise Refused(reason="its VHD footer is cut")
    size, = struct.unpack(">Q", footer[48:56])  # fmt: skip
    kind, = struct.unpack(">I", footer[60:64])  # fmt: skip
    if kind not in (FIXED, DYNAMIC):
        raise Refused(reason="its VHD is a difference to another file")
    return int(size)


def want_metadata(regions: Regions) -> None:
    """Find out where a VHDX describes itself."""
    table = regions.head(REGION_TABLE, REGION_TABLE_BYTES)
    if table[:4] != b"regi":
        raise Refused(reason="its VHDX has no region table")
    count, = struct.unpack("<I", table[8:12])  # fmt: skip
    found = None
    for entry in _entries(table, 16, count):
        kind, offset, size, is_required = struct.unpack("<16sQII", entry)
        if kind == METADATA:
            if found is not None:
                raise Refused(reason="its VHDX describes itself twice")
            found = offset, size
        elif kind != BAT and is_required & 1:
            raise Refused(reason="its VHDX has regions that are not known")
    if found is None or found[1] < METADATA_TABLE_BYTES:
        raise Refused(reason="its VHDX does not describe itself")
    regions.want(found[0], min(found[1], METADATA_KEPT_BYTES))


def x_virtual_size(regions: Regions) -> int:
    """How large a VHDX is, once its metadata has come."""
    metadata = regions.region()
    if metadata[:8] != b"metadata" or len(metadata) < METADATA_TABLE_BYTES:
        raise Refused(reason="its VHDX's metadata is not where it should be")
    count, = struct.unpack("<H", metadata[10:12])  # fmt: skip
    size = None
    for entry in _entries(metadata[:METADATA_TABLE_BYTES], 32, count):
        kind, offset, length = struct.unpack("<16sII", entry[:24])
        value = metadata[offset : offset + length]
        if kind == PARENT_LOCATOR:
            raise Refused(reason="its VHDX has a parent")
        if kind == FILE_PARAMETERS:
            if len(value) < 8 or struct.unpack("<I", value[4:8])[0] & HAS_PARENT:
                raise Refused(reason="its VHDX has a parent")
        elif kind == VIRTUAL_SIZE:
            if len(value) != 8 or size is not None:
                raise Refused(reason="its VHDX's size cannot be read")
            size = int.from_bytes(value, "little")
    if size is None:
        raise Refused(reason="its VHDX does not say how large it is")
    return size


def _entries(table: bytes, start: int, count: int) -> Iterator[bytes]:
    if count > ENTRIES_MAX:
        raise Refused(reason="its VHDX's tables are too long")
    for index in range(count):
        entry = table[start + index * 32 : start + index * 32 + 32]
        if len(entry) < 32:
            raise Refused(reason="its VHDX's tables are cut")
        yield entry
