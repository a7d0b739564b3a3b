"""An image's rows: itself, its own properties, its tags, and whom it is shared with."""

import datetime as dt
from collections.abc import Iterable, Mapping

from sqlalchemy import BigInteger, ForeignKey, Index, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import clock
from onestack.core.db import Record
from onestack.core.errors import NotFound

TOPIC = "image"
WITH_DATA = ("active", "deactivated")  # whose data was examined, and is complete


class ImageRecord(Record):
    """An image; its data is in the store under a name that no other data ever had."""

    __tablename__ = "images"
    __table_args__ = (
        Index("ix_images_created_at_id", "created_at", "id"),
        Index("ix_images_owner_visibility", "owner", "visibility"),
    )
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    owner: Mapped[str | None]
    status: Mapped[str] = mapped_column(index=True)
    visibility: Mapped[str]
    protected: Mapped[bool] = mapped_column(default=False)
    os_hidden: Mapped[bool] = mapped_column(default=False)
    disk_format: Mapped[str | None]
    container_format: Mapped[str | None]
    min_disk: Mapped[int] = mapped_column(default=0)
    min_ram: Mapped[int] = mapped_column(default=0)
    size: Mapped[int | None] = mapped_column(BigInteger)
    virtual_size: Mapped[int | None] = mapped_column(BigInteger)
    checksum: Mapped[str | None]
    os_hash_algo: Mapped[str | None]
    os_hash_value: Mapped[str | None]
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    data: Mapped[str | None] = mapped_column(unique=True)  # also while it is being uploaded
    upload_seen_at: Mapped[dt.datetime | None]  # when an upload was last known to be under way
    failed_import: Mapped[str | None]  # the store that the last import failed in, if it did


class ImagePropertyRecord(Record):
    """What an image's owner says of it besides."""

    __tablename__ = "image_properties"
    __table_args__ = (Index("ix_image_properties_name_value", "name", "value"),)
    topic = TOPIC

    image_id: Mapped[str] = mapped_column(
        ForeignKey("images.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class ImageTagRecord(Record):
    """A tag of an image."""

    __tablename__ = "image_tags"
    topic = TOPIC

    image_id: Mapped[str] = mapped_column(
        ForeignKey("images.id", ondelete="CASCADE"), primary_key=True
    )
    value: Mapped[str] = mapped_column(primary_key=True, index=True)


class ImageMemberRecord(Record):
    """A project that an image is shared with, and what that project said to it."""

    __tablename__ = "image_members"
    topic = TOPIC

    image_id: Mapped[str] = mapped_column(
        ForeignKey("images.id", ondelete="CASCADE"), primary_key=True
    )
    member: Mapped[str] = mapped_column(primary_key=True, index=True)
    status: Mapped[str]
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class ImageNotFound(NotFound):
    message = "No image found with ID {image_id}"


def tags_of(session: Session, image_id: str) -> set[str]:
    """An image's tags."""
    return set(
        session.scalars(select(ImageTagRecord.value).where(ImageTagRecord.image_id == image_id))
    )


def properties_of(session: Session, image_id: str) -> dict[str, str]:
    """What is said of an image besides."""
    rows = session.execute(
        select(ImagePropertyRecord.name, ImagePropertyRecord.value).where(
            ImagePropertyRecord.image_id == image_id
        )
    )
    return {row.name: row.value for row in rows}


def keep_tags(session: Session, image_id: str, tags: Iterable[str]) -> None:
    """Let an image have these tags, and no others."""
    session.execute(delete(ImageTagRecord).where(ImageTagRecord.image_id == image_id))
    add_tags(session, image_id, tags)


def add_tags(session: Session, image_id: str, tags: Iterable[str]) -> None:
    """Put tags on an image that has none of them."""
    session.add_all(ImageTagRecord(image_id=image_id, value=each) for each in sorted(set(tags)))


def keep_properties(session: Session, image_id: str, properties: Mapping[str, str]) -> None:
    """Let an image have these properties, and no others."""
    session.execute(delete(ImagePropertyRecord).where(ImagePropertyRecord.image_id == image_id))
    add_properties(session, image_id, properties)


def add_properties(session: Session, image_id: str, properties: Mapping[str, str]) -> None:
    """Say more of an image that has none of these properties."""
    session.add_all(
        ImagePropertyRecord(image_id=image_id, name=name, value=value)
        for name, value in sorted(properties.items())
    )


def touch(record: ImageRecord) -> None:
    """Note that an image changed now."""
    record.updated_at = clock.now()
