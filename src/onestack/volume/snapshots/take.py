"""How a snapshot comes to be, and how it goes."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.flow import Ask, Failure, Flow, Next, step
from onestack.volume import messages, quotas
from onestack.volume.backend import Backend
from onestack.volume.places import address
from onestack.volume.snapshots.record import SnapshotRecord
from onestack.volume.types.record import VolumeTypeRecord
from onestack.volume.volumes.record import InvalidVolume, VolumeRecord, new_id

TIMEOUT_S = 3600.0


class CreateSnapshot(Flow[SnapshotRecord]):
    """Have the backend keep what the volume holds now."""

    event = "snapshot.create"

    @classmethod
    def enter(  # noqa: PLR0913 - what a snapshot is described by
        cls, session: Session, volume: VolumeRecord, user_id: str, *, name: str | None = None,
        description: str | None = None, metadata: Mapping[str, str] = {}, force: bool = False,
    ) -> SnapshotRecord:  # fmt: skip
        """A new snapshot's row, which this flow makes one of; by force of a volume in use too."""
        fitting = ("available", "in-use") if force else ("available",)
        if volume.status not in fitting:
            raise InvalidVolume(
                reason=f"Volume {volume.id} status must be {' or '.join(fitting)}, "
                f"but current status is: {volume.status}."
            )
        kind = session.get_one(VolumeTypeRecord, volume.volume_type_id)
        more = {"snapshots": 1, "gigabytes": volume.size}
        quotas.check(session, volume.project_id, kind, more)
        record = SnapshotRecord(
            id=new_id(), volume_id=volume.id, project_id=volume.project_id,
            user_id=user_id, name=name, description=description,
            status="creating", progress="0%", volume_size=volume.size, volume_type_id=kind.id,
            metadata_=dict(metadata), created_at=clock.now(),
        )  # fmt: skip
        session.add(record)
        session.flush()
        return record

    @step()
    def create_on_backend(self) -> Next:
        volume = self.session.get_one(VolumeRecord, self.subject.volume_id)
        asked = {"snapshot_id": self.subject.id, "volume_id": volume.id}
        return Ask(
            address(volume.host), Backend.snapshot, asked, then=self.created, timeout_s=TIMEOUT_S
        )

    @step()
    def created(self) -> Next:
        _show(self.subject, "available", "100%")
        return None

    def failed(self, failure: Failure) -> None:
        _show(self.subject, "error", self.subject.progress)
        messages.tell(self.session, self.subject, "012_001", f"create snapshot:{failure.text}")

    def describe(self) -> dict[str, Any]:
        return described(self.subject)


class DeleteSnapshot(Flow[SnapshotRecord]):
    """Have the backend forget it; a creation that is under way ends."""

    event = "snapshot.delete"
    preempts = True

    @step()
    def delete_on_backend(self) -> Next:
        volume = self.session.get_one(VolumeRecord, self.subject.volume_id)
        asked = {"snapshot_id": self.subject.id}
        return Ask(address(volume.host), Backend.delete_snapshot, asked, then=self.forget)

    @step()
    def forget(self) -> Next:
        self.session.delete(self.subject)
        return None

    def failed(self, failure: Failure) -> None:
        _show(self.subject, "error_deleting", self.subject.progress)

    def describe(self) -> dict[str, Any]:
        return described(self.subject)


def described(snapshot: SnapshotRecord) -> dict[str, Any]:
    """What notifications say of a snapshot."""
    return {
        "project_id": snapshot.project_id, "volume_id": snapshot.volume_id,
        "name": snapshot.name, "size": snapshot.volume_size, "status": snapshot.status,
    }  # fmt: skip


def _show(snapshot: SnapshotRecord, status: str, progress: str) -> None:
    snapshot.status, snapshot.progress, snapshot.updated_at = status, progress, clock.now()
