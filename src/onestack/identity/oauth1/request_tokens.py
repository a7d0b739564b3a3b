"""Request tokens: a consumer asks to act on a project, and a user says with which roles."""

import datetime as dt
import secrets
from typing import Annotated, Any
from urllib.parse import urlencode

from sqlalchemy import delete

from onestack.core import clock
from onestack.core.api import PUBLIC, Operations, Raw
from onestack.core.context import Context
from onestack.core.errors import BadRequest, MethodNotAllowed, Unauthorized
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Id, Meta, Name, Shape, UnsetType, iso
from onestack.identity import events
from onestack.identity.assignments import effective
from onestack.identity.credential_keys import CredentialKeys
from onestack.identity.oauth1.record import RequestTokenNotFound, RequestTokenRecord
from onestack.identity.oauth1.signed import FORM, accept, read_signed
from onestack.identity.projects.record import find as find_project
from onestack.identity.rules import ADMIN
from onestack.identity.tokens.lent import refuse_lent

api = Operations("oauth1")

REQUEST = "/v3/OS-OAUTH1/request_token"
ACCESS = "/v3/OS-OAUTH1/access_token"
LIFETIME_S = 8 * 3600


class RoleReference(Shape, forbid_unknown_fields=True):
    """A role, by id or name."""

    id: Id | UnsetType = UNSET
    name: Name | UnsetType = UNSET


class Authorization(Shape):
    """The roles that a consumer gets."""

    roles: Annotated[list[RoleReference], Meta(min_length=1, max_length=100)]


class RequestTokenOver(Unauthorized):
    message = "Request token is expired"


class RoleNotHeld(Unauthorized):
    message = "authorizing user does not have role required"


@api.get(REQUEST, PUBLIC)
@api.get(ACCESS, PUBLIC)
def refuse_get(ctx: Context) -> None:
    """Tokens of consumers are had by POST."""
    raise MethodNotAllowed().with_headers(Allow="POST")


@api.post(REQUEST, PUBLIC, status=201)
def create(ctx: Context) -> Raw:
    """Give a consumer, who signs the request, a request token for the project that it names."""
    signed = read_signed(ctx)
    accept(ctx, signed)
    project_id = ctx.request.headers.get("requested-project-id")
    if not project_id:
        raise BadRequest("Expecting to find Requested-Project-Id in the request's headers.")
    find_project(ctx.session, project_id)
    secret = secrets.token_hex(32)
    over = RequestTokenRecord.expires_at <= clock.now()
    record = RequestTokenRecord(
        id=clock.new_id(),
        consumer_id=signed.consumer_key,
        project_id=project_id,
        encrypted_secret=ctx.cloud.get(CredentialKeys).encrypt(secret),
        expires_at=clock.now() + dt.timedelta(seconds=LIFETIME_S),
    )
    ctx.session.execute(delete(RequestTokenRecord).where(over))
    ctx.session.add(record)
    events.emit(ctx.session, "OS-OAUTH1:request_token.created", record.id)
    return token_answer(record.id, secret, record.expires_at)


@api.put(
    "/v3/OS-OAUTH1/authorize/{request_token_id}",
    Rule("identity:authorize_request_token", ADMIN),
)
def authorize(ctx: Context, request_token_id: str, body: Authorization) -> dict[str, Any]:
    """Let a consumer act for one with these roles; the answer is what one tells the consumer."""
    refuse_lent(ctx, "authorizing a request token", allowed=())
    record = ctx.session.get(RequestTokenRecord, request_token_id, with_for_update=True)
    if record is None:
        raise RequestTokenNotFound(token_id=request_token_id)
    if record.expires_at <= clock.now():
        raise RequestTokenOver
    verifier = secrets.token_hex(16)
    record.role_ids = _roles(ctx, record.project_id, body.roles)
    record.authorizing_user_id = ctx.caller.user_id
    record.encrypted_verifier = ctx.cloud.get(CredentialKeys).encrypt(verifier)
    return {"token": {"oauth_verifier": verifier}}


def token_answer(token_id: str, secret: str, expires_at: dt.datetime) -> Raw:
    """A consumer's new token, in the form that OAuth has for it."""
    given = {
        "oauth_token": token_id,
        "oauth_token_secret": secret,
        "oauth_expires_at": iso(expires_at),
    }
    headers = {"Cache-Control": "no-store"}
    return Raw(urlencode(given).encode(), FORM, status=201, headers=headers)


def _roles(ctx: Context, project_id: str, asked: list[RoleReference]) -> list[str]:
    """The ids of the roles asked for, all of which the user has on the project now."""
    project = find_project(ctx.session, project_id)
    held = effective.on_project(ctx.session, ctx.caller.user_id, project)
    found: dict[str, None] = {}
    for reference in asked:
        if (reference.id is UNSET) == (reference.name is UNSET):
            raise BadRequest("Expecting to find id or name in each of roles.")
        role_id = next((each for each, name in held if _is(reference, each, name)), None)
        if role_id is None:
            raise RoleNotHeld
        found[role_id] = None
    return list(found)


def _is(reference: RoleReference, role_id: str, name: str) -> bool:
    if reference.name is not UNSET:
        return reference.name.casefold() == name.casefold()
    return reference.id == role_id
