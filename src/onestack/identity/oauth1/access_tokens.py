"""Access tokens: a consumer gets one for an authorized request token; its user may end it."""

import datetime as dt
import hmac
import secrets
from typing import Any

from sqlalchemy import select

from onestack.core import clock
from onestack.core.api import PUBLIC, Operations, Page, Raw
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Unauthorized
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import Shape, iso
from onestack.identity import events
from onestack.identity.auth.signatures import SignatureRejected
from onestack.identity.credential_keys import CredentialKeys
from onestack.identity.oauth1.record import (
    AccessTokenNotFound,
    AccessTokenRecord,
    RequestTokenRecord,
)
from onestack.identity.oauth1.request_tokens import ACCESS, RequestTokenOver, token_answer
from onestack.identity.oauth1.signed import accept, read_signed
from onestack.identity.roles.record import RoleNotFound, RoleRecord
from onestack.identity.rules import ADMIN
from onestack.identity.style import link
from onestack.identity.tokens.lent import refuse_lent
from onestack.identity.tokens.revocation import revoke
from onestack.identity.trusts.view import role_view

api = Operations("oauth1")

LIFETIME_S = 24 * 3600
ALL = "/v3/users/{user_id}/OS-OAUTH1/access_tokens"
ONE = f"{ALL}/{{access_token_id}}"
EVENT = "OS-OAUTH1:access_token"


class AccessTokenView(Shape):
    """What a user lets a consumer do."""

    id: str
    consumer_id: str
    authorizing_user_id: str
    project_id: str
    expires_at: str | None
    links: dict[str, str]


class VerifierWrong(Unauthorized):
    message = "Provided verifier does not match stored verifier"


@api.post(ACCESS, PUBLIC, status=201)
def create(ctx: Context) -> Raw:
    """Give a consumer, who signs the request, an access token for its request token."""
    signed = read_signed(ctx)
    if not signed.token or not signed.verifier:
        raise BadRequest("Expecting to find oauth_token and oauth_verifier in the request.")
    asked = ctx.session.get(RequestTokenRecord, signed.token)
    if asked is None:
        raise SignatureRejected("The signature does not match.")
    accept(ctx, signed, asked)
    record, secret = _exchanged(ctx, asked.id, signed.verifier)
    events.emit(ctx.session, f"{EVENT}.created", record.id)
    return token_answer(record.id, secret, record.expires_at)


@api.get(ALL, Rule("identity:list_access_tokens", ADMIN), key="access_tokens")
def index(ctx: Context, user_id: str, query: PageQuery) -> Page[AccessTokenView]:
    """List what a user lets consumers do."""
    refuse_lent(ctx, "managing access tokens", allowed=())
    given = select(AccessTokenRecord).where(AccessTokenRecord.authorizing_user_id == user_id)
    return page(ctx, given, AccessTokenRecord, query, view)


@api.get(ONE, Rule("identity:get_access_token", ADMIN), key="access_token")
def show(ctx: Context, user_id: str, access_token_id: str) -> AccessTokenView:
    """Show what a user lets a consumer do."""
    return view(ctx, _of_user(ctx, user_id, access_token_id))


@api.delete(ONE, Rule("identity:delete_access_token", ADMIN))
def delete(ctx: Context, user_id: str, access_token_id: str) -> None:
    """End what a user lets a consumer do, and the tokens that it got by it."""
    record = _of_user(ctx, user_id, access_token_id)
    revoke(ctx.session, access_token_id=access_token_id)
    ctx.session.delete(record)
    events.emit(ctx.session, f"{EVENT}.deleted", access_token_id)


@api.get(f"{ONE}/roles", Rule("identity:list_access_token_roles", ADMIN), key="roles")
def roles(ctx: Context, user_id: str, access_token_id: str) -> Page[dict[str, Any]]:
    """List the roles with which a consumer acts."""
    found = _roles(ctx, _of_user(ctx, user_id, access_token_id))
    return Page([role_view(ctx, role) for role in found])


@api.get(f"{ONE}/roles/{{role_id}}", Rule("identity:get_access_token_role", ADMIN), key="role")
def role(ctx: Context, user_id: str, access_token_id: str, role_id: str) -> dict[str, Any]:
    """Show a role with which a consumer acts."""
    for each in _roles(ctx, _of_user(ctx, user_id, access_token_id)):
        if each.id == role_id:
            return role_view(ctx, each)
    raise RoleNotFound(role_id=role_id)


def view(ctx: Context, record: AccessTokenRecord) -> AccessTokenView:
    """An access token as clients see it."""
    path = f"users/{record.authorizing_user_id}/OS-OAUTH1/access_tokens/{record.id}"
    return AccessTokenView(
        id=record.id,
        consumer_id=record.consumer_id,
        authorizing_user_id=record.authorizing_user_id,
        project_id=record.project_id,
        expires_at=iso(record.expires_at),
        links={"self": link(ctx, path), "roles": link(ctx, f"{path}/roles")},
    )


def _exchanged(ctx: Context, token_id: str, verifier: str) -> tuple[AccessTokenRecord, str]:
    """The access token for a request token, which goes; with the access token's secret."""
    asked = ctx.session.get(RequestTokenRecord, token_id, with_for_update=True)
    if asked is None or asked.expires_at <= clock.now():
        raise RequestTokenOver
    if asked.encrypted_verifier is None or asked.authorizing_user_id is None:
        raise Unauthorized("Request Token does not have an authorizing user id.")
    keys = ctx.cloud.get(CredentialKeys)
    expected = keys.decrypt(asked.encrypted_verifier)
    if not hmac.compare_digest(expected.encode(), verifier.encode("utf-8", "replace")):
        raise VerifierWrong
    secret = secrets.token_hex(32)
    record = AccessTokenRecord(
        id=clock.new_id(),
        consumer_id=asked.consumer_id,
        authorizing_user_id=asked.authorizing_user_id,
        project_id=asked.project_id,
        encrypted_secret=keys.encrypt(secret),
        role_ids=asked.role_ids,
        expires_at=clock.now() + dt.timedelta(seconds=LIFETIME_S),
    )
    ctx.session.add(record)
    ctx.session.delete(asked)
    return record, secret


def _of_user(ctx: Context, user_id: str, access_token_id: str) -> AccessTokenRecord:
    refuse_lent(ctx, "managing access tokens", allowed=())
    record = ctx.session.get(AccessTokenRecord, access_token_id)
    if record is None or record.authorizing_user_id != user_id:
        raise AccessTokenNotFound(token_id=access_token_id)
    return record


def _roles(ctx: Context, record: AccessTokenRecord) -> list[RoleRecord]:
    found = select(RoleRecord).where(RoleRecord.id.in_(record.role_ids))
    return list(ctx.session.scalars(found.order_by(RoleRecord.name)))
