"""Logins: what locks an account, and what a login leaves behind."""

import datetime as dt

from sqlalchemy import select

from onestack.core import clock
from onestack.core.context import Context
from onestack.core.db import Database
from onestack.identity.settings import IdentitySettings
from onestack.identity.users.record import LoginRecord, PasswordRecord, UserRecord


def refusal(ctx: Context, user: UserRecord) -> str | None:
    """Why even the right password does not let this user in, or nothing."""
    settings = ctx.cloud.get(IdentitySettings)
    login = ctx.session.get(LoginRecord, user.id)
    if _is_locked(settings, user, login):
        return "locked out"
    if _is_inactive(settings, user, login):
        return "inactive"
    newest = select(PasswordRecord.expires_at).where(PasswordRecord.user_id == user.id)
    expiry = ctx.session.scalar(newest.order_by(PasswordRecord.id.desc()).limit(1))
    if expiry is not None and expiry <= clock.now():
        return "password expired"
    return None


def note_failure(ctx: Context, user_id: str) -> None:
    """Count a wrong password."""
    if ctx.cloud.get(IdentitySettings).lockout_failures == 0:
        return
    with ctx.cloud.get(Database).transaction() as session:
        login = session.get(LoginRecord, user_id) or LoginRecord(user_id=user_id, failures=0)
        login.failures += 1
        login.failed_at = clock.now()
        session.add(login)


def note_success(ctx: Context, user_id: str) -> None:
    """Forget the failures, and remember the day; most logins find nothing to write."""
    settings = ctx.cloud.get(IdentitySettings)
    if not settings.inactive_days and not settings.lockout_failures:
        return
    today = clock.now().date()
    with ctx.cloud.get(Database).transaction() as session:
        login = session.get(LoginRecord, user_id) or LoginRecord(user_id=user_id, failures=0)
        if login.failures or login.last_active_on != today:
            login.failures, login.failed_at, login.last_active_on = 0, None, today
            session.add(login)


def _is_locked(settings: IdentitySettings, user: UserRecord, login: LoginRecord | None) -> bool:
    limit = settings.lockout_failures
    if not limit or login is None or login.failures < limit or login.failed_at is None:
        return False
    if user.options.get("ignore_lockout_failure_attempts"):
        return False
    until = login.failed_at + dt.timedelta(seconds=settings.lockout_s)
    return settings.lockout_s == 0 or clock.now() < until


def _is_inactive(settings: IdentitySettings, user: UserRecord, login: LoginRecord | None) -> bool:
    if not settings.inactive_days or user.options.get("ignore_user_inactivity"):
        return False
    last = login.last_active_on if login and login.last_active_on else user.created_at.date()
    return (clock.now().date() - last).days > settings.inactive_days
