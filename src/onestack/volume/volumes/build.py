"""How a volume comes to be: scheduled, made by a backend, and told of."""

from typing import Any

from sqlalchemy import select

from onestack import image
from onestack.core import clock
from onestack.core.flow import Ask, Failure, Flow, Next, step
from onestack.volume import messages, scheduler
from onestack.volume.attachments.settle import rest
from onestack.volume.backend import Backend
from onestack.volume.places import address, places
from onestack.volume.scheduler import NoValidBackend, Wanted
from onestack.volume.snapshots.record import SnapshotRecord
from onestack.volume.types.record import VolumeTypeRecord
from onestack.volume.volumes.record import VolumeRecord, set_status

TRIES = 3
DATA_TIMEOUT_S = 3600.0  # of what moves a volume's bytes


class CreateVolume(Flow[VolumeRecord]):
    """The part of a creation that comes after its request: see `create.py` for what is before."""

    event = "volume.create"

    hints: dict[str, list[str]] = {}
    tried: list[str] = []
    last_failure: str = ""

    @step()
    def schedule(self) -> Next:
        chosen = scheduler.choose(self._wanted(), places(self.session))
        self.subject.host, self.subject.pool = chosen.host, chosen.pool
        self.subject.driver = chosen.backend_name
        return self.create_on_backend

    @step()
    def create_on_backend(self) -> Next:
        volume = self.subject
        method, more = self._source()
        if volume.image_id is not None:
            set_status(volume, "downloading")
        asked = {"volume_id": volume.id, "size_gb": volume.size, **more}
        return Ask(
            address(volume.host), method, asked, then=self.created, otherwise=self.clean_up,
            timeout_s=DATA_TIMEOUT_S,
        )  # fmt: skip

    @step()
    def created(self) -> Next:
        rest(self.session, self.subject)
        self.subject.launched_at = clock.now()
        return None

    @step()
    def clean_up(self, failure: Failure) -> Next:
        """The backend could not; what it left goes, and perhaps another one can."""
        volume = self.subject
        self.tried = [*self.tried, str(volume.host)]
        self.last_failure = failure.text
        asked = {"volume_id": volume.id}
        return Ask(
            address(volume.host), Backend.delete, asked, then=self.reschedule,
            otherwise=self.reschedule,
        )  # fmt: skip

    @step()
    def reschedule(self) -> Next:
        self.subject.host = self.subject.driver = self.subject.pool = None
        if len(self.tried) >= TRIES or self._source_host() is not None:
            raise Failure("BackendFailed", self.last_failure, "create_on_backend")
        set_status(self.subject, "creating")
        return self.schedule

    def failed(self, failure: Failure) -> None:
        set_status(self.subject, "error")
        is_refused = failure.error == NoValidBackend.__name__
        told = "Could not find any available weighted backend." if is_refused else failure.text
        messages.tell(self.session, self.subject, "001_003", f"schedule allocate volume:{told}")

    def describe(self) -> dict[str, Any]:
        return described(self.subject)

    def _wanted(self) -> Wanted:
        volume = self.subject
        kind = self.session.get_one(VolumeTypeRecord, volume.volume_type_id)
        return Wanted(
            size_gb=volume.size,
            availability_zone=volume.availability_zone,
            extra_specs=kind.extra_specs,
            host=self._source_host(),
            excluded=frozenset(self.tried),
            same_hosts=self._hosts("same_host"),
            different_hosts=self._hosts("different_host"),
        )

    def _source_host(self) -> str | None:
        """Where the source is, when only that backend can read it."""
        volume = self.subject
        source_id = volume.source_volid
        if volume.snapshot_id is not None:
            snapshot = self.session.get(SnapshotRecord, volume.snapshot_id)
            source_id = snapshot.volume_id if snapshot is not None else None
        source = self.session.get(VolumeRecord, source_id) if source_id is not None else None
        return source.host if source is not None else None

    def _source(self) -> tuple[Any, dict[str, Any]]:
        """Which method makes the volume, and from what."""
        volume = self.subject
        if volume.snapshot_id is not None:
            return Backend.create_from_snapshot, {"snapshot_id": volume.snapshot_id}
        if volume.source_volid is not None:
            return Backend.clone, {"source_id": volume.source_volid}
        if volume.image_id is not None:
            return Backend.create_from_image, {"source": image.source(self.cloud, volume.image_id)}
        return Backend.create, {}

    def _hosts(self, hint: str) -> frozenset[str]:
        ids = self.hints.get(hint)
        if not ids:
            return frozenset()
        hosts = select(VolumeRecord.host).where(VolumeRecord.id.in_(ids))
        return frozenset(host for host in self.session.scalars(hosts) if host is not None)


def described(volume: VolumeRecord) -> dict[str, Any]:
    """What notifications say of a volume."""
    return {
        "project_id": volume.project_id, "user_id": volume.user_id, "name": volume.name,
        "size": volume.size, "status": volume.status, "volume_type": volume.volume_type_id,
        "availability_zone": volume.availability_zone, "host": volume.host,
        "snapshot_id": volume.snapshot_id, "source_volid": volume.source_volid,
    }  # fmt: skip
