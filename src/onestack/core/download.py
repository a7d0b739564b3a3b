"""Bytes of images between the control plane and a host: fetched once, checked, and put in place
whole; or sent from a file."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from onestack.core import clock

PIECE_BYTES = 1 << 20
SILENCE_S = 60.0


class Source(msgspec.Struct, frozen=True):
    """Where an image's data can be had: by a signed address, or on the same host as a file."""

    url: str
    size: int
    sha512: str
    disk_format: str
    path: str | None = None


class TransferFailed(Exception):
    """Data did not come, did not go, or was not what it should be."""


def fetch(source: Source, target: Path) -> Path:
    """Have the data at `target`; what is there already is left alone."""
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{clock.new_id()}")
    try:
        if not _linked(source, part):
            _downloaded(source, part)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def send(path: Path, url: str) -> None:
    """PUT a file's bytes to a signed address."""
    size = path.stat().st_size
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
    with path.open("rb") as file, _asked("PUT", url, file, headers) as answer:
        said = answer.read(4096).decode(errors="replace")
        if answer.status not in (200, 201, 204):
            raise TransferFailed(f"{answer.status} {said}")


def _linked(source: Source, part: Path) -> bool:
    """Whether the data is on this host: shared where the file system can, else copied."""
    if source.path is None:
        return False
    with suppress(OSError):
        if os.stat(source.path).st_size != source.size:
            return False
        try:
            os.link(source.path, part)
        except OSError:
            shutil.copyfile(source.path, part)
        return True
    return False


def _downloaded(source: Source, part: Path) -> None:
    seen = hashlib.sha512()
    with part.open("xb") as file, _asked("GET", source.url) as answer:
        if answer.status != 200:
            said = answer.read(4096).decode(errors="replace")
            raise TransferFailed(f"{answer.status} {said}")
        while piece := answer.read(PIECE_BYTES):
            seen.update(piece)
            file.write(piece)
    if source.sha512 and seen.hexdigest() != source.sha512:
        raise TransferFailed("the data is not what the image service said it would be")


@contextmanager
def _asked(
    method: str, url: str, body: object = None, headers: dict[str, str] | None = None
) -> Iterator[HTTPResponse]:
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.netloc, timeout=SILENCE_S)
    try:
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request(method, target, body=body, headers=headers or {})  # type: ignore[arg-type]
        yield connection.getresponse()
    except OSError as error:
        raise TransferFailed(f"{parts.netloc}: {error}") from None
    finally:
        connection.close()
