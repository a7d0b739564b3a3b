"""An attachment as clients see it."""

from typing import Any

from onestack.core.moments import precise
from onestack.core.shapes import Shape
from onestack.volume.attachments.record import AttachmentRecord


class AttachmentBrief(Shape):
    """An attachment in a list without details."""

    id: str
    status: str
    instance: str | None
    volume_id: str


class AttachmentView(AttachmentBrief):
    """An attachment; how the volume is reached is told to whoever asked for it."""

    attached_at: str
    detached_at: str
    attach_mode: str
    connection_info: dict[str, Any]


def brief(record: AttachmentRecord) -> AttachmentBrief:
    """An attachment in short."""
    return AttachmentBrief(
        id=record.id,
        status=record.attach_status,
        instance=record.server_id,
        volume_id=record.volume_id,
    )


def view(record: AttachmentRecord) -> AttachmentView:
    """An attachment with details; the secrets of a server's own are compute's alone."""
    known = record.connection_info or {}
    data = {} if record.is_of_server else known.get("data", {})
    kind = known.get("driver_volume_type")
    about = {"attachment_id": record.id, "volume_id": record.volume_id}
    connection = {"driver_volume_type": kind, **data, **about} if data else {}
    return AttachmentView(
        id=record.id,
        status=record.attach_status,
        instance=record.server_id,
        volume_id=record.volume_id,
        attached_at=precise(record.attached_at) or "",
        detached_at="",
        attach_mode=record.attach_mode,
        connection_info=connection,
    )
