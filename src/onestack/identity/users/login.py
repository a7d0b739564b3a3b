"""Logins: what locks an account, and what a login leaves behind."""

import datetime as dt

from sqlalchemy import ColumnElement, and_, case, or_, select, text, update
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.context import Context
from onestack.core.db import Database
from onestack.core.errors import Unauthorized
from onestack.identity.settings import IdentitySettings
from onestack.identity.users.record import LoginRecord, PasswordRecord, UserRecord

EXPIRED = "password expired"


class PasswordExpired(Unauthorized):
    message = "The password is expired and needs to be changed for user: {user_id}."


def refusal(ctx: Context, user: UserRecord) -> str | None:
    """Why even the right password does not let this user in, or nothing."""
    settings = ctx.cloud.get(IdentitySettings)
    login = ctx.session.get(LoginRecord, user.id)
    if not user.enabled:
        return "disabled"
    if _is_locked(settings, user, login):
        return "locked out"
    if is_inactive(settings, user, login):
        return "inactive"
    newest = select(PasswordRecord.expires_at).where(PasswordRecord.user_id == user.id)
    expiry = ctx.session.scalar(newest.order_by(PasswordRecord.id.desc()).limit(1))
    if user.options.get("ignore_password_expiry") or expiry is None or expiry > clock.now():
        return None
    return EXPIRED


def note_failure(ctx: Context, user_id: str) -> None:
    """Count a wrong password, unless the account is locked already."""
    settings = ctx.cloud.get(IdentitySettings)
    if not settings.lockout_failures:
        return
    begins_anew = LoginRecord.failures >= settings.lockout_failures
    with ctx.cloud.get(Database).transaction() as session:
        _ensure_row(session, user_id)
        session.execute(
            update(LoginRecord)
            .where(LoginRecord.user_id == user_id, _is_open(settings))
            .values(
                failures=case((begins_anew, 1), else_=LoginRecord.failures + 1),
                failed_at=clock.now(),
            )
        )


def note_success(ctx: Context, user_id: str) -> None:
    """Forget the failures, and remember the day; most logins find nothing to write.

    The right password comes too late when others locked the account while it was being checked:
    so guesses that are made all at once are no more than guesses made one by one.
    """
    settings = ctx.cloud.get(IdentitySettings)
    if not settings.inactive_days and not settings.lockout_failures:
        return
    database, today = ctx.cloud.get(Database), clock.now().date()
    with database.transaction(write=False) as session:
        login = session.get(LoginRecord, user_id)
        if login is not None and not login.failures and login.last_active_on == today:
            return
    with database.transaction() as session:
        user = session.get(UserRecord, user_id)
        if user is None or not _reset(session, user_id, _may_enter(settings, user)):
            raise Unauthorized


def pardon(session: Session, user_id: str) -> None:
    """Open a locked or inactive account again."""
    _reset(session, user_id, None)


def is_inactive(settings: IdentitySettings, user: UserRecord, login: LoginRecord | None) -> bool:
    """Whether the user has stayed away for longer than is allowed."""
    if not settings.inactive_days or user.options.get("ignore_user_inactivity"):
        return False
    last = login.last_active_on if login and login.last_active_on else user.created_at.date()
    return (clock.now().date() - last).days > settings.inactive_days


def _reset(session: Session, user_id: str, condition: ColumnElement[bool] | None) -> bool:
    _ensure_row(session, user_id)
    statement = (
        update(LoginRecord)
        .where(LoginRecord.user_id == user_id)
        .values(failures=0, failed_at=None, last_active_on=clock.now().date())
    )
    if condition is not None:
        statement = statement.where(condition)
    return session.scalar(statement.returning(LoginRecord.user_id)) is not None


def _ensure_row(session: Session, user_id: str) -> None:
    # One statement, so that two logins at once, or the user's end, are no error.
    session.execute(
        text(
            "INSERT INTO logins (user_id, failures) SELECT id, 0 FROM users WHERE id = :user_id "
            "ON CONFLICT (user_id) DO NOTHING"
        ),
        {"user_id": user_id},
    )


def _may_enter(settings: IdentitySettings, user: UserRecord) -> ColumnElement[bool] | None:
    if not settings.lockout_failures or user.options.get("ignore_lockout_failure_attempts"):
        return None
    return _is_open(settings)


def _is_open(settings: IdentitySettings) -> ColumnElement[bool]:
    """The condition on login rows that the account is not locked now."""
    below = LoginRecord.failures < settings.lockout_failures
    if not settings.lockout_s:
        return below
    since = clock.now() - dt.timedelta(seconds=settings.lockout_s)
    return or_(below, and_(LoginRecord.failed_at.is_not(None), LoginRecord.failed_at <= since))


def _is_locked(settings: IdentitySettings, user: UserRecord, login: LoginRecord | None) -> bool:
    limit = settings.lockout_failures
    if not limit or login is None or login.failures < limit or login.failed_at is None:
        return False
    if user.options.get("ignore_lockout_failure_attempts"):
        return False
    until = login.failed_at + dt.timedelta(seconds=settings.lockout_s)
    return settings.lockout_s == 0 or clock.now() < until


def changes_only_when_told(ctx: Context) -> bool:
    """Whether users stay as they are shown: where inactivity disables them, time alone may."""
    return not ctx.cloud.get(IdentitySettings).inactive_days
