"""The passwords of a user: stored, judged against the earlier ones, and kept up to date."""

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

from sqlalchemy import delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from onestack.core import clock, log
from onestack.core.context import Context
from onestack.core.db import Database
from onestack.core.errors import BadRequest
from onestack.core.shapes import Meta
from onestack.identity.passwords import (
    Hashing,
    Strength,
    TooBusy,
    hash_password,
    outdated,
    verify,
)
from onestack.identity.settings import IdentitySettings
from onestack.identity.users.record import PasswordRecord, UserRecord

# Without characters, a request that forgot the password would be one that has it right.
NewPassword = Annotated[str, Meta(min_length=1)]


class PasswordReused(BadRequest):
    message = (
        "Password validation error: The new password cannot be identical to a previous password. "
        "The last {count} passwords of a user must differ."
    )


class PasswordTooYoung(BadRequest):
    message = (
        "Password validation error: You cannot change your password at this time due to the "
        "minimum password age of {days} days. An administrator may reset it."
    )


class PasswordLocked(BadRequest):
    message = (
        "Password validation error: You cannot change your password at this time due to a lock "
        "on it. An administrator may reset it."
    )


def hashed(ctx: Context, password: str) -> str:
    """A new password as it is stored, if it is strong enough; the database must be released."""
    settings = ctx.cloud.get(IdentitySettings)
    Strength(settings.password_regex, settings.password_regex_description).check(password)
    rounds = settings.password_hash_rounds
    return ctx.cloud.get(Hashing).run(hash_password, password, rounds).result()


def store(ctx: Context, user: UserRecord, new: str | None, *, is_self_service: bool) -> None:
    """Make this hash the user's password, or leave the user without one."""
    if new is None:
        _keep(ctx.session, user.id, 0)
        return
    settings = ctx.cloud.get(IdentitySettings)
    now = clock.now()
    ctx.session.add(
        PasswordRecord(
            user_id=user.id,
            hash=new,
            created_at=now,
            expires_at=_expiry(settings, user, now, is_self_service),
            is_self_service=is_self_service,
        )
    )
    ctx.session.flush()
    _keep(ctx.session, user.id, max(1, settings.password_history))


def recent(session: Session, user_id: str, count: int) -> list[PasswordRecord]:
    """The user's last passwords, newest first."""
    statement = select(PasswordRecord).where(PasswordRecord.user_id == user_id)
    return list(session.scalars(statement.order_by(PasswordRecord.id.desc()).limit(count)))


def refuse_reuse(ctx: Context, password: str, earlier: Sequence[PasswordRecord]) -> None:
    """Refuse a password that the user had lately; the database must be released."""
    count = ctx.cloud.get(IdentitySettings).password_history
    hashes = [record.hash for record in earlier[:count]]
    if hashes and ctx.cloud.get(Hashing).run(_is_any, password, hashes).result():
        raise PasswordReused(count=count)


def refuse_haste(ctx: Context, newest: PasswordRecord) -> None:
    """Refuse to replace a password that the user itself chose a moment ago."""
    days = ctx.cloud.get(IdentitySettings).password_minimum_age_days
    is_young = clock.now() < newest.created_at + dt.timedelta(days=days)
    if days and newest.is_self_service and is_young:
        raise PasswordTooYoung(days=days)


def renew_hash(ctx: Context, user_id: str, password: str, stored: str) -> None:
    """Store a password that was right just now in today's form, if it is in an older one.

    Nobody waits for that: when it does not come to its end, the next sign-in begins it again.
    """
    rounds = ctx.cloud.get(IdentitySettings).password_hash_rounds
    if not outdated(stored, rounds):
        return
    database = ctx.cloud.get(Database)

    def renew() -> None:
        renewed = hash_password(password, rounds)
        same = (PasswordRecord.user_id == user_id, PasswordRecord.hash == stored)
        try:
            with database.transaction() as session:
                session.execute(update(PasswordRecord).where(*same).values(hash=renewed))
        except SQLAlchemyError as error:
            log.warning("a password's hash was not renewed", user=user_id, reason=str(error))

    with suppress(TooBusy):
        ctx.cloud.get(Hashing).run(renew)


def _expiry(
    settings: IdentitySettings, user: UserRecord, now: dt.datetime, is_self_service: bool
) -> dt.datetime | None:
    must_change = (
        settings.password_change_at_first_use
        and not is_self_service
        and not user.options.get("ignore_change_password_upon_first_use")
    )
    if must_change:
        return now.replace(microsecond=0)
    if not settings.password_expires_days or user.options.get("ignore_password_expiry"):
        return None
    return (now + dt.timedelta(days=settings.password_expires_days)).replace(microsecond=0)


def _keep(session: Session, user_id: str, count: int) -> None:
    kept = [record.id for record in recent(session, user_id, count)] if count else []
    session.execute(
        delete(PasswordRecord).where(
            PasswordRecord.user_id == user_id, PasswordRecord.id.not_in(kept)
        )
    )


def _is_any(password: str, hashes: Sequence[str]) -> bool:
    return any(verify(password, stored) for stored in hashes)
