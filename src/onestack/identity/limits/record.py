"""Limits as rows: the defaults that are registered, and what projects and domains have instead."""

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from onestack.core.db import Record
from onestack.identity.projects.record import ProjectRecord

ANYWHERE = ""  # of every region: a null would not count in a unique constraint


class RegisteredLimitRecord(Record):
    """The default limit of a service's resource, in a region or everywhere."""

    __tablename__ = "registered_limits"
    __table_args__ = (UniqueConstraint("service_id", "region_id", "resource_name"),)
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    service_id: Mapped[str] = mapped_column(ForeignKey("services.id", ondelete="CASCADE"))
    region_id: Mapped[str] = mapped_column(default=ANYWHERE)
    resource_name: Mapped[str]
    default_limit: Mapped[int]
    description: Mapped[str | None]


class LimitRecord(Record):
    """A project's or domain's own limit of a resource."""

    __tablename__ = "limits"
    __table_args__ = (UniqueConstraint("owner_id", "registered_limit_id"),)
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    registered_limit_id: Mapped[str] = mapped_column(
        ForeignKey("registered_limits.id", ondelete="CASCADE"), index=True
    )
    resource_limit: Mapped[int]
    description: Mapped[str | None]
    owner: Mapped[ProjectRecord] = relationship()
    registered: Mapped[RegisteredLimitRecord] = relationship()
