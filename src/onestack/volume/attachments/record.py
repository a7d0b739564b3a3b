"""An attachment's row, and what is read of attachments."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import JSON, ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Record
from onestack.core.errors import NotFound
from onestack.volume.volumes.record import TOPIC


class AttachmentRecord(Record):
    """A volume in the hands of a server or a host.

    `is_of_server` says that compute made it for a server of its own: only compute ends it.
    """

    __tablename__ = "volume_attachments"
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    volume_id: Mapped[str] = mapped_column(ForeignKey("volumes.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[str] = mapped_column(index=True)
    server_id: Mapped[str | None] = mapped_column(index=True)
    is_of_server: Mapped[bool] = mapped_column(default=False)
    attached_host: Mapped[str | None]
    mountpoint: Mapped[str | None]
    attach_mode: Mapped[str]
    attach_status: Mapped[str]  # reserved, attaching, attached, detaching or error_attaching
    connector: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    connection_info: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[dt.datetime]
    attached_at: Mapped[dt.datetime | None]


class AttachmentNotFound(NotFound):
    message = "Volume attachment could not be found with filter: attachment_id = {attachment_id}."


def attachments_of(session: Session, server_ids: Iterable[str]) -> Sequence[AttachmentRecord]:
    """All attachments of these servers, the oldest first, in one statement."""
    wanted = select(AttachmentRecord).where(AttachmentRecord.server_id.in_(list(server_ids)))
    return session.scalars(wanted.order_by(AttachmentRecord.created_at)).all()


def attachments_to(session: Session, volume_id: str) -> Sequence[AttachmentRecord]:
    """Everybody who has a volume, or is about to have it."""
    wanted = select(AttachmentRecord).where(AttachmentRecord.volume_id == volume_id)
    return session.scalars(wanted.order_by(AttachmentRecord.created_at)).all()
