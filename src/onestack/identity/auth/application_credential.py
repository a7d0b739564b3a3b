"""Proof by the secret of an application credential."""

from typing import Any

import msgspec
from sqlalchemy import select

from onestack.core.context import Context
from onestack.core.errors import BadRequest, Unauthorized
from onestack.core.shapes import Shape
from onestack.identity.application_credentials.record import ApplicationCredentialRecord
from onestack.identity.application_credentials.secret import fits
from onestack.identity.auth.proof import Proof, UserReference, find_user
from onestack.identity.passwords import Hashing, dummy
from onestack.identity.settings import IdentitySettings
from onestack.identity.users.login import is_inactive
from onestack.identity.users.record import LoginRecord, UserRecord


class ApplicationCredentialIdentity(Shape):
    """An application credential, by id, or by name and user; and its secret."""

    secret: str
    id: str | None = None
    name: str | None = None
    user: UserReference | None = None


def prove(ctx: Context, given: dict[str, Any]) -> Proof:
    """The user of the credential, for the credential's project and nothing else."""
    try:
        asked = msgspec.convert(given, ApplicationCredentialIdentity)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid input for application_credential: {error}") from None
    record = _named(ctx, asked)
    is_active = record is not None and _is_active(ctx, record)
    rounds = ctx.cloud.get(IdentitySettings).password_hash_rounds
    stored = dummy(rounds) if record is None else record.secret_hash
    ctx.release()  # the check may take long; nobody waits for it with the database held
    is_right = ctx.cloud.get(Hashing).run(fits, asked.secret, stored).result()
    if record is None or not is_right or not is_active:
        raise Unauthorized
    return bound(record, "application_credential")


def bound(record: ApplicationCredentialRecord, method: str) -> Proof:
    """A proof that is good for what the credential is good for, and as long."""
    return Proof(
        record.user_id,
        (method,),
        expires_at=record.expires_at,
        claims={"project_id": record.project_id, "application_credential_id": record.id},
        may_rescope=False,
    )


def _named(
    ctx: Context, asked: ApplicationCredentialIdentity
) -> ApplicationCredentialRecord | None:
    if asked.id is not None:
        return ctx.session.get(ApplicationCredentialRecord, asked.id)
    if asked.name is None or asked.user is None:
        raise BadRequest("Expecting to find id, or name and user, in application_credential.")
    user = find_user(ctx.session, asked.user)
    if user is None:
        return None
    mine = select(ApplicationCredentialRecord).filter_by(user_id=user.id, name=asked.name)
    return ctx.session.scalar(mine)


def _is_active(ctx: Context, record: ApplicationCredentialRecord) -> bool:
    """Whether the credential's user has not stayed away for too long."""
    user = ctx.session.get_one(UserRecord, record.user_id)
    login = ctx.session.get(LoginRecord, record.user_id)
    return not is_inactive(ctx.cloud.get(IdentitySettings), user, login)
