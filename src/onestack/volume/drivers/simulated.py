"""A simulated backend: remembers what it would keep, in a file when it is given one, and keeps no
byte; it fails and dawdles when it is told to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from onestack.core import clock, download
from onestack.core.download import Source
from onestack.core.errors import Conflict
from onestack.volume.backend import BackendDescription, Connection, Connector, Have, Pool

ROOM_GB = 1_000_000
RAW_BYTES = 1 << 20  # of an image of a volume: as long as that is, it is all zeros
QCOW2_CLUSTER_BITS = 16


class State(msgspec.Struct):
    """What there is."""

    volumes: dict[str, int] = {}
    snapshots: dict[str, int] = {}
    exports: dict[str, str] = {}  # attachments, and the volumes that they are of


class Missing(Conflict):
    """There is no such volume or snapshot on this backend."""


class Refused(Conflict):
    """It was told to fail, or cannot do what was asked."""


class SimulatedBackend:
    """Volumes, snapshots and exports by their ids."""

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._path = path
        self._faults: dict[str, list[str]] = {}
        self.delay_s = 0.0  # before each answer
        self._state = State()
        if path is not None and path.exists():
            self._state = msgspec.json.decode(path.read_bytes(), type=State)

    def fail(self, method: str, reason: str, times: int = 1) -> None:
        """Let the next calls of a method fail."""
        self._faults.setdefault(method, []).extend([reason] * times)

    def describe(self) -> BackendDescription:
        pool = Pool(
            name="simulated", total_gb=ROOM_GB, free_gb=ROOM_GB,
            protocol="simulated", capabilities={"multiattach": True},
        )  # fmt: skip
        return BackendDescription(driver="simulated", pools=[pool])

    def create(self, volume_id: str, size_gb: int) -> None:
        with self._changing("create") as state:
            state.volumes[volume_id] = size_gb

    def create_from_image(self, volume_id: str, size_gb: int, source: Source) -> None:
        with self._changing("create_from_image") as state:
            state.volumes[volume_id] = size_gb

    def create_from_snapshot(self, volume_id: str, size_gb: int, snapshot_id: str) -> None:
        with self._changing("create_from_snapshot") as state:
            _known(state.snapshots, snapshot_id)
            state.volumes[volume_id] = size_gb

    def clone(self, volume_id: str, size_gb: int, source_id: str) -> None:
        with self._changing("clone") as state:
            _known(state.volumes, source_id)
            state.volumes[volume_id] = size_gb

    def delete(self, volume_id: str) -> None:
        with self._changing("delete") as state:
            state.volumes.pop(volume_id, None)
            state.exports = {k: v for k, v in state.exports.items() if v != volume_id}

    def extend(self, volume_id: str, size_gb: int) -> None:
        with self._changing("extend") as state:
            state.volumes[volume_id] = max(_known(state.volumes, volume_id), size_gb)

    def revert(self, volume_id: str, snapshot_id: str) -> None:
        with self._changing("revert") as state:
            _known(state.volumes, volume_id)
            _known(state.snapshots, snapshot_id)

    def snapshot(self, snapshot_id: str, volume_id: str) -> None:
        with self._changing("snapshot") as state:
            state.snapshots.setdefault(snapshot_id, _known(state.volumes, volume_id))

    def delete_snapshot(self, snapshot_id: str) -> None:
        with self._changing("delete_snapshot") as state:
            state.snapshots.pop(snapshot_id, None)

    def export(
        self, volume_id: str, attachment_id: str, connector: Connector, is_shared: bool = False
    ) -> Connection:
        with self._changing("export") as state:
            _known(state.volumes, volume_id)
            state.exports[attachment_id] = volume_id
        return Connection("simulated", {"volume_id": volume_id, "attachment_id": attachment_id})

    def unexport(self, volume_id: str, attachment_id: str) -> None:
        with self._changing("unexport") as state:
            state.exports.pop(attachment_id, None)

    def upload(self, volume_id: str, url: str, disk_format: str) -> None:
        with self._changing("upload") as state:
            size_gb = _known(state.volumes, volume_id)
        with TemporaryDirectory(prefix="onestack-volume-") as folder:
            image = Path(folder) / "image"
            image.write_bytes(_image(disk_format, size_gb))
            download.send(image, url)

    def inventory(self) -> list[Have]:
        with self._lock:
            state = self._state
            kept = [Have("volume", each, size) for each, size in state.volumes.items()]
            kept += [Have("snapshot", each, size) for each, size in state.snapshots.items()]
            kept += [Have("export", each) for each in state.exports]
        return sorted(kept)

    @contextmanager
    def _changing(self, method: str) -> Iterator[State]:
        """One change at a time, kept when it is done."""
        if self.delay_s:
            clock.sleep(self.delay_s)
        with self._lock:
            if self._faults.get(method):
                raise Refused(self._faults[method].pop(0))
            yield self._state
            if self._path is not None:
                new = self._path.with_suffix(".new")
                new.parent.mkdir(parents=True, exist_ok=True)
                new.write_bytes(msgspec.json.encode(self._state))
                new.rename(self._path)


def _known(kept: dict[str, int], name: str) -> int:
    if name not in kept:
        raise Missing(f"{name} is not on this backend")
    return kept[name]


def _image(disk_format: str, size_gb: int) -> bytes:
    """An image of nothing but zeros."""
    if disk_format == "raw":
        return bytes(RAW_BYTES)
    if disk_format != "qcow2":
        raise Refused(f"a simulated volume makes no image in the format {disk_format}")
    # Its header, a level-1 table that points nowhere, and counts of who uses the four clusters.
    cluster = 1 << QCOW2_CLUSTER_BITS
    entries = max(1, -(-(size_gb << 30) // (cluster * cluster // 8)))
    header = b"QFI\xfb" + b"".join(
        number.to_bytes(width, "big")
        for number, width in (
            (2, 4), (0, 8), (0, 4), (QCOW2_CLUSTER_BITS, 4), (size_gb << 30, 8), (0, 4),
            (entries, 4), (3 * cluster, 8), (cluster, 8), (1, 4), (0, 4), (0, 8),
        )
    )  # fmt: skip
    table = (2 * cluster).to_bytes(8, "big").ljust(cluster, b"\0")
    counts = ((1).to_bytes(2, "big") * 4).ljust(cluster, b"\0")
    return header.ljust(cluster, b"\0") + table + counts + bytes(entries * 8).ljust(cluster, b"\0")
