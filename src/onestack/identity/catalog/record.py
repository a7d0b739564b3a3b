"""Regions, services and endpoints as rows."""

from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Record


class RegionRecord(Record):
    """A place where services run."""

    __tablename__ = "regions"
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    parent_region_id: Mapped[str | None] = mapped_column(ForeignKey("regions.id"), index=True)
    description: Mapped[str] = mapped_column(default="")
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class ServiceRecord(Record):
    """A service that the cloud offers."""

    __tablename__ = "services"
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    name: Mapped[str | None]
    enabled: Mapped[bool] = mapped_column(default=True)
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class EndpointRecord(Record):
    """An address at which a service answers."""

    __tablename__ = "endpoints"
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    service_id: Mapped[str] = mapped_column(
        ForeignKey("services.id", ondelete="CASCADE"), index=True
    )
    region_id: Mapped[str | None] = mapped_column(ForeignKey("regions.id"), index=True)
    interface: Mapped[str]
    url: Mapped[str]
    enabled: Mapped[bool] = mapped_column(default=True)
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class EndpointFilterRecord(Record):
    """An endpoint that a project's catalogue shows."""

    __tablename__ = "endpoint_filters"
    topic = "identity"

    project_id: Mapped[str] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    endpoint_id: Mapped[str] = mapped_column(
        ForeignKey("endpoints.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class EndpointGroupRecord(Record):
    """The endpoints that fit all of some filters."""

    __tablename__ = "endpoint_groups"
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[str | None]
    filters: Mapped[dict[str, Any]]


class EndpointGroupFilterRecord(Record):
    """A group of endpoints that a project's catalogue shows."""

    __tablename__ = "endpoint_group_filters"
    topic = "identity"

    endpoint_group_id: Mapped[str] = mapped_column(
        ForeignKey("endpoint_groups.id", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[str] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True, index=True
    )
