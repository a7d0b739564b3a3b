"""Images on a host: fetched once, never written to, opened only as what they are declared to be."""

import hashlib
import os
import shutil
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from onestack.core import clock, download, shell
from onestack.core.download import Source

# What one call may use of the host; a hostile image must not take more.
LIMITS = shell.Limits(address_space_mb=4096, cpu_s=60)
CONVERSION = shell.Limits(address_space_mb=4096, cpu_s=900)
LOOK_S, CONVERSION_S = 60, 1800
# Cached images stay as long as this part of the file system is free.
FREE_PART = 0.15
# Formats that a guest's disk can lie over, by their names in the image service.
AS_THEY_ARE = {
    "raw": "raw",
    "qcow2": "qcow2",
    "ami": "raw",
    "aki": "raw",
    "ari": "raw",
    "iso": "raw",
}
CONVERTED = {"vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx", "qed": "qed"}
QCOW2_MAGIC = b"QFI\xfb"
EXTERNAL_DATA = 1 << 2


class BadImage(Exception):
    """An image cannot become a guest's disk here."""


class _Said(msgspec.Struct, rename="kebab"):
    """What qemu-img says of a file."""

    virtual_size: int


class Images:
    """The cached images of a host."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for path in folder.glob(".*"):  # an agent that was killed was fetching these
            path.unlink(missing_ok=True)
        self._lock = threading.Lock()
        self._busy: dict[str, threading.Lock] = {}

    def link(self, source: Source, target: Path) -> Path:
        """Have an image at `target`, whose name gets its format as a suffix."""
        kind = AS_THEY_ARE.get(source.disk_format, "qcow2")
        name = f"{_key(source)}.{kind}"
        with self._alone(name):
            cached = self._folder / name
            if not cached.exists():
                self._fetch(source, cached)
            linked = target.with_name(f"{target.name}.{kind}")
            linked.unlink(missing_ok=True)
            os.link(cached, linked)
        return linked

    def tidy(self, guests: Path) -> None:
        """Give up cached images that no guest has, when room gets scarce."""
        usage = shutil.disk_usage(self._folder)
        if usage.free > usage.total * FREE_PART:
            return
        used = {path.stat().st_ino for path in guests.glob("*/*.base.*")}
        for path in self._folder.iterdir():
            if path.stat().st_ino not in used:
                path.unlink(missing_ok=True)

    def _fetch(self, source: Source, cached: Path) -> None:
        if source.disk_format in AS_THEY_ARE:
            fetched = cached.with_name(f".{clock.new_id()}")
        elif source.disk_format in CONVERTED:
            fetched = cached.with_name(f".{clock.new_id()}.{source.disk_format}")
        else:
            raise BadImage(f"this host has no use for images of format {source.disk_format!r}")
        try:
            download.fetch(source, fetched)
            if source.disk_format in CONVERTED:
                converted = fetched.with_suffix(".converted")
                convert(fetched, CONVERTED[source.disk_format], converted, "qcow2")
                fetched.unlink()
                fetched = converted
            elif source.disk_format == "qcow2":
                refuse_references(fetched)
            fetched.rename(cached)
        finally:
            fetched.unlink(missing_ok=True)

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        with self._lock:
            lock = self._busy.setdefault(name, threading.Lock())
        with lock:
            yield


def refuse_references(path: Path) -> None:
    """A qcow2 must be whole in itself: one that names other files would show the host's."""
    with path.open("rb") as file:
        header = file.read(104)
    if len(header) < 72 or header[:4] != QCOW2_MAGIC:
        raise BadImage("the image is no qcow2, as which it was declared")
    version, backing = struct.unpack_from(">IQ", header, 4)
    features = struct.unpack_from(">Q", header, 72)[0] if version >= 3 and len(header) >= 80 else 0
    if backing or features & EXTERNAL_DATA:
        raise BadImage("the image refers to another file")


def size_of(path: Path, kind: str) -> int:
    """How many bytes a guest sees of a disk; what lies under it is not opened."""
    if kind == "raw":
        return path.stat().st_size
    command = ["qemu-img", "info", "--force-share", "-f", kind, "--output=json", str(path)]
    said = shell.run(command, timeout_s=LOOK_S, limits=LIMITS).stdout
    return msgspec.json.decode(said, type=_Said).virtual_size


def convert(source: Path, kind: str, target: Path, target_kind: str) -> None:
    """Copy what a guest sees of a disk into a file of its own."""
    command = ["qemu-img", "convert", "-q", "-f", kind, "-O", target_kind, str(source), str(target)]
    shell.run(command, timeout_s=CONVERSION_S, limits=CONVERSION)


def _key(source: Source) -> str:
    """The same for the same content, where that is known."""
    said = source.sha512 or source.url.partition("?")[0]
    return hashlib.sha256(f"{said}/{source.disk_format}".encode()).hexdigest()[:32]
