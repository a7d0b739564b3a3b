"""A snapshot's row."""

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Record
from onestack.core.errors import BadRequest, NotFound
from onestack.volume.volumes.record import TOPIC


class SnapshotRecord(Record):
    """What a volume held at one moment; it is kept where the volume is."""

    __tablename__ = "volume_snapshots"
    __table_args__ = (Index("ix_volume_snapshots_project_id_created_at", "project_id",
                            "created_at"),)  # fmt: skip
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    volume_id: Mapped[str] = mapped_column(ForeignKey("volumes.id"), index=True)
    project_id: Mapped[str]
    user_id: Mapped[str]
    name: Mapped[str | None]
    description: Mapped[str | None]
    status: Mapped[str]
    progress: Mapped[str]
    volume_size: Mapped[int]
    volume_type_id: Mapped[str]
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata")
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime | None]


class SnapshotNotFound(NotFound):
    message = "Snapshot {snapshot_id} could not be found."


class InvalidSnapshot(BadRequest):
    message = "Invalid snapshot: {reason}"


def snapshot_of(session: Session, snapshot_id: str, project_id: str | None) -> SnapshotRecord:
    """A snapshot, when it is of this project (None: of any), or `SnapshotNotFound`."""
    found = session.get(SnapshotRecord, snapshot_id)
    if found is None or project_id not in (None, found.project_id):
        raise SnapshotNotFound(snapshot_id=snapshot_id[:64])
    return found
