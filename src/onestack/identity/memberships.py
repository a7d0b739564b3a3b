"""Memberships: which user is in which group."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Record


class MembershipRecord(Record):
    """A user in a group; the user may live in a directory, so its id is no foreign key."""

    __tablename__ = "memberships"
    topic = "identity"

    user_id: Mapped[str] = mapped_column(primary_key=True)
    group_id: Mapped[str] = mapped_column(
        ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True, index=True
    )
