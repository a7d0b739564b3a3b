"""Credentials: made, listed, shown, changed and deleted."""

from typing import Annotated, Any

import msgspec
from sqlalchemy import select

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Extras, Id, Meta, Shape, UnsetType
from onestack.identity import events
from onestack.identity.credential_keys import CredentialKeys
from onestack.identity.credentials.record import (
    EC2,
    LENDERS,
    CredentialRecord,
    Ec2Blob,
    find,
    id_of_access,
    read_ec2,
)
from onestack.identity.projects.record import find as find_project
from onestack.identity.rules import ADMIN, READ, either
from onestack.identity.style import links
from onestack.identity.tokens.lent import refuse_lent
from onestack.identity.users.record import find as find_user

api = Operations("credentials")

USER = "target.credential.user_id"
READERS = either(READ, f"user_id:%({USER})s")
WRITERS = either(ADMIN, f"user_id:%({USER})s")
ONE = "/v3/credentials/{credential_id}"

Blob = Annotated[str, Meta(max_length=65535)]
Type = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+\Z")]


class CredentialCreate(Shape):
    """A credential to make."""

    user_id: Id
    type: Type
    blob: Blob
    project_id: Id | None = None
    extra: Annotated[dict[str, Any], Extras] = {}


class CredentialUpdate(Shape):
    """What to change of a credential."""

    user_id: Id | UnsetType = UNSET
    type: Type | UnsetType = UNSET
    blob: Blob | UnsetType = UNSET
    project_id: Id | UnsetType | None = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


class CredentialQuery(PageQuery):
    """Which credentials to list."""

    user_id: str | None = None
    type: str | None = None


class CredentialView(Shape):
    """A credential."""

    id: str
    user_id: str
    project_id: str | None
    type: str
    blob: str
    links: dict[str, str]
    extra: Annotated[dict[str, Any], Extras] = {}


class CredentialExists(Conflict):
    message = (
        "Conflict occurred attempting to store credential - Duplicate entry found with "
        "access key {access}."
    )


class NoProject(BadRequest):
    message = "Expecting to find project_id in credential: one of type ec2 is for a project."


class LenderFixed(BadRequest):
    message = "Invalid input for {name}: what lent a credential its rights cannot be chosen."


@api.get("/v3/credentials", Rule("identity:list_credentials", READERS), key="credentials")
def index(ctx: Context, query: CredentialQuery) -> Page[CredentialView]:
    """List credentials: of everybody for those who may, of one's own for others."""
    statement = ctx.visible(select(CredentialRecord), {USER: CredentialRecord.user_id})
    return page(ctx, statement, CredentialRecord, query, view)


@api.post(
    "/v3/credentials",
    Rule("identity:create_credential", WRITERS),
    key="credential",
    status=201,
)
def create(ctx: Context, body: CredentialCreate) -> CredentialView:
    """Create a credential."""
    ctx.allow(credential={"user_id": body.user_id})
    refuse_lent(ctx, "managing credentials")
    find_user(ctx.session, body.user_id)
    if body.project_id is not None:
        find_project(ctx.session, body.project_id)
    blob, credential_id = body.blob, clock.new_id()
    if is_ec2(body.type):
        if body.project_id is None:
            raise NoProject
        keys = read_ec2(blob)
        blob, credential_id = _signed_for(ctx, body.user_id, keys, blob), id_of_access(keys.access)
        if ctx.session.get(CredentialRecord, credential_id) is not None:
            raise CredentialExists(access=keys.access)
    record = CredentialRecord(
        id=credential_id,
        user_id=body.user_id,
        project_id=body.project_id,
        type=EC2 if is_ec2(body.type) else body.type,
        encrypted_blob=ctx.cloud.get(CredentialKeys).encrypt(blob),
        extra=body.extra,
    )
    ctx.session.add(record)
    ctx.session.flush()
    events.emit(ctx.session, "credential.created", record.id)
    return view(ctx, record)


@api.get(ONE, Rule("identity:get_credential", READERS), key="credential")
def show(ctx: Context, credential_id: str) -> CredentialView:
    """Show a credential."""
    return view(ctx, _permitted(ctx, credential_id))


@api.patch(ONE, Rule("identity:update_credential", WRITERS), key="credential")
def update(ctx: Context, credential_id: str, body: CredentialUpdate) -> CredentialView:
    """Change a credential; its id stays, whatever becomes of its access key."""
    record = _permitted(ctx, credential_id)
    refuse_lent(ctx, "managing credentials")
    if body.user_id not in (UNSET, record.user_id):
        ctx.allow(credential={"user_id": body.user_id})  # who gives it away must own both ends
        find_user(ctx.session, str(body.user_id))
    if isinstance(body.project_id, str):
        find_project(ctx.session, body.project_id)
    changed = {
        name: getattr(body, name)
        for name in ("user_id", "project_id", "type")
        if getattr(body, name) is not UNSET
    }
    _change_blob(ctx, record, body)
    for name, value in changed.items():
        setattr(record, name, value)
    if is_ec2(record.type):
        record.type = EC2
        if record.project_id is None:
            raise NoProject
    record.extra = {**record.extra, **body.extra}
    ctx.session.flush()
    events.emit(ctx.session, "credential.updated", record.id)
    return view(ctx, record)


@api.delete(ONE, Rule("identity:delete_credential", WRITERS))
def delete(ctx: Context, credential_id: str) -> None:
    """Delete a credential."""
    record = _permitted(ctx, credential_id)
    refuse_lent(ctx, "managing credentials")
    ctx.session.delete(record)
    events.emit(ctx.session, "credential.deleted", credential_id)


def is_ec2(type_: str) -> bool:
    """Whether this type is the one whose blob holds an access key; clients vary its case."""
    return type_.lower() == EC2


def view(ctx: Context, record: CredentialRecord) -> CredentialView:
    """A credential as clients see it."""
    return CredentialView(
        id=record.id,
        user_id=record.user_id,
        project_id=record.project_id,
        type=record.type,
        blob=ctx.cloud.get(CredentialKeys).decrypt(record.encrypted_blob),
        links=dict(links(ctx, f"credentials/{record.id}")),
        extra=record.extra,
    )


def lender(ctx: Context, user_id: str) -> dict[str, str]:
    """What lent the caller the rights with which it makes a credential of its user."""
    lent_by = ctx.caller.application_credential_id
    return {"app_cred_id": lent_by} if lent_by and user_id == ctx.caller.user_id else {}


def _permitted(ctx: Context, credential_id: str) -> CredentialRecord:
    """The credential, if the operation's rule lets the caller at it."""
    record = ctx.session.get(CredentialRecord, credential_id)
    ctx.allow(credential={} if record is None else record)
    return find(ctx.session, credential_id)


def _signed_for(ctx: Context, user_id: str, keys: Ec2Blob, blob: str) -> str:
    """The blob of a new EC2 credential, which says what lent it its rights."""
    named = next((name for name in LENDERS if keys.lenders[name] is not None), None)
    if named is not None:
        raise LenderFixed(name=named)
    lent_by = lender(ctx, user_id)
    if not lent_by:
        return blob
    return msgspec.json.encode({**msgspec.json.decode(blob), **lent_by}).decode()


def _change_blob(ctx: Context, record: CredentialRecord, body: CredentialUpdate) -> None:
    """Store the new blob; neither it nor a new type or owner may shed what lent the rights."""
    stored = ctx.cloud.get(CredentialKeys).decrypt(record.encrypted_blob)
    blob = stored if body.blob is UNSET else body.blob
    before = read_ec2(stored).lenders if is_ec2(record.type) else dict.fromkeys(LENDERS)
    is_lent = any(before.values())
    type_ = record.type if body.type is UNSET else body.type
    if is_ec2(type_):
        after = read_ec2(blob).lenders
        changed = next((name for name in LENDERS if after[name] != before[name]), None)
        if changed is not None:
            raise LenderFixed(name=changed)
    elif is_lent:
        raise LenderFixed(name="type")
    if is_lent and body.user_id not in (UNSET, record.user_id):
        raise LenderFixed(name="user_id")
    if body.blob is not UNSET:
        record.encrypted_blob = ctx.cloud.get(CredentialKeys).encrypt(blob)
