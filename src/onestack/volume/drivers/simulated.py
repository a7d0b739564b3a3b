"""A simulated backend: remembers what it would keep, and keeps no byte."""

import threading

from onestack.core.download import Source
from onestack.volume.backend import BackendDescription, Connection, Connector, Have, Pool

ROOM_GB = 1_000_000


class SimulatedBackend:
    """Volumes, snapshots and exports by their ids."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._volumes: dict[str, int] = {}
        self._snapshots: dict[str, int] = {}
        self._exports: set[str] = set()

    def describe(self) -> BackendDescription:
        pool = Pool(
            name="simulated", total_gb=ROOM_GB, free_gb=ROOM_GB,
            protocol="simulated", capabilities={"multiattach": True},
        )  # fmt: skip
        return BackendDescription(driver="simulated", pools=[pool])

    def create(self, volume_id: str, size_gb: int) -> None:
        with self._lock:
            self._volumes[volume_id] = size_gb

    def create_from_image(self, volume_id: str, size_gb: int, source: Source) -> None:
        self.create(volume_id, size_gb)

    def create_from_snapshot(self, volume_id: str, size_gb: int, snapshot_id: str) -> None:
        self.create(volume_id, size_gb)

    def clone(self, volume_id: str, size_gb: int, source_id: str) -> None:
        self.create(volume_id, size_gb)

    def delete(self, volume_id: str) -> None:
        with self._lock:
            self._volumes.pop(volume_id, None)

    def extend(self, volume_id: str, size_gb: int) -> None:
        self.create(volume_id, size_gb)

    def revert(self, volume_id: str, snapshot_id: str) -> None:
        with self._lock:
            self._volumes[volume_id] = self._snapshots.get(snapshot_id, self._volumes[volume_id])

    def snapshot(self, snapshot_id: str, volume_id: str) -> None:
        with self._lock:
            self._snapshots[snapshot_id] = self._volumes.get(volume_id, 0)

    def delete_snapshot(self, snapshot_id: str) -> None:
        with self._lock:
            self._snapshots.pop(snapshot_id, None)

    def export(self, volume_id: str, attachment_id: str, connector: Connector) -> Connection:
        with self._lock:
            self._exports.add(attachment_id)
        return Connection("simulated", {"volume_id": volume_id, "attachment_id": attachment_id})

    def unexport(self, volume_id: str, attachment_id: str) -> None:
        with self._lock:
            self._exports.discard(attachment_id)

    def upload(self, volume_id: str, url: str, disk_format: str) -> None:
        raise NotImplementedError  # replaced by the volume service's author

    def inventory(self) -> list[Have]:
        with self._lock:
            kept = [Have("volume", each, size) for each, size in self._volumes.items()]
            kept += [Have("snapshot", each, size) for each, size in self._snapshots.items()]
            kept += [Have("export", each) for each in self._exports]
        return sorted(kept)
