"""Proof by a one-time password, of which each counts once."""

from typing import Any

import msgspec
from sqlalchemy import ForeignKey, text, update
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core import clock
from onestack.core.context import Context
from onestack.core.db import Database, Record
from onestack.core.errors import BadRequest, Unauthorized
from onestack.core.shapes import Shape
from onestack.identity.auth.proof import Proof, UserReference, find_user
from onestack.identity.auth.totp import matching_counter
from onestack.identity.credential_keys import CredentialKeys
from onestack.identity.credentials.record import TOTP, of_type
from onestack.identity.users.login import EXPIRED, note_failure, refusal

PREVIOUS_WINDOWS = 1


class TotpUseRecord(Record):
    """The window of the last passcode that a credential was used with."""

    __tablename__ = "totp_uses"

    credential_id: Mapped[str] = mapped_column(
        ForeignKey("credentials.id", ondelete="CASCADE"), primary_key=True
    )
    counter: Mapped[int]


class TotpUser(UserReference, kw_only=True):
    """The user and what its device shows."""

    passcode: str


class TotpIdentity(Shape):
    """The `totp` member of an authentication request."""

    user: TotpUser


def prove(ctx: Context, given: dict[str, Any]) -> Proof:
    """The user whose device shows this passcode now."""
    try:
        asked = msgspec.convert(given, TotpIdentity).user
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid input for totp: {error}") from None
    user = find_user(ctx.session, asked)
    if user is None or refusal(ctx, user) not in (None, EXPIRED):
        raise Unauthorized
    matching = _matching(ctx, user.id, asked.passcode)
    ctx.release()
    if not any(_spend(ctx, credential_id, counter) for credential_id, counter in matching):
        note_failure(ctx, user.id)
        raise Unauthorized
    return Proof(user.id, ("totp",))


def _matching(ctx: Context, user_id: str, passcode: str) -> list[tuple[str, int]]:
    """The user's devices that show this passcode, and in which window they did."""
    keys = ctx.cloud.get(CredentialKeys)
    found = []
    for record in of_type(ctx.session, user_id, TOTP):
        secret = keys.decrypt(record.encrypted_blob)
        counter = matching_counter(passcode, secret, clock.now(), PREVIOUS_WINDOWS)
        if counter is not None:
            found.append((record.id, counter))
    return found


def _spend(ctx: Context, credential_id: str, counter: int) -> bool:
    """Take the passcode of this window, if neither it nor a later one was used before."""
    with ctx.cloud.get(Database).transaction() as session:
        session.execute(
            text(
                "INSERT INTO totp_uses (credential_id, counter) "
                "SELECT id, -1 FROM credentials WHERE id = :id "
                "ON CONFLICT (credential_id) DO NOTHING"
            ),
            {"id": credential_id},
        )
        one = (
            update(TotpUseRecord)
            .where(TotpUseRecord.credential_id == credential_id, TotpUseRecord.counter < counter)
            .values(counter=counter)
            .returning(TotpUseRecord.credential_id)
        )
        return session.scalar(one) is not None
