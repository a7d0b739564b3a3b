"""Revocation events: rows that say which tokens count no more."""

import datetime as dt
from collections.abc import Mapping

from sqlalchemy import ColumnElement, Index, and_, exists, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import clock
from onestack.core.db import Record


class RevocationRecord(Record):
    """Tokens issued until a moment are void, if all that this row names is true of them."""

    __tablename__ = "revocations"
    __table_args__ = (Index("ix_revocations_user", "user_id", "audit_chain_id"),)
    topic = "identity"

    id: Mapped[int] = mapped_column(primary_key=True)
    domain_id: Mapped[str | None]
    project_id: Mapped[str | None] = mapped_column(index=True)
    user_id: Mapped[str | None]
    role_id: Mapped[str | None]
    trust_id: Mapped[str | None]
    consumer_id: Mapped[str | None]
    access_token_id: Mapped[str | None]
    audit_id: Mapped[str | None] = mapped_column(index=True)
    audit_chain_id: Mapped[str | None]
    expires_at: Mapped[dt.datetime | None]
    issued_before: Mapped[dt.datetime]
    revoked_at: Mapped[dt.datetime] = mapped_column(index=True)


def revoke(session: Session, **facts: str | None) -> None:
    """Void every token issued until now of which all these facts are true."""
    moment = clock.now()
    session.add(RevocationRecord(issued_before=moment, revoked_at=moment, **facts))


def is_revoked(
    session: Session,
    facts: Mapping[str, str | tuple[str, ...] | None],
    issued_at: dt.datetime,
) -> bool:
    """Whether any event voids a token of which these facts are true, each in one way or more."""
    conditions: list[ColumnElement[bool]] = [RevocationRecord.issued_before >= issued_at]
    for name in (
        "domain_id", "project_id", "user_id", "trust_id", "consumer_id", "access_token_id",
        "audit_id", "audit_chain_id",
    ):  # fmt: skip
        column = getattr(RevocationRecord, name)
        found = facts.get(name)
        values = (found,) if isinstance(found, str) else found
        conditions.append(or_(column.is_(None), column.in_(values)) if values else column.is_(None))
    return bool(session.scalar(select(exists().where(and_(*conditions)))))
