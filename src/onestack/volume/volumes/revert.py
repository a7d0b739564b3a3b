"""Bring a volume back to its last snapshot."""

from typing import Any

from sqlalchemy import select

from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.flow import Ask, Failure, Flow, Next, step
from onestack.core.shapes import Id, Shape
from onestack.volume import rules
from onestack.volume.attachments.settle import rest
from onestack.volume.backend import Backend
from onestack.volume.places import address
from onestack.volume.snapshots.record import InvalidSnapshot, SnapshotRecord, snapshot_of
from onestack.volume.volumes import access
from onestack.volume.volumes.build import DATA_TIMEOUT_S, described
from onestack.volume.volumes.order import InvalidInput
from onestack.volume.volumes.record import VolumeRecord, set_status

api = Operations("volumes")


class RevertBody(Shape, forbid_unknown_fields=True):
    """Which snapshot: only the last one can be gone back to."""

    snapshot_id: Id


class RevertVolume(Flow[VolumeRecord]):
    """Have the backend put the snapshot's content into the volume."""

    event = "volume.revert"

    snapshot_id: str

    @step()
    def revert_on_backend(self) -> Next:
        asked = {"volume_id": self.subject.id, "snapshot_id": self.snapshot_id}
        return Ask(
            address(self.subject.host), Backend.revert, asked, then=self.reverted,
            timeout_s=DATA_TIMEOUT_S,
        )  # fmt: skip

    @step()
    def reverted(self) -> Next:
        self._free_snapshot()
        rest(self.session, self.subject)
        return None

    def failed(self, failure: Failure) -> None:
        self._free_snapshot()
        set_status(self.subject, "error")

    def describe(self) -> dict[str, Any]:
        return described(self.subject)

    def _free_snapshot(self) -> None:
        snapshot = self.session.get(SnapshotRecord, self.snapshot_id)
        if snapshot is not None and snapshot.status == "restoring":
            snapshot.status = "available"


@api.post(
    "/v3/volumes/{volume_id}/action",
    rules.rule("volume:revert_to_snapshot", rules.WRITE),
    action="revert",
    since="3.40",
    status=202,
)
def revert(ctx: Context, volume_id: str, body: RevertBody) -> None:
    """Bring a volume back to its last snapshot."""

    def check(volume: VolumeRecord) -> None:
        access.in_status(volume, "available")
        snapshot = snapshot_of(ctx.session, body.snapshot_id, volume.project_id)
        of_volume = select(SnapshotRecord).where(SnapshotRecord.volume_id == volume.id)
        last = ctx.session.scalars(of_volume.order_by(SnapshotRecord.created_at.desc())).first()
        if last is None or last.id != snapshot.id:
            raise InvalidInput(
                reason=f"Specified snapshot {snapshot.id} is None or not the latest one of "
                f"volume {volume.id}."
            )
        if snapshot.status != "available" or snapshot.volume_size != volume.size:
            raise InvalidSnapshot(reason="It is not available, or the volume was extended since.")

    volume = access.starting(ctx, volume_id, RevertVolume, check, snapshot_id=body.snapshot_id)
    snapshot_of(ctx.session, body.snapshot_id, None).status = "restoring"
    set_status(volume, "reverting")
