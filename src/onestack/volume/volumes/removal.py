"""How a volume goes: whatever else is under way with it, and all that the backend has of it."""

from typing import Any

from sqlalchemy import select

from onestack.core.flow import Ask, Failure, Flow, Next, step
from onestack.volume.attachments.record import attachments_to
from onestack.volume.backend import Backend
from onestack.volume.places import address
from onestack.volume.snapshots.record import SnapshotRecord
from onestack.volume.volumes.build import described
from onestack.volume.volumes.record import VolumeRecord, set_status


class DeleteVolume(Flow[VolumeRecord]):
    """Ends exports, then snapshots, then the volume; nothing that runs on the volume stops it."""

    event = "volume.delete"
    preempts = True

    @step()
    def begin(self) -> Next:
        set_status(self.subject, "deleting")
        return self.unexport

    @step()
    def unexport(self) -> Next:
        """Only an attachment that is forced away is still there."""
        attachment = next(iter(attachments_to(self.session, self.subject.id)), None)
        if attachment is None:
            return self.delete_snapshot
        if attachment.connection_info is None or self.subject.host is None:
            self.session.delete(attachment)
            return self.unexport
        asked = {"volume_id": self.subject.id, "attachment_id": attachment.id}
        return Ask(address(self.subject.host), Backend.unexport, asked, then=self.unexported)

    @step()
    def unexported(self) -> Next:
        attachment = next(iter(attachments_to(self.session, self.subject.id)), None)
        if attachment is not None:
            self.session.delete(attachment)
        return self.unexport

    @step()
    def delete_snapshot(self) -> Next:
        snapshot = self._next_snapshot()
        if snapshot is None:
            return self.delete_on_backend
        snapshot.status = "deleting"
        asked = {"snapshot_id": snapshot.id}
        where = address(self.subject.host)
        return Ask(where, Backend.delete_snapshot, asked, then=self.snapshot_deleted)

    @step()
    def snapshot_deleted(self) -> Next:
        snapshot = self._next_snapshot()
        if snapshot is not None:
            self.session.delete(snapshot)
        return self.delete_snapshot

    @step()
    def delete_on_backend(self) -> Next:
        if self.subject.host is None:  # no backend ever saw it
            return self.forget
        asked = {"volume_id": self.subject.id}
        return Ask(address(self.subject.host), Backend.delete, asked, then=self.forget)

    @step()
    def forget(self) -> Next:
        self.session.delete(self.subject)
        return None

    def failed(self, failure: Failure) -> None:
        set_status(self.subject, "error_deleting")

    def describe(self) -> dict[str, Any]:
        return described(self.subject)

    def _next_snapshot(self) -> SnapshotRecord | None:
        of_volume = select(SnapshotRecord).where(SnapshotRecord.volume_id == self.subject.id)
        return self.session.scalars(of_volume.order_by(SnapshotRecord.id)).first()
