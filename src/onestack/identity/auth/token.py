"""Proof by a token that one has already."""

from typing import Any

import msgspec

from onestack.core.context import Context
from onestack.core.errors import BadRequest, Forbidden
from onestack.core.shapes import Shape
from onestack.identity.auth.proof import Proof
from onestack.identity.tokens.validation import Tokens


class TokenIdentity(Shape):
    """The `token` member of an authentication request."""

    id: str


class NotRescopable(Forbidden):
    message = "You are not authorized to perform the requested action: rescope a scoped token."


def prove(ctx: Context, given: dict[str, Any]) -> Proof:
    """The user whose token this is; the new token ends when the old one does."""
    try:
        asked = msgspec.convert(given, TokenIdentity)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid input for token: {error}") from None
    claims = ctx.cloud.get(Tokens).subject(asked.id).claims
    if claims.trust_id or claims.application_credential_id or claims.access_token_id:
        raise NotRescopable  # rights that were lent never grow
    kept: dict[str, Any] = {}
    if claims.idp_id:
        kept = {
            "idp_id": claims.idp_id,
            "protocol_id": claims.protocol_id,
            "federated_groups": claims.federated_groups,
        }
    return Proof(
        claims.user_id,
        tuple(dict.fromkeys((*claims.methods, "token"))),
        expires_at=claims.expires_at,
        audit_chain=(claims.audit_ids[-1],),
        claims=kept,
    )
