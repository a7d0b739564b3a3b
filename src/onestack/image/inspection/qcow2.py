"""QEMU's own formats: qcow2, and the older ones that nobody should send."""

import struct

from onestack.image.inspection.refusal import Refused
from onestack.image.inspection.regions import Regions

MAGIC = b"QFI\xfb"
VERSIONS = (2, 3)
HEADER = struct.Struct(">4sIQIIQI")  # magic, version, backing file, its length, cluster bits, size
HEADER_V2_BYTES = 72
HEADER_V3_BYTES = 104
CLUSTER_BITS = range(9, 22)

CORRUPT, EXTERNAL_DATA = 1 << 1, 1 << 2
KNOWN = 0b11111  # dirty, corrupt, external data, compression, extended L2 entries
DATA_FILE = 0x44415441
EXTENSIONS_MAX = 64


def virtual_size(regions: Regions) -> int:
    """How large the disk is; refused when it would have a program open other files."""
    fields = HEADER.unpack(regions.head(0, HEADER.size))
    _, version, backing_offset, backing_bytes, cluster_bits, size, _ = fields
    if version not in VERSIONS:
        raise Refused(reason=f"its qcow version is {version}, not 2 or 3")
    if backing_offset or backing_bytes:
        raise Refused(reason="it has a backing file")
    if cluster_bits not in CLUSTER_BITS:
        raise Refused(reason=f"its clusters have 2^{cluster_bits} bytes")
    header_bytes = HEADER_V2_BYTES
    if version >= 3:
        header_bytes = _check_features(regions)
    _check_extensions(regions, header_bytes, 1 << cluster_bits)
    return int(size)


def _check_features(regions: Regions) -> int:
    """What a reader must understand; how long the header is."""
    incompatible, = struct.unpack(">Q", regions.head(72, 8))  # fmt: skip
    header_bytes, = struct.unpack(">I", regions.head(100, 4))  # fmt: skip
    if incompatible & EXTERNAL_DATA:
        raise Refused(reason="it keeps its data in another file")
    if incompatible & CORRUPT:
        raise Refused(reason="it is marked as corrupt")
    if incompatible & ~KNOWN:
        raise Refused(reason="it has features that are not known")
    if not HEADER_V3_BYTES <= header_bytes <= 1 << 9 or header_bytes % 8:
        raise Refused(reason=f"its header has {header_bytes} bytes")
    return int(header_bytes)


def _check_extensions(regions: Regions, offset: int, cluster_bytes: int) -> None:
    for _ in range(EXTENSIONS_MAX):
        kind, size = struct.unpack(">II", regions.head(offset, 8))
        if kind == 0:
            return
        if kind == DATA_FILE:
            raise Refused(reason="it keeps its data in another file")
        offset += 8 + (size + 7) // 8 * 8
        if offset + 8 > cluster_bytes:
            return
    raise Refused(reason="it has too many header extensions")
