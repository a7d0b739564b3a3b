"""Users as rows, with their passwords and what their logins left behind."""

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Record
from onestack.core.errors import NotFound


class UserRecord(Record):
    """A user of a domain."""

    __tablename__ = "users"
    __table_args__ = (Index("uq_users_name", "domain_id", "name", unique=True),)
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    domain_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    enabled: Mapped[bool] = mapped_column(default=True)
    default_project_id: Mapped[str | None]
    created_at: Mapped[dt.datetime]
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)


class PasswordRecord(Record):
    """A password that a user has, or had: the newest one counts."""

    __tablename__ = "passwords"
    topic = "identity"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    hash: Mapped[str]
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime | None]
    is_self_service: Mapped[bool] = mapped_column(default=False)


class LoginRecord(Record):
    """What a user's logins left: failures that lock out, and the day of the last success."""

    __tablename__ = "logins"

    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    failures: Mapped[int] = mapped_column(default=0)
    failed_at: Mapped[dt.datetime | None]
    last_active_on: Mapped[dt.date | None]


class UserNotFound(NotFound):
    message = "Could not find user: {user_id}."


def find(session: Session, user_id: str) -> UserRecord:
    """The user with this id."""
    record = session.get(UserRecord, user_id)
    if record is None:
        raise UserNotFound(user_id=user_id)
    return record
