"""A snapshot as clients see it."""

from typing import Annotated, Any

from onestack.core.context import Context
from onestack.core.moments import precise
from onestack.core.shapes import Shape, field, since
from onestack.volume.snapshots.record import SnapshotRecord


class SnapshotBrief(Shape):
    """A snapshot in a list without details."""

    id: str
    name: str | None
    description: str | None
    volume_id: str
    status: str
    size: int
    metadata: dict[str, Any]
    created_at: str | None
    updated_at: str | None
    user_id: Annotated[str, since("3.41")]
    consumes_quota: Annotated[bool, since("3.65")]


class SnapshotView(SnapshotBrief):
    """A snapshot with all that is known of it."""

    progress: str = field(name="os-extended-snapshot-attributes:progress")
    project_id: str = field(name="os-extended-snapshot-attributes:project_id")
    group_snapshot_id: Annotated[None, since("3.14")] = None


def brief(_ctx: Context, record: SnapshotRecord) -> SnapshotBrief:
    """A snapshot in short."""
    return SnapshotBrief(**_known(record))


def view(_ctx: Context, record: SnapshotRecord) -> SnapshotView:
    """A snapshot with all that is known of it."""
    return SnapshotView(**_known(record), progress=record.progress, project_id=record.project_id)


def _known(record: SnapshotRecord) -> dict[str, Any]:
    return {
        "id": record.id, "name": record.name, "description": record.description,
        "volume_id": record.volume_id, "status": record.status, "size": record.volume_size,
        "metadata": record.metadata_, "created_at": precise(record.created_at),
        "updated_at": precise(record.updated_at), "user_id": record.user_id, "consumes_quota": True,
    }  # fmt: skip
