"""What every thing of a network has: an owner, a name, times, a revision and tags."""

import datetime as dt
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ColumnElement, Text, TypeDecorator, type_coerce
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core import clock

TOPIC = "network"
SEPARATOR = "\n"  # no tag has one


class Tags(TypeDecorator[list[str]]):
    """Tags in one column, each between separators: a list costs no join, and LIKE finds one."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: list[str] | None, _dialect: Any) -> str:
        return "".join(f"{SEPARATOR}{each}" for each in sorted(set(value or ()))) + SEPARATOR

    def process_result_value(self, value: str | None, _dialect: Any) -> list[str]:
        return value[1:-1].split(SEPARATOR) if value and value != SEPARATOR else []


class Standard:
    """The columns that networks, subnets, ports, routers and the like share."""

    topic: ClassVar[str | None] = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(index=True)
    name: Mapped[str] = mapped_column(default="")
    description: Mapped[str] = mapped_column(default="")
    tags: Mapped[list[str]] = mapped_column(Tags, default=list)
    revision_number: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


def has_tag(column: Any, tag: str) -> ColumnElement[bool]:
    """Whether a `tags` column holds a tag."""
    found: ColumnElement[bool] = type_coerce(column, Text).contains(
        f"{SEPARATOR}{tag}{SEPARATOR}", autoescape=True
    )
    return found


def new_id() -> str:
    """A fresh id, with dashes as clients expect it."""
    return str(UUID(clock.new_id()))


def touch(record: Standard) -> None:
    """Note that a thing changed now."""
    record.revision_number += 1
    record.updated_at = clock.now()


def iso(moment: dt.datetime) -> str:
    """A moment as Neutron writes it."""
    return moment.isoformat(timespec="seconds") + "Z"
