"""Signing in somebody whom a directory knows: only this one user is asked for."""

from functools import partial

import msgspec
from sqlalchemy import select

from onestack.core.context import Context
from onestack.core.db import Database
from onestack.core.errors import Unauthorized
from onestack.identity.auth.proof import UserReference, find_domain
from onestack.identity.directory import rows
from onestack.identity.directory.directories import Directories
from onestack.identity.directory.record import USER, DirectoryEntryRecord
from onestack.identity.passwords import PASSWORD_LIMIT, PasswordTooLong
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.users.record import UserRecord


class Account(msgspec.Struct, frozen=True):
    """Somebody in a domain's directory, by key when it has been seen before, else by name."""

    domain_id: str
    key: str | None = None
    name: str = ""


def account(ctx: Context, asked: UserReference) -> Account | None:
    """Whom a request means, when a directory is to say who that is."""
    domains = ctx.cloud.get(Directories).domains()
    if not domains:
        return None
    if asked.id is not None:
        entry = ctx.session.get(DirectoryEntryRecord, asked.id)
        is_user = entry is not None and entry.kind == USER
        found = Account(entry.domain_id, key=entry.key) if entry and is_user else None
    else:
        found = _named(ctx, asked)
    if found is None or found.domain_id not in domains:
        return None
    domain = ctx.session.get(ProjectRecord, found.domain_id)
    return found if domain is not None and domain.enabled else None


def sign_in(ctx: Context, account: Account, password: str) -> str:
    """The id of the user whose password this is; the database is released."""
    if len(password) > PASSWORD_LIMIT:
        raise PasswordTooLong(limit=PASSWORD_LIMIT)
    ctx.release()
    by_name = account.key is None
    with ctx.cloud.get(Directories).reach(account.domain_id) as directory:
        if by_name:
            found = directory.find_user(account.name)
        else:
            found = directory.get_user(account.key or "")
        # Nobody is told whether the user, the password, or both were wrong: not by the time either.
        address = None if found is None else found.user.address
        is_right = directory.authenticate(address, password)
    if found is None or not is_right:
        raise Unauthorized
    keep = partial(rows.keep_one, domain_id=account.domain_id, found=found, by_name=by_name)
    user_id = rows.committed(ctx.cloud.get(Database), keep)
    if not found.user.enabled:
        raise Unauthorized
    return user_id


def _named(ctx: Context, asked: UserReference) -> Account | None:
    if asked.name is None or asked.domain is None:
        return None
    try:
        domain_id = find_domain(ctx.session, asked.domain).id
    except Unauthorized:
        return None
    # Accounts that the domain has besides, as the cloud's own, are no directory's to take over.
    ours = select(UserRecord.id).where(
        UserRecord.domain_id == domain_id,
        UserRecord.name == asked.name,
        UserRecord.id.not_in(select(DirectoryEntryRecord.id)),
    )
    if ctx.session.scalar(ours) is not None:
        return None
    return Account(domain_id, name=asked.name)
