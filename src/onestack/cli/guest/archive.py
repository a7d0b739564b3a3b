"""The archive that a kernel unpacks at boot (cpio, format newc), written without a program."""

import os
import stat
from pathlib import Path

MAGIC = b"070701"
TRAILER = "TRAILER!!!"


def newc(folder: Path) -> bytes:
    """A folder as an archive; everything in it belongs to root."""
    paths = sorted(folder.rglob("*"))
    entries = [_entry(number, path, folder) for number, path in enumerate(paths, 1)]
    return b"".join([*entries, _record(TRAILER, 0, 0, b"")])


def _entry(number: int, path: Path, folder: Path) -> bytes:
    found = path.lstat()
    content = b""
    if stat.S_ISLNK(found.st_mode):
        content = os.readlink(path).encode()
    elif stat.S_ISREG(found.st_mode):
        content = path.read_bytes()
    return _record(str(path.relative_to(folder)), number, found.st_mode, content)


def _record(name: str, number: int, mode: int, content: bytes) -> bytes:
    encoded = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    # inode, mode, owner, group, links, time, size, four device numbers, length of the name, sum
    fields = (number, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
    header = MAGIC + b"".join(b"%08X" % field for field in fields)
    return _padded(header + encoded) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
