"""Policies as rows, and what each is for."""

from typing import Any

from sqlalchemy import ForeignKey, delete
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Record

ANY = ""  # in an association: of whatever endpoint, service or region


class PolicyRecord(Record):
    """A document that some endpoints go by."""

    __tablename__ = "policies"
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    blob: Mapped[str]
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class PolicyAssociationRecord(Record):
    """What a policy is for: an endpoint, a service, or a service in a region."""

    __tablename__ = "policy_associations"
    topic = "identity"

    endpoint_id: Mapped[str] = mapped_column(primary_key=True, default=ANY)
    service_id: Mapped[str] = mapped_column(primary_key=True, default=ANY)
    region_id: Mapped[str] = mapped_column(primary_key=True, default=ANY)
    policy_id: Mapped[str] = mapped_column(
        ForeignKey("policies.id", ondelete="CASCADE"), index=True
    )


def forget(session: Session, **place: str) -> None:
    """Remove the associations with an endpoint, a service or a region that goes."""
    session.execute(delete(PolicyAssociationRecord).filter_by(**place))
