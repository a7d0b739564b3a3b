"""Trusts as rows, and the roles that each lends."""

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Record
from onestack.core.errors import NotFound
from onestack.identity.roles.record import RoleRecord


class TrustRecord(Record):
    """Roles that a trustor lends to a trustee."""

    __tablename__ = "trusts"
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    trustor_user_id: Mapped[str] = mapped_column(index=True)
    trustee_user_id: Mapped[str] = mapped_column(index=True)
    project_id: Mapped[str | None] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    impersonation: Mapped[bool]
    expires_at: Mapped[dt.datetime | None]
    remaining_uses: Mapped[int | None]
    redelegated_trust_id: Mapped[str | None] = mapped_column(
        ForeignKey("trusts.id", ondelete="CASCADE"), index=True
    )
    redelegation_count: Mapped[int] = mapped_column(default=0)
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class TrustRoleRecord(Record):
    """A role that a trust lends."""

    __tablename__ = "trust_roles"
    topic = "identity"

    trust_id: Mapped[str] = mapped_column(
        ForeignKey("trusts.id", ondelete="CASCADE"), primary_key=True
    )
    role_id: Mapped[str] = mapped_column(
        ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class TrustNotFound(NotFound):
    message = "Could not find trust: {trust_id}."


def find(session: Session, trust_id: str) -> TrustRecord:
    """The trust with this id."""
    record = session.get(TrustRecord, trust_id)
    if record is None:
        raise TrustNotFound(trust_id=trust_id)
    return record


def roles_of(session: Session, trust_id: str) -> list[RoleRecord]:
    """The roles that a trust lends."""
    lent = select(RoleRecord).join(TrustRoleRecord).where(TrustRoleRecord.trust_id == trust_id)
    return list(session.scalars(lent.order_by(RoleRecord.name)))
