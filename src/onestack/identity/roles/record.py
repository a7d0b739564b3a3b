"""Roles as rows, and which role implies which."""

from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Record
from onestack.core.errors import NotFound


class RoleRecord(Record):
    """A role, of one domain or of the whole cloud (an empty domain id, so names stay unique)."""

    __tablename__ = "roles"
    __table_args__ = (Index("uq_roles_name", "domain_id", "name", unique=True),)
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    domain_id: Mapped[str] = mapped_column(default="")
    description: Mapped[str | None]
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)


class ImpliedRoleRecord(Record):
    """Who has the prior role has the implied one too."""

    __tablename__ = "implied_roles"
    topic = "identity"

    prior_role_id: Mapped[str] = mapped_column(
        ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True
    )
    implied_role_id: Mapped[str] = mapped_column(
        ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class RoleNotFound(NotFound):
    message = "Could not find role: {role_id}."


def find(session: Session, role_id: str) -> RoleRecord:
    """The role with this id."""
    record = session.get(RoleRecord, role_id)
    if record is None:
        raise RoleNotFound(role_id=role_id)
    return record


def subject(record: RoleRecord) -> dict[str, str | None]:
    """The role as rules of policy know it: one of the whole cloud has no domain."""
    return {"id": record.id, "name": record.name, "domain_id": record.domain_id or None}
