"""A backend of files: a volume is a raw file in a folder, exported over iSCSI."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from onestack.core import clock, download, shell
from onestack.core.download import Source
from onestack.core.errors import Conflict
from onestack.core.shell import Limits
from onestack.volume.backend import BackendDescription, Connection, Connector, Have, Pool
from onestack.volume.drivers.iscsi import Portal, TargetDaemon

GB = 1 << 30
COPY_TIMEOUT_S = 3600.0
LOOK_TIMEOUT_S = 30.0
LOOK = Limits(address_space_mb=1024, cpu_s=30)
CONVERT = Limits(address_space_mb=4096, cpu_s=3600)
FORMATS = {"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc",
           "vhdx": "vhdx"}  # fmt: skip


class FileOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where volumes are reached, and how much room there is for them (0: what the disk has)."""

    portal_address: str = "127.0.0.1"
    portal_port: int = 0  # a free one
    total_gb: float = 0.0


class NotHere(Conflict):
    """There is no such volume or snapshot on this backend."""


class NotFitting(Conflict):
    """What should be copied is larger than the volume, or no image that volumes are made of."""


class FileBackend:
    """Volumes and snapshots as sparse files; a copy shares its blocks where the disk can do that.

    A file appears under its name when it is whole, and a new one is zeros, so nobody reads what
    was somebody else's.
    """

    def __init__(self, folder: Path, options: FileOptions) -> None:
        self._folder, self._options = folder, options
        portal = Portal(options.portal_address, options.portal_port)
        self._targets = TargetDaemon(folder, portal)
        self._locks: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
        self._mutex = threading.Lock()

    def describe(self) -> BackendDescription:
        self._targets.look_after()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        disk = shutil.disk_usage(self._folder)
        total_gb = self._options.total_gb or disk.total / GB
        promised_gb = sum(each.size_gb for each in self.inventory() if each.kind == "volume")
        pool = Pool(
            name="files",
            total_gb=round(total_gb),
            # In steps, so that each byte that is written is not a change to report.
            free_gb=round(min(disk.free / GB, total_gb)),
            provisioned_gb=promised_gb,
            # tgtd may fail a write that is under way when a LUN's file is opened anew.
            capabilities={"multiattach": True, "online_extend_support": False},
        )
        return BackendDescription(driver="files", pools=[pool])

    def create(self, volume_id: str, size_gb: int) -> None:
        with self._making(self._volume(volume_id)) as new:
            if new is not None:
                new.touch(mode=0o600)
                os.truncate(new, size_gb * GB)

    def create_from_image(self, volume_id: str, size_gb: int, source: Source) -> None:
        with self._making(self._volume(volume_id)) as new:
            if new is None:
                return
            fetched = new.with_suffix(".image")
            try:
                download.fetch(source, fetched)
                self._unpack(fetched, source.disk_format, new, size_gb)
            finally:
                fetched.unlink(missing_ok=True)

    def create_from_snapshot(self, volume_id: str, size_gb: int, snapshot_id: str) -> None:
        self._copied(self._snapshot(snapshot_id), self._volume(volume_id), size_gb)

    def clone(self, volume_id: str, size_gb: int, source_id: str) -> None:
        with self._still(source_id) as source:
            self._copied(source, self._volume(volume_id), size_gb)

    def delete(self, volume_id: str) -> None:
        self._targets.unexport_all(volume_id)
        self._removed(self._volume(volume_id))

    def extend(self, volume_id: str, size_gb: int) -> None:
        path = self._present(self._volume(volume_id))
        if path.stat().st_size < size_gb * GB:
            os.truncate(path, size_gb * GB)

    def revert(self, volume_id: str, snapshot_id: str) -> None:
        path, snapshot = self._present(self._volume(volume_id)), self._snapshot(snapshot_id)
        with self._alone(path):
            size = path.stat().st_size
            new = self._draft(path)
            try:
                _copy(self._present(snapshot), new)
                os.truncate(new, size)
                new.rename(path)
            finally:
                new.unlink(missing_ok=True)

    def snapshot(self, snapshot_id: str, volume_id: str) -> None:
        # Of one moment: at once where files share their blocks, else as long as the copy takes.
        with self._still(volume_id) as volume:
            self._copied(volume, self._snapshot(snapshot_id), 0)

    def delete_snapshot(self, snapshot_id: str) -> None:
        self._removed(self._snapshot(snapshot_id))

    def export(
        self, volume_id: str, attachment_id: str, connector: Connector, is_shared: bool = False
    ) -> Connection:
        path = self._present(self._volume(volume_id))
        with self._alone(path):
            return self._targets.export(
                attachment_id, volume_id, path, connector, is_shared=is_shared
            )

    def unexport(self, volume_id: str, attachment_id: str) -> None:
        self._targets.unexport(attachment_id)

    def upload(self, volume_id: str, url: str, disk_format: str) -> None:
        path = self._present(self._volume(volume_id))
        if disk_format == "raw":
            download.send(path, url)
            return
        image = self._draft(self._folder / f"upload-{volume_id}")
        try:
            kind = FORMATS[disk_format]
            exact = ["-o", "force_size=on"] if kind == "vpc" else []
            shell.run(
                ["qemu-img", "convert", "-f", "raw", "-O", kind, *exact, str(path), str(image)],
                timeout_s=COPY_TIMEOUT_S, limits=CONVERT,
            )  # fmt: skip
            download.send(image, url)
        finally:
            image.unlink(missing_ok=True)

    def inventory(self) -> list[Have]:
        found = [
            Have(kind, path.stem, -(-path.stat().st_size // GB))
            for kind in ("volume", "snapshot")
            for path in (self._folder / f"{kind}s").glob("*.raw")
        ]
        return sorted(found + [Have("export", each.id) for each in self._targets.exports()])

    def take_down(self) -> None:
        """End what runs for volumes; the volumes themselves, and what is exported, stay."""
        self._targets.stop()

    # Files

    def _volume(self, volume_id: str) -> Path:
        return self._folder / "volumes" / f"{_name(volume_id)}.raw"

    def _snapshot(self, snapshot_id: str) -> Path:
        return self._folder / "snapshots" / f"{_name(snapshot_id)}.raw"

    @contextmanager
    def _making(self, path: Path) -> Iterator[Path | None]:
        """Where to make a file that appears under its own name when the block ends well; None when
        it is there."""
        with self._alone(path):
            if path.exists():
                yield None
                return
            new = self._draft(path)
            try:
                yield new
                new.rename(path)
            finally:
                new.unlink(missing_ok=True)

    def _draft(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path.with_name(f".{path.stem}.{clock.new_id()}")

    def _copied(self, source: Path, target: Path, size_gb: int) -> None:
        with self._making(target) as new:
            if new is None:
                return
            _copy(self._present(source), new)
            if size_gb:
                _grow(new, size_gb)

    def _removed(self, path: Path) -> None:
        with self._alone(path):
            path.unlink(missing_ok=True)
            for draft in path.parent.glob(f".{path.stem}.*"):  # of a process that died
                draft.unlink(missing_ok=True)

    def _present(self, path: Path) -> Path:
        if not path.exists():
            raise NotHere(f"{path.parent.name[:-1]} {path.stem} is not on this backend")
        return path

    @contextmanager
    def _still(self, volume_id: str) -> Iterator[Path]:
        """A volume that nobody writes to meanwhile: who has it waits, and who wants it too."""
        path = self._volume(volume_id)
        with self._alone(path), self._targets.still(volume_id):
            yield path

    @contextmanager
    def _alone(self, path: Path) -> Iterator[None]:
        """One change of a file at a time."""
        with self._mutex:
            lock = self._locks.get(path.name)
            if lock is None:
                lock = self._locks[path.name] = threading.Lock()
        with lock:
            yield

    def _unpack(self, image: Path, disk_format: str, new: Path, size_gb: int) -> None:
        """Write an image's disk into a new file, by its declared format and no other."""
        kind = FORMATS.get(disk_format)
        if kind is None:
            if disk_format not in ("iso", "ami"):
                raise NotFitting(f"no volume is made of an image in the format {disk_format}")
            kind = "raw"
        if kind == "raw":
            _copy(image, new)
        else:
            _check(image, kind, size_gb)
            shell.run(
                ["qemu-img", "convert", "-f", kind, "-O", "raw", str(image), str(new)],
                timeout_s=COPY_TIMEOUT_S, limits=CONVERT,
            )  # fmt: skip
        _grow(new, size_gb)


def _check(image: Path, kind: str, size_gb: int) -> None:
    """Refuse an image that reads other files, or is larger than its volume."""
    argv = ["qemu-img", "info", "-f", kind, "--output=json", str(image)]
    said = json.loads(shell.run(argv, timeout_s=LOOK_TIMEOUT_S, limits=LOOK).stdout)
    if any(name.startswith(("backing", "full-backing")) for name in said):
        raise NotFitting("the image has a backing file")
    specific: dict[str, Any] = said.get("format-specific", {}).get("data", {})
    if "data-file" in specific:
        raise NotFitting("the image has a data file")
    if said["virtual-size"] > size_gb * GB:
        raise NotFitting(f"the image is larger than {size_gb} GB")


def _grow(path: Path, size_gb: int) -> None:
    if path.stat().st_size > size_gb * GB:
        raise NotFitting(f"what is copied is larger than {size_gb} GB")
    os.truncate(path, size_gb * GB)


def _copy(source: Path, target: Path) -> None:
    """The same content in another file, with holes where there are zeros."""
    target.touch(mode=0o600)
    argv = ["cp", "--reflink=auto", "--sparse=always", str(source), str(target)]
    shell.run(argv, timeout_s=COPY_TIMEOUT_S)


def _name(text: str) -> str:
    """An id as a file's name."""
    if "/" in text or text.startswith("."):
        raise NotHere(f"{text[:64]!r} is no id")
    return shell.value(text)
