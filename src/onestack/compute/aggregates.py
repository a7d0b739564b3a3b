"""Aggregates: hosts that have something in common, and availability zones."""

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.api import Operations
from onestack.core.db import Record
from onestack.core.errors import NotFound

api = Operations("aggregates")

ZONE = "availability_zone"  # the one property of an aggregate that tenants see


class AggregateRecord(Record):
    """A group of hosts, with what is said of them."""

    __tablename__ = "aggregates"
    topic = "compute"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(unique=True)
    properties: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime | None]


class AggregateHostRecord(Record):
    """A host is in an aggregate."""

    __tablename__ = "aggregate_hosts"
    topic = "compute"

    aggregate_id: Mapped[int] = mapped_column(
        ForeignKey("aggregates.id", ondelete="CASCADE"), primary_key=True
    )
    host: Mapped[str] = mapped_column(primary_key=True, index=True)


class AggregateNotFound(NotFound):
    message = "Aggregate {aggregate_id} could not be found."
