"""The rows of volume types: what they promise, and who may use them."""

import datetime as dt
from collections.abc import Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    Connection,
    ForeignKey,
    Select,
    Table,
    bindparam,
    event,
    insert,
    or_,
    select,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Record
from onestack.core.errors import NotFound
from onestack.volume.volumes.record import TOPIC

DEFAULT_ID, DEFAULT_NAME = "6c81c680-df58-4512-81e7-ecf66d160638", "__DEFAULT__"


class VolumeTypeRecord(Record):
    """A kind of volume; its extra specs say which backends may keep it."""

    __tablename__ = "volume_types"
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None]
    is_public: Mapped[bool]
    extra_specs: Mapped[dict[str, Any]]
    qos_specs_id: Mapped[str | None] = mapped_column(index=True)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime | None]


class VolumeTypeAccessRecord(Record):
    """A project that may use a type which is not for everybody."""

    __tablename__ = "volume_type_access"
    topic = TOPIC

    volume_type_id: Mapped[str] = mapped_column(
        ForeignKey("volume_types.id", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[str] = mapped_column(primary_key=True, index=True)


class DefaultTypeRecord(Record):
    """The type of a project's volumes that name none."""

    __tablename__ = "volume_default_types"
    topic = TOPIC

    project_id: Mapped[str] = mapped_column(primary_key=True)
    volume_type_id: Mapped[str] = mapped_column(ForeignKey("volume_types.id"), index=True)


class TypeNotFound(NotFound):
    message = "Volume type {type_id} could not be found."


class TypeNameNotFound(NotFound):
    message = "Volume type with name {name} could not be found."


def default_type(session: Session, project_id: str) -> VolumeTypeRecord:
    """The type of a volume of this project that names none."""
    wanted = {"project_id": project_id}
    found: Sequence[VolumeTypeRecord] = session.scalars(_default_types(), wanted).all()
    return next((each for each in found if each.name != DEFAULT_NAME), found[0])


@cache
def _default_types() -> Select[Any]:
    """The type of everybody, and that of the project, if it has one of its own."""
    kind, chosen = VolumeTypeRecord, DefaultTypeRecord
    of_project = select(chosen.volume_type_id).where(chosen.project_id == bindparam("project_id"))
    return select(kind).where(
        or_(kind.name == DEFAULT_NAME, kind.id == of_project.scalar_subquery())
    )


def may_use(session: Session, record: VolumeTypeRecord, project_id: str | None) -> bool:
    """Whether a project may have volumes of a type."""
    key = (record.id, project_id)
    return record.is_public or session.get(VolumeTypeAccessRecord, key) is not None


def type_named(
    session: Session, text: str, project_id: str | None, is_admin: bool
) -> VolumeTypeRecord:
    """The type of this name or id, when the project may use it; else `TypeNameNotFound`."""
    by_name = select(VolumeTypeRecord).where(VolumeTypeRecord.name == text)
    found = session.scalar(by_name) or session.get(VolumeTypeRecord, text)
    if found is None or not (is_admin or may_use(session, found, project_id)):
        raise TypeNameNotFound(name=text[:255])
    return found


@event.listens_for(cast(Table, VolumeTypeRecord.__table__), "after_create")
def _add_default(table: Table, connection: Connection, **_options: Any) -> None:
    """Every cloud begins with the type that volumes have when nobody says which."""
    connection.execute(
        insert(table).values(
            id=DEFAULT_ID, name=DEFAULT_NAME, description="Default Volume Type", is_public=True,
            extra_specs={}, created_at=dt.datetime(2026, 1, 1),
        )
    )  # fmt: skip
