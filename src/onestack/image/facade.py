"""What the other services do with images: look at them, and make them of disks."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock, event
from onestack.core.errors import BadRequest
from onestack.image.images.access import VISIBLE_TO_ALL
from onestack.image.images.events import payload
from onestack.image.images.record import (
    ImageMemberRecord,
    ImageNotFound,
    ImagePropertyRecord,
    ImageRecord,
    ImageTagRecord,
    add_properties,
)


class UnreadableMapping(BadRequest):
    message = "Image {image_id} has a block_device_mapping that is no list of block devices."


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image, as much as is needed to make a disk of it."""

    id: str
    name: str | None
    owner: str | None
    status: str
    visibility: str
    disk_format: str | None
    container_format: str | None
    size: int | None
    virtual_size: int | None
    min_disk: int
    min_ram: int
    checksum: str | None
    properties: dict[str, str]
    tags: list[str]

    @property
    def minimum_gb(self) -> int:
        """How large a disk must be to hold it."""
        size = max(self.virtual_size or 0, self.size or 0)
        return max(self.min_disk, -(-size // (1 << 30)))

    @property
    def block_devices(self) -> list[dict[str, Any]]:
        """The disks that it says its servers have: an image of a server's volumes has no data."""
        text = self.properties.get("block_device_mapping") or "[]"
        try:
            found = msgspec.json.decode(text, type=list[dict[str, Any]])
        except (msgspec.DecodeError, RecursionError):
            raise UnreadableMapping(image_id=self.id) from None
        if "\\u0000" in text:  # which no database takes
            raise UnreadableMapping(image_id=self.id)
        return found


class Draft(msgspec.Struct, frozen=True):
    """An image that will be made of a disk."""

    name: str
    project_id: str
    disk_format: str = "qcow2"
    container_format: str = "bare"
    visibility: str = "private"
    min_disk: int = 0
    min_ram: int = 0
    protected: bool = False
    needs_data: bool = True  # else its properties name snapshots of volumes, and it is ready
    properties: Mapping[str, str] = {}


def describe(
    session: Session, image_id: str, project_id: str | None, is_admin: bool = False
) -> Image:
    """An image that a project may use; `ImageNotFound` when there is none for it."""
    record = session.get(ImageRecord, image_id)
    if record is None or not (is_admin or _is_seen(session, record, project_id)):
        raise ImageNotFound(image_id=image_id[:64])
    properties = session.execute(
        select(ImagePropertyRecord.name, ImagePropertyRecord.value).where(
            ImagePropertyRecord.image_id == image_id
        )
    )
    tags = session.scalars(select(ImageTagRecord.value).where(ImageTagRecord.image_id == image_id))
    return Image(
        id=record.id, name=record.name, owner=record.owner, status=record.status,
        visibility=record.visibility, disk_format=record.disk_format,
        container_format=record.container_format, size=record.size,
        virtual_size=record.virtual_size, min_disk=record.min_disk, min_ram=record.min_ram,
        checksum=record.checksum, tags=sorted(tags),
        properties={row.name: row.value for row in properties},
    )  # fmt: skip


def draft(session: Session, wanted: Draft) -> str:
    """Make an image that waits for the data that a host will send; its id."""
    now = clock.now()
    record = ImageRecord(
        id=str(UUID(clock.new_id())), name=wanted.name, owner=wanted.project_id,
        status="queued" if wanted.needs_data else "active", size=None if wanted.needs_data else 0,
        visibility=wanted.visibility, protected=wanted.protected, os_hidden=False,
        disk_format=wanted.disk_format, container_format=wanted.container_format,
        min_disk=wanted.min_disk, min_ram=wanted.min_ram, created_at=now, updated_at=now,
    )  # fmt: skip
    session.add(record)
    session.flush()
    add_properties(session, record.id, wanted.properties)
    event.emit(session, "image.create", payload(record), record.owner, record.id)
    return record.id


def has_data(session: Session, image_id: str) -> bool:
    """Whether the data of a draft has come."""
    wanted = select(ImageRecord.status).where(ImageRecord.id == image_id)
    return session.scalar(wanted) == "active"


def abandon(session: Session, image_id: str, *, even_complete: bool = False) -> None:
    """Forget a draft whose data will not come; what came of it is cleared away by upkeep."""
    record = session.get(ImageRecord, image_id, with_for_update=True)
    if record is not None and (even_complete or record.status != "active"):
        session.delete(record)
        event.emit(session, "image.delete", payload(record), record.owner, image_id)


def rotate(session: Session, project_id: str, like: Mapping[str, str], keep: int) -> None:
    """Keep the newest of a project's images that have these properties, and forget the others."""
    wanted = select(ImageRecord.id).where(
        ImageRecord.owner == project_id, ImageRecord.status == "active"
    )
    for name, value in like.items():
        of_property = select(ImagePropertyRecord.image_id).where(
            ImagePropertyRecord.name == name, ImagePropertyRecord.value == value
        )
        wanted = wanted.where(ImageRecord.id.in_(of_property))
    newest = wanted.order_by(ImageRecord.created_at.desc(), ImageRecord.id)
    for image_id in session.scalars(newest).all()[keep:]:
        abandon(session, image_id, even_complete=True)


def _is_seen(session: Session, record: ImageRecord, project_id: str | None) -> bool:
    if record.visibility in VISIBLE_TO_ALL or record.owner == project_id:
        return True
    if record.visibility != "shared" or project_id is None:
        return False
    return session.get(ImageMemberRecord, (record.id, project_id)) is not None
