"""The files of a guest on their way to another host: only what was written, and no image twice."""

import asyncio
import os
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from onestack.compute.drivers.libvirt.channel import PIECE_BYTES, Refused, Streams
from onestack.compute.drivers.libvirt.disks import located, overlay
from onestack.compute.drivers.libvirt.images import size_of
from onestack.compute.drivers.libvirt.layout import Layout
from onestack.core import clock

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,100}")
PIECE = struct.Struct(">QI")
SEND, HAVE, DONE = b"s", b"h", b"d"


class File(msgspec.Struct, omit_defaults=True):
    """What comes next; a file without a name ends the cargo."""

    name: str
    size: int = 0
    image: str = ""  # in the cache of images


class Piece(msgspec.Struct, frozen=True):
    """A file to send, and from where; without a path it is all holes."""

    file: File
    path: Path | None


def of_stopped(layout: Layout, guest_id: str) -> list[Piece]:
    """Everything of a guest that is shut down."""
    return [_whole(layout, path) for path in _files(layout, guest_id)]


def of_running(layout: Layout, guest_id: str, copied: set[str]) -> list[Piece]:
    """What a running guest needs on the other side before its disks are copied by QEMU: of those
    that are (`copied`, by the names of their files), empty ones."""
    pieces = []
    for path in _files(layout, guest_id):
        found = located(path)
        if path.name not in copied:
            pieces.append(_whole(layout, path))
        elif found.base is None:
            size = size_of(path, found.format)
            pieces.append(Piece(File(path.name, size), None))
        else:
            empty = path.with_name(f".{path.name}.empty")
            empty.unlink(missing_ok=True)
            overlay(empty, path.with_name(found.base), size_of(path, "qcow2"))
            pieces.append(Piece(File(path.name, empty.stat().st_size), empty))
    return pieces


async def send(pieces: list[Piece], streams: Streams) -> None:
    """Give the other side what it lacks, and wait until it has it."""
    reader, writer = streams
    for piece in pieces:
        writer.write(msgspec.json.encode(piece.file) + b"\n")
        if await reader.readexactly(1) == SEND:
            for offset, data in _written(piece.path, piece.file.size) if piece.path else ():
                writer.write(PIECE.pack(offset, len(data)) + data)
                await writer.drain()
            writer.write(PIECE.pack(0, 0))
    writer.write(msgspec.json.encode(File("")) + b"\n")
    if await reader.readexactly(1) != DONE:
        raise Refused("the other host did not get everything")


async def receive(layout: Layout, guest_id: str, streams: Streams) -> None:
    """Take a guest's files; each is in place when it is whole."""
    reader, writer = streams
    folder = layout.guest(guest_id)
    folder.mkdir(exist_ok=True, mode=0o700)
    while True:
        file = msgspec.json.decode(await reader.readline(), type=File)
        if not file.name:
            break
        for name in (file.name, file.image or file.name):
            if not FILE_NAME.fullmatch(name):
                raise Refused(f"{name!r} is no name of a file")
        target = folder / file.name
        cached = layout.images / file.image if file.image else target
        if file.image and cached.exists():
            writer.write(HAVE)
        else:
            writer.write(SEND)
            await _taken(file, cached, reader)
        if file.image:
            target.unlink(missing_ok=True)
            os.link(cached, target)
    writer.write(DONE)
    await writer.drain()


async def _taken(file: File, target: Path, reader: asyncio.StreamReader) -> None:
    part = target.with_name(f".{clock.new_id()}")
    try:
        with part.open("xb") as out:
            out.truncate(file.size)
            while True:
                offset, length = PIECE.unpack(await reader.readexactly(PIECE.size))
                if not length:
                    break
                if length > PIECE_BYTES or offset + length > file.size:
                    raise Refused("more was sent than was announced")
                out.seek(offset)
                out.write(await reader.readexactly(length))
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)


def _files(layout: Layout, guest_id: str) -> list[Path]:
    """A guest's files, what others lie over first."""
    found = [path for path in layout.guest(guest_id).iterdir() if FILE_NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: (".base." not in path.name, path.name))


def _whole(layout: Layout, path: Path) -> Piece:
    image = ""
    if ".base." in path.name:
        inode = path.stat().st_ino
        image = next((each.name for each in layout.images.iterdir() if _is(each, inode)), "")
    return Piece(File(path.name, path.stat().st_size, image), path)


def _is(path: Path, inode: int) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_ino == inode and not path.name.startswith(".")
    return False


def _written(path: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """What is in a file besides holes, in pieces; what a log grew by since does not go along."""
    with path.open("rb") as file:
        at = 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:  # only a hole is left
                return
            end = min(size, os.lseek(file.fileno(), at, os.SEEK_HOLE))
            file.seek(at)
            while at < end:
                data = file.read(min(PIECE_BYTES, end - at))
                if not data:
                    return
                yield at, data
                at += len(data)
