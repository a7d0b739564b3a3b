"""Memberships for a time: the groups that an identity provider put a user into.

A federated token names these groups itself. A provider with an `authorization_ttl` makes them
count for so many minutes after each login in all that the user does, such as with its trusts
and application credentials.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from sqlalchemy import BindParameter, ForeignKey, Select, bindparam, delete, exists, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import clock
from onestack.core.db import Record


class ExpiringMembershipRecord(Record):
    """A user in a group, by an identity provider's word, until a moment."""

    __tablename__ = "expiring_memberships"
    topic = "identity"

    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    group_id: Mapped[str] = mapped_column(
        ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    idp_id: Mapped[str] = mapped_column(
        ForeignKey("identity_providers.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    expires_at: Mapped[dt.datetime]


def group_ids(user_id: str | BindParameter[Any]) -> Select[Any]:
    """Selects the groups that the user is in for a time, now."""
    # The statement may be kept: it asks for the time whenever it runs.
    now: BindParameter[dt.datetime] = bindparam("now", callable_=clock.now, unique=True)
    mine = ExpiringMembershipRecord.user_id == user_id
    return select(ExpiringMembershipRecord.group_id).where(
        mine, ExpiringMembershipRecord.expires_at > now
    )


def expiries(session: Session, user_id: str) -> dict[str, dt.datetime]:
    """Until when the user is in each of its groups for a time."""
    latest = func.max(ExpiringMembershipRecord.expires_at).label("expires_at")
    found = (
        select(ExpiringMembershipRecord.group_id, latest)
        .where(
            ExpiringMembershipRecord.user_id == user_id,
            ExpiringMembershipRecord.expires_at > clock.now(),
        )
        .group_by(ExpiringMembershipRecord.group_id)
    )
    return {row.group_id: row.expires_at for row in session.execute(found)}


def renew(
    session: Session, user_id: str, idp_id: str, wanted: Iterable[str], minutes: int | None
) -> None:
    """Let the user be in the groups of its newest login for so long, and in no others of it."""
    now = clock.now()
    mine = select(ExpiringMembershipRecord).filter_by(user_id=user_id, idp_id=idp_id)
    known = {record.group_id: record for record in session.scalars(mine)}
    kept = set(wanted) if minutes else set()
    for group_id in known.keys() - kept:
        session.delete(known[group_id])
    expires_at = now + dt.timedelta(minutes=minutes or 0)
    for group_id in kept:
        record = known.get(group_id)
        if record is None:
            record = ExpiringMembershipRecord(user_id=user_id, group_id=group_id, idp_id=idp_id)
            session.add(record)
        record.expires_at = expires_at


def forget_ended(session: Session) -> None:
    """Forget memberships whose time is over, and with them what is remembered of tokens."""
    is_over = ExpiringMembershipRecord.expires_at <= clock.now()
    if session.scalar(select(exists().where(is_over))):
        session.execute(delete(ExpiringMembershipRecord).where(is_over))
