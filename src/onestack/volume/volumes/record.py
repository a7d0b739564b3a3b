"""A volume's row, and what its states mean."""

import datetime as dt
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import clock
from onestack.core.db import Record
from onestack.core.errors import BadRequest, NotFound

TOPIC = "volume"


class VolumeRecord(Record):
    """A volume: `host` is the agent that keeps it, `pool` where it does."""

    __tablename__ = "volumes"
    __table_args__ = (Index("ix_volumes_project_id_created_at", "project_id", "created_at"),)
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]
    user_id: Mapped[str]
    name: Mapped[str | None]
    description: Mapped[str | None]
    size: Mapped[int]
    status: Mapped[str]
    availability_zone: Mapped[str]
    volume_type_id: Mapped[str] = mapped_column(index=True)
    snapshot_id: Mapped[str | None]
    source_volid: Mapped[str | None]
    image_id: Mapped[str | None]
    host: Mapped[str | None] = mapped_column(index=True)
    driver: Mapped[str | None]  # what that backend calls itself
    pool: Mapped[str | None]
    is_bootable: Mapped[bool] = mapped_column(default=False)
    is_multiattach: Mapped[bool] = mapped_column(default=False)
    is_readonly: Mapped[bool | None]
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata")
    image_metadata: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime | None]
    launched_at: Mapped[dt.datetime | None]


class VolumeNotFound(NotFound):
    message = "Volume {volume_id} could not be found."


class InvalidVolume(BadRequest):
    message = "Invalid volume: {reason}"


def new_id() -> str:
    """A fresh id, as the volume service writes them."""
    return str(UUID(clock.new_id()))


def volume_of(session: Session, volume_id: str, project_id: str | None) -> VolumeRecord:
    """A volume, when it is of this project (None: of any), or `VolumeNotFound`."""
    found = session.get(VolumeRecord, volume_id)
    if found is None or project_id not in (None, found.project_id):
        raise VolumeNotFound(volume_id=volume_id[:64])
    return found


def locked(session: Session, volume_id: str) -> VolumeRecord | None:
    """A volume whose row nobody else changes until this transaction ends."""
    wanted = select(VolumeRecord).where(VolumeRecord.id == volume_id).with_for_update()
    return session.scalar(wanted.execution_options(populate_existing=True))


def set_status(record: VolumeRecord, status: str) -> None:
    """Let a volume be in another state from now on."""
    record.status, record.updated_at = status, clock.now()
