"""Federated identities of users: as whom an identity provider knows them."""

from collections.abc import Iterable, Sequence
from typing import Annotated

from sqlalchemy import ColumnElement, ForeignKey, UniqueConstraint, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Record
from onestack.core.shapes import Id, Meta, Shape
from onestack.identity.unique import refuse_duplicate
from onestack.identity.users.record import UserRecord


class FederatedUserRecord(Record):
    """A user as one protocol of one identity provider knows it."""

    __tablename__ = "federated_users"
    __table_args__ = (UniqueConstraint("idp_id", "protocol_id", "unique_id"),)
    topic = "identity"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    idp_id: Mapped[str]
    protocol_id: Mapped[str]
    unique_id: Mapped[str]
    display_name: Mapped[str | None]


class FederatedProtocol(Shape, forbid_unknown_fields=True):
    """The id that a user has with one protocol."""

    protocol_id: Id
    unique_id: Annotated[str, Meta(min_length=1, max_length=255)]


class FederatedIdentity(Shape, forbid_unknown_fields=True):
    """What one identity provider knows of a user."""

    idp_id: Id
    protocols: Annotated[list[FederatedProtocol], Meta(min_length=1, max_length=100)]


FederatedIdentities = Annotated[list[FederatedIdentity], Meta(max_length=100)]


def replace(session: Session, user: UserRecord, identities: Iterable[FederatedIdentity]) -> None:
    """Give the user these federated identities, and no others."""
    session.execute(delete(FederatedUserRecord).where(FederatedUserRecord.user_id == user.id))
    for identity in identities:
        for protocol in identity.protocols:
            session.add(
                FederatedUserRecord(
                    user_id=user.id,
                    idp_id=identity.idp_id,
                    protocol_id=protocol.protocol_id,
                    unique_id=protocol.unique_id,
                    display_name=user.name,
                )
            )
    refuse_duplicate(session, "federated_user", user.name)


def of_users(session: Session, user_ids: Sequence[str]) -> dict[str, list[FederatedIdentity]]:
    """The federated identities of those users that have any."""
    statement = (
        select(FederatedUserRecord)
        .where(FederatedUserRecord.user_id.in_(user_ids))
        .order_by(FederatedUserRecord.id)
    )
    found: dict[str, list[FederatedIdentity]] = {}
    for record in session.scalars(statement):
        identities = found.setdefault(record.user_id, [])
        same = [each for each in identities if each.idp_id == record.idp_id]
        if not same:
            identities.append(FederatedIdentity(idp_id=record.idp_id, protocols=[]))
        protocol = FederatedProtocol(protocol_id=record.protocol_id, unique_id=record.unique_id)
        (same or identities[-1:])[0].protocols.append(protocol)
    return found


def known_as(
    idp_id: str | None, protocol_id: str | None, unique_id: str | None
) -> ColumnElement[bool] | None:
    """The condition on users that one of their federated identities is like this."""
    given = {"idp_id": idp_id, "protocol_id": protocol_id, "unique_id": unique_id}
    conditions = [
        getattr(FederatedUserRecord, name) == value
        for name, value in given.items()
        if value is not None
    ]
    if not conditions:
        return None
    return UserRecord.id.in_(select(FederatedUserRecord.user_id).where(*conditions))
