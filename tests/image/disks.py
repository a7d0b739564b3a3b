"""Tiny disks of every format, made by hand: sound ones, and such as should never be opened."""

import struct

GIB = 1 << 30
SECTOR = 512
METADATA_OFFSET = 2 << 20


def qcow2(  # noqa: PLR0913 - one parameter for each thing that makes one dangerous
    size: int = GIB, *, version: int = 3, backing: bytes = b"", incompatible: int = 0,
    cluster_bits: int = 16, extensions: bytes = b"", header_bytes: int = 104,
) -> bytes:  # fmt: skip
    """A qcow2 image without clusters."""
    start = header_bytes if version >= 3 else 72
    extensions += struct.pack(">II", 0, 0)
    offset = start + len(extensions) if backing else 0
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", version, offset, len(backing), cluster_bits, size, 0,
        1, 3 << 16, 1 << 16, 1, 0, 0,
    )  # fmt: skip
    if version >= 3:
        header += struct.pack(">QQQII", incompatible, 0, 0, 4, header_bytes)
    return (header.ljust(start, b"\0") + extensions + backing).ljust(4 << 16, b"\0")


def extension(kind: int, content: bytes) -> bytes:
    """A header extension of a qcow2 image."""
    padded = content.ljust((len(content) + 7) // 8 * 8, b"\0")
    return struct.pack(">II", kind, len(content)) + padded


def description(
    kind: str = "monolithicSparse", extents: str = 'RW 2097152 SPARSE "disk.vmdk"', more: str = ""
) -> bytes:
    """What a VMDK says of itself."""
    lines = ["# Disk DescriptorFile", "version=1", "CID=12345678", "parentCID=ffffffff",
             f'createType="{kind}"', more, "# Extent description", extents,
             "# The Disk Data Base", 'ddb.adapterType = "ide"', ""]  # fmt: skip
    return "\n".join(lines).encode()


def vmdk(
    text: bytes | None = None, *, sectors: int = GIB // SECTOR, version: int = 1,
    offset: int = 1, footer: bytes | None = None,
) -> bytes:  # fmt: skip
    """A sparse VMDK of one file; with a footer, one that was streamed."""
    text = description() if text is None else text
    at_end = footer is not None
    header = _vmdk_header(sectors, version, offset, at_end)
    start = (header.ljust(SECTOR, b"\0") + text).ljust(64 << 10, b"\0")
    if footer is None:
        return start
    marker = struct.pack("<QII", 1, 0, 3).ljust(SECTOR, b"\0")
    footer = footer or _vmdk_header(sectors, version, offset, at_end=False)
    return start + marker + footer.ljust(SECTOR, b"\0") + bytes(SECTOR)


def _vmdk_header(sectors: int, version: int, offset: int, at_end: bool) -> bytes:
    directory = (1 << 64) - 1 if at_end else 26
    return struct.pack(
        "<4sIIQQQQIQQ", b"KDMV", version, 3, sectors, 128, offset, 20, 512, 21, directory
    )


def vdi(size: int = GIB, *, kind: int = 1, version: int = 0x10001, parent: bytes = b"") -> bytes:
    """A VirtualBox image."""
    image = bytearray(1 << 12)
    image[:39] = b"<<< Oracle VM VirtualBox Disk Image >>>"
    struct.pack_into("<IIII", image, 64, 0xBEDA107F, version, 400, kind)
    struct.pack_into("<Q", image, 368, size)
    image[440 : 440 + len(parent)] = parent
    return bytes(image)


def vhd(size: int = GIB, *, kind: int = 3) -> bytes:
    """A VHD: a fixed one (2) shows it only at its end."""
    footer = struct.pack(
        ">8sIIQI4sI4sQQII", b"conectix", 2, 0x10000, 512, 0, b"qemu", 0, b"Wi2k", size, size, 0,
        kind,
    ).ljust(SECTOR, b"\0")  # fmt: skip
    return bytes(64 << 10) + footer if kind == 2 else footer + b"cxsparse" + bytes(4096)


GUIDS = {
    "bat": "6677c22d23f600429d64115e9bfd4a08",
    "metadata": "06a27c8b90479a4bb8fe575f050f886e",
    "file": "3767a1ca36fa434db3b633f0aa44e76b",
    "size": "2442a52f1bcd7648b2115dbed83bf4b8",
    "parent": "2d5fd3a80bb34d45abf7d3d84834ab0c",
    "unknown": "00112233445566778899aabbccddeeff",
}


def vhdx(
    size: int = GIB, *, flags: int = 0, regions: tuple[str, ...] = ("bat", "metadata"),
    items: tuple[str, ...] = ("file", "size"), metadata_offset: int = METADATA_OFFSET,
) -> bytes:  # fmt: skip
    """A VHDX, whose description lies two megabytes behind its start."""
    image = bytearray(METADATA_OFFSET + (1 << 20))
    image[:8] = b"vhdxfile"
    table = struct.pack("<4sIII", b"regi", 0, len(regions), 0)
    for name in regions:
        offset = metadata_offset if name == "metadata" else 3 << 20
        table += bytes.fromhex(GUIDS[name]) + struct.pack("<QII", offset, 1 << 20, 1)
    image[192 << 10 : (192 << 10) + len(table)] = table
    values = {"file": struct.pack("<II", 1 << 20, flags), "size": struct.pack("<Q", size)}
    head = struct.pack("<8sHH20x", b"metadata", 0, len(items))
    data = b""
    for name in items:
        value = values.get(name, bytes(8))
        head += bytes.fromhex(GUIDS[name])
        head += struct.pack("<IIII", (64 << 10) + len(data), len(value), 4, 0)
        data += value
    image[METADATA_OFFSET : METADATA_OFFSET + len(head)] = head
    start = METADATA_OFFSET + (64 << 10)
    image[start : start + len(data)] = data
    return bytes(image)


def iso(start: bytes = b"") -> bytes:
    """A compact disc; what comes first on one is free for others to use."""
    return start.ljust(32 << 10, b"\0") + b"\x01CD001\x01".ljust(2048, b"\0") * 2


def mbr() -> bytes:
    """A disk with one partition."""
    entry = struct.pack("<B3sB3sII", 0x80, b"\0\1\1", 0x83, b"\0\1\1", 63, 100)
    return (bytes(446) + entry.ljust(64, b"\0") + b"\x55\xaa").ljust(64 << 10, b"\0")


def gpt() -> bytes:
    """A disk with a GUID partition table."""
    disk = bytearray(mbr())
    disk[SECTOR : SECTOR + 8] = b"EFI PART"
    return bytes(disk)


def luks() -> bytes:
    """An encrypted volume."""
    return b"LUKS\xba\xbe\x00\x01aes".ljust(4096, b"\0")


def qed() -> bytes:
    """QEMU's enhanced disk, which nobody should send."""
    return b"QED\0".ljust(4096, b"\0")


def ploop() -> bytes:
    """A disk of Virtuozzo."""
    return (b"WithouFreSpacExt" + bytes(20) + struct.pack("<Q", GIB // SECTOR)).ljust(4096, b"\0")


SOUND = {
    "raw": [b"", b"x" * 100, bytes(1 << 20), mbr(), gpt(), luks()],
    "aki": [b"kernel", mbr()],
    "ari": [b"\x1f\x8b ramdisk"],
    "ami": [bytes(2048)],
    "gpt": [gpt(), mbr()],
    "iso": [iso(), iso(mbr()[:1024]), iso(gpt()[:1024])],
    "qcow2": [
        qcow2(),
        qcow2(version=2),
        qcow2(incompatible=0b11001),
        qcow2(extensions=extension(0x6803F857, bytes(48 * 3))),
        qcow2(cluster_bits=9),
    ],
    "vmdk": [
        vmdk(),
        vmdk(description("streamOptimized"), version=3, footer=b""),
        vmdk(description().replace(b"\n", b"\r\n")),
    ],
    "vdi": [vdi(), vdi(kind=2)],
    "vhd": [vhd(), vhd(kind=2)],
    "vhdx": [vhdx()],
    "ploop": [ploop()],
}
