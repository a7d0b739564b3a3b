"""Proof by password."""

from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core.context import Context
from onestack.core.errors import BadRequest, Unauthorized
from onestack.core.shapes import Shape
from onestack.identity.auth.proof import Proof, UserReference, find_user
from onestack.identity.directory.sign_in import account, sign_in
from onestack.identity.passwords import Hashing, dummy, outdated, verify
from onestack.identity.settings import IdentitySettings
from onestack.identity.users.login import (
    EXPIRED,
    PasswordExpired,
    note_failure,
    note_success,
    refusal,
)
from onestack.identity.users.passwords import renew_hash
from onestack.identity.users.record import PasswordRecord, UserRecord


class PasswordUser(UserReference):
    """The user and its password."""

    password: str = ""


class PasswordIdentity(Shape):
    """The `password` member of an authentication request."""

    user: PasswordUser


def prove(ctx: Context, given: dict[str, Any]) -> Proof:
    """The user whose password this is."""
    try:
        asked = msgspec.convert(given, PasswordIdentity).user
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid input for password: {error}") from None
    of_directory = account(ctx, asked)
    if of_directory is not None:
        return Proof(sign_in(ctx, of_directory, asked.password), ("password",))
    user = find_user(ctx.session, asked)
    stored = newest_hash(ctx.session, user)
    why_not = refusal(ctx, user) if user is not None else "unknown user"
    ctx.release()  # the check takes long; nobody waits for it with the database held
    is_right = check(ctx, asked.password, stored)
    if user is None or stored is None or not is_right:
        if user is not None and stored is not None:
            note_failure(ctx, user.id)
        raise Unauthorized
    if why_not not in (None, EXPIRED):
        raise Unauthorized
    note_success(ctx, user.id)
    if why_not == EXPIRED:
        raise PasswordExpired(user_id=user.id)  # who knows it may know that, and change it
    renew_hash(ctx, user.id, asked.password, stored)
    return Proof(user.id, ("password",))


def newest_hash(session: Session, user: UserRecord | None) -> str | None:
    """The hash of the user's password of today."""
    if user is None:
        return None
    newest = select(PasswordRecord.hash).where(PasswordRecord.user_id == user.id)
    return session.scalar(newest.order_by(PasswordRecord.id.desc()).limit(1))


def check(ctx: Context, password: str, stored: str | None) -> bool:
    """Whether the password fits; the same work is done where there is nothing to fit."""
    hashing, rounds = ctx.cloud.get(Hashing), ctx.cloud.get(IdentitySettings).password_hash_rounds
    is_right = hashing.run(verify, password, stored or dummy(rounds)).result()
    if not is_right and stored is not None and outdated(stored, rounds):
        hashing.run(verify, password, dummy(rounds)).result()  # what is refused takes equally long
    return is_right and stored is not None
