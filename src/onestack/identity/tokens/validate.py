"""Tokens are shown, checked and revoked."""

import msgspec

from onestack.core.api import Operations, Raw
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.policy import Rule
from onestack.core.shapes import Shape
from onestack.identity.rules import ADMIN, either
from onestack.identity.tokens.load import without_catalog
from onestack.identity.tokens.revocation import revoke
from onestack.identity.tokens.validation import Tokens, Validated
from onestack.identity.tokens.view import TokenView

api = Operations("tokens")

SUBJECT = "rule:token_subject"
READERS = either(ADMIN, "rule:service_role", "(role:reader and system_scope:all)", SUBJECT)


class ValidateQuery(Shape):
    """What the answer should leave out, and whether an expired token still counts."""

    nocatalog: bool = False
    allow_expired: bool = False


@api.get("/v3/auth/tokens", Rule("identity:validate_token", READERS))
def show(ctx: Context, query: ValidateQuery) -> Raw:
    """Show what a token, named in X-Subject-Token, means now."""
    subject = _subject(ctx)
    headers = {"X-Subject-Token": ctx.request.headers["x-subject-token"]}
    content = subject.body
    if query.nocatalog:
        view = msgspec.json.decode(content, type=dict[str, TokenView])["token"]
        content = msgspec.json.encode({"token": without_catalog(view)})
    return Raw(content, headers=headers)


@api.delete(
    "/v3/auth/tokens", Rule("identity:revoke_token", either("rule:service_or_admin", SUBJECT))
)
def delete(ctx: Context) -> None:
    """Revoke a token, named in X-Subject-Token."""
    subject = _subject(ctx)
    revoke(ctx.session, audit_id=subject.claims.audit_ids[0])


def _subject(ctx: Context) -> Validated:
    token = ctx.request.headers.get("x-subject-token")
    if not token:
        raise BadRequest("Expecting to find a token in the header X-Subject-Token.")
    subject = ctx.cloud.get(Tokens).subject(token)
    ctx.allow(token={"user_id": subject.claims.user_id})
    return subject
