"""What a switch was told, in a folder: it knows again after a restart what is there, and why."""

import os
import zlib
from pathlib import Path
from typing import TypeVar, cast

import msgspec

from onestack.core import log
from onestack.network.switch import (
    GroupWiring,
    Item,
    Kind,
    NetworkWiring,
    PortWiring,
    RouterWiring,
    Wiring,
)

TYPES: dict[Kind, type[Wiring]] = {
    "network": NetworkWiring,
    "group": GroupWiring,
    "port": PortWiring,
    "router": RouterWiring,
}
NUMBERS_MAX = 65535

W = TypeVar("W", bound=Wiring)


class Store:
    """The wirings that are wanted here, one file for each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wirings: dict[tuple[Kind, str], Wiring] = {}
        for kind, shape in TYPES.items():
            for path in sorted((folder / kind).glob("*.json")):
                try:
                    wiring = msgspec.json.decode(path.read_bytes(), type=shape)
                except msgspec.DecodeError as error:  # the control plane tells it again
                    log.warning("a wiring cannot be read", path=str(path), reason=str(error))
                    continue
                self._wirings[kind, wiring.id] = wiring

    def put(self, kind: Kind, wiring: Wiring) -> None:
        path = self._path(kind, wiring.id)
        if self._wirings.get((kind, wiring.id)) == wiring and path.exists():
            return
        write(path, msgspec.json.encode(wiring))
        self._wirings[kind, wiring.id] = wiring

    def forget(self, kind: Kind, wiring_id: str) -> None:
        self._path(kind, wiring_id).unlink(missing_ok=True)
        self._wirings.pop((kind, wiring_id), None)

    def find(self, shape: type[W], wiring_id: str) -> W | None:
        kind = next(kind for kind, each in TYPES.items() if each is shape)
        return cast("W | None", self._wirings.get((kind, wiring_id)))

    def all(self, shape: type[W]) -> list[W]:
        return [each for each in self._wirings.values() if isinstance(each, shape)]

    def items(self) -> list[Item]:
        return sorted(
            Item(kind, name, each.revision) for (kind, name), each in self._wirings.items()
        )

    def _path(self, kind: Kind, wiring_id: str) -> Path:
        # An id is the control plane's; it still must not lead anywhere else.
        return self._folder / kind / f"{wiring_id.replace('/', '_')}.json"


class Numbers:
    """Small numbers for things that the kernel knows by one: they stay the same for as long as the
    thing is there, and differ from those of another switch in the same kernel where they can."""

    def __init__(self, path: Path, mark: str) -> None:
        self._path = path
        self._given: dict[str, int] = (
            msgspec.json.decode(path.read_bytes(), type=dict[str, int]) if path.exists() else {}
        )
        self._taken = set(self._given.values())
        self._next = zlib.crc32(mark.encode()) % NUMBERS_MAX
        self._is_changed = False

    def of(self, name: str) -> int:
        if name not in self._given:
            self._given[name] = self._free()
            self._taken.add(self._given[name])
            self._is_changed = True
        return self._given[name]

    def free(self, name: str) -> None:
        number = self._given.pop(name, None)
        self._taken.discard(number or 0)
        self._is_changed |= number is not None

    def save(self) -> None:
        if self._is_changed:
            write(self._path, msgspec.json.encode(self._given))
            self._is_changed = False

    def _free(self) -> int:
        if len(self._taken) >= NUMBERS_MAX:
            raise OverflowError("this host has too many ports")
        while True:
            self._next = self._next % NUMBERS_MAX + 1
            if self._next not in self._taken:
                return self._next


def write(path: Path, content: bytes, mode: int = 0o600) -> bool:
    """Put content in the place of a file's at once; whether it is other content than before."""
    try:
        if path.read_bytes() == content:
            return False
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    temporary.rename(path)
    return True
