"""Proof by a request that a consumer signed with its access token."""

from typing import Any

from onestack.core import clock
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Unauthorized
from onestack.identity.auth.proof import Proof
from onestack.identity.auth.signatures import SignatureRejected
from onestack.identity.oauth1.record import AccessTokenRecord
from onestack.identity.oauth1.signed import accept, read_signed
from onestack.identity.settings import IdentitySettings
from onestack.identity.users.login import is_inactive
from onestack.identity.users.record import LoginRecord, UserRecord


def prove(ctx: Context, _given: dict[str, Any]) -> Proof:
    """The user who let the consumer act, for the project that it was let act on."""
    signed = read_signed(ctx)
    if not signed.token:
        raise BadRequest("Expecting to find oauth_token in the request.")
    record = ctx.session.get(AccessTokenRecord, signed.token)
    if record is None:
        raise SignatureRejected("The signature does not match.")
    accept(ctx, signed, record)
    if record.expires_at <= clock.now():
        raise Unauthorized("Access token is expired")
    user = ctx.session.get(UserRecord, record.authorizing_user_id)
    login = ctx.session.get(LoginRecord, record.authorizing_user_id)
    if user is None or is_inactive(ctx.cloud.get(IdentitySettings), user, login):
        raise Unauthorized
    return Proof(
        user.id,
        ("oauth1",),
        expires_at=record.expires_at,
        claims={"project_id": record.project_id, "access_token_id": record.id},
        may_rescope=False,
    )
