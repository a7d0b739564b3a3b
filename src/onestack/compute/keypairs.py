"""Key pairs: what a user signs in to servers with."""

import datetime as dt
import re
from typing import Annotated, Any, Literal

from sqlalchemy import Select, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.compute import quotas, rules
from onestack.compute.paging import PageQuery, cut
from onestack.core import clock, event
from onestack.core.api import Operations, Page, Reply
from onestack.core.context import Context
from onestack.core.db import Record
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.moments import precise
from onestack.core.shapes import UNSET, Meta, Shape, UnsetType, since

api = Operations("key pairs")

NAME = r"^(?! )[a-zA-Z0-9 _-]{1,255}(?<! )$"
NAME_SINCE_92 = r"^(?! )[a-zA-Z0-9 _.@-]{1,255}(?<! )$"

Type = Literal["ssh", "x509"]
UserId = Annotated[str, Meta(min_length=1, max_length=255)]


class KeypairRecord(Record):
    """A public key, or a certificate, of a user."""

    __tablename__ = "keypairs"
    __table_args__ = (UniqueConstraint("user_id", "name"),)
    topic = "compute"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[str]
    name: Mapped[str]
    type: Mapped[str]
    public_key: Mapped[str]
    fingerprint: Mapped[str]
    created_at: Mapped[dt.datetime]


class KeypairNotFound(NotFound):
    message = "Keypair {name} not found for user {user_id}"


class KeypairExists(Conflict):
    message = "Key pair '{name}' already exists."


class BadName(BadRequest):
    message = "Keypair data is invalid: Keypair name contains unsafe characters"


class KeyNeeded(BadRequest):
    message = "Invalid input for field/attribute keypair: 'public_key' is a required property"


class KeypairCreate(Shape, forbid_unknown_fields=True):
    """A key pair to keep, or to generate where no public key is given."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    public_key: Annotated[str, Meta(min_length=1, max_length=65535)] | None = None
    type: Annotated[Type, since("2.2")] = "ssh"
    user_id: Annotated[UserId | UnsetType, since("2.10")] = UNSET


class UserQuery(Shape):
    """Whose key pair."""

    user_id: Annotated[str | UnsetType, since("2.10")] = UNSET


class KeypairQuery(PageQuery):
    """Whose key pairs, and which part of them."""

    user_id: Annotated[str | UnsetType, since("2.10")] = UNSET


class Summary(Shape):
    """A key pair in a list."""

    name: str
    public_key: str
    fingerprint: str
    type: Annotated[str, since("2.2")]


class Listed(Shape):
    """An item of a list, which is wrapped once more."""

    keypair: Summary


class Made(Summary, kw_only=True):
    """A key pair that was made; with its private key when that was generated, this once."""

    user_id: str
    private_key: str | UnsetType = UNSET


class KeypairView(Summary, kw_only=True):
    """A key pair."""

    id: int
    user_id: str
    created_at: str
    deleted: bool = False
    deleted_at: str | None = None
    updated_at: str | None = None


def _generates(ctx: Context) -> bool:
    """Whether a key may have to be made, which takes long."""
    return ctx.version < (2, 92)


@api.get("/v2.1/os-keypairs", rules.rule("os-keypairs:index", rules.OWN_USER), key="keypairs")
def index(ctx: Context, query: KeypairQuery) -> Page[Listed]:
    """List a user's key pairs."""
    user_id = _user(ctx, query.user_id)
    wanted: Select[Any] = select(KeypairRecord).where(KeypairRecord.user_id == user_id)
    if ctx.version < (2, 35):
        query.limit = query.marker = None
    rows, has_more = cut(ctx.session, wanted, [(KeypairRecord.name, False)], query)
    marker = rows[-1].name if rows and has_more else None
    return Page([Listed(keypair=_summary(each)) for each in rows], marker)


@api.post(
    "/v2.1/os-keypairs",
    rules.rule("os-keypairs:create", rules.OWN_USER),
    key="keypair",
    threaded=_generates,
)
def create(ctx: Context, body: KeypairCreate) -> Reply:
    """Keep a key pair; before 2.92 one is generated where no public key is given."""
    from onestack.compute import key_material  # loads what only this operation needs

    user_id = _user(ctx, body.user_id)
    _check_name(ctx, body.name)
    private_key: str | UnsetType = UNSET
    public_key = body.public_key
    if public_key is None:
        if not _generates(ctx):
            raise KeyNeeded
        private_key, public_key = key_material.generated(body.type, user_id)
    quotas.check_keypairs(ctx.session, user_id)
    if _stored(ctx.session, user_id, body.name) is not None:
        raise KeypairExists(name=body.name)
    record = KeypairRecord(
        user_id=user_id,
        name=body.name,
        type=body.type,
        public_key=public_key,
        fingerprint=key_material.fingerprint(body.type, public_key),
        created_at=clock.now(),
    )
    ctx.session.add(record)
    ctx.session.flush()
    _emit(ctx, "create", record)
    made = Made(
        name=record.name, public_key=public_key, fingerprint=record.fingerprint,
        type=record.type, user_id=user_id, private_key=private_key,
    )  # fmt: skip
    return Reply(made, status=201 if ctx.version >= (2, 2) else 200)


@api.get("/v2.1/os-keypairs/{name}", rules.rule("os-keypairs:show", rules.OWN_USER), key="keypair")
def show(ctx: Context, name: str, query: UserQuery) -> KeypairView:
    """Show a key pair."""
    record = find(ctx.session, _user(ctx, query.user_id), name)
    return KeypairView(
        id=record.id, user_id=record.user_id, name=record.name, type=record.type,
        public_key=record.public_key, fingerprint=record.fingerprint,
        created_at=precise(record.created_at),
    )  # fmt: skip


@api.delete("/v2.1/os-keypairs/{name}", rules.rule("os-keypairs:delete", rules.OWN_USER))
def delete(ctx: Context, name: str, query: UserQuery) -> Reply:
    """Delete a key pair; servers that were made with it keep the key."""
    record = find(ctx.session, _user(ctx, query.user_id), name)
    ctx.session.delete(record)
    _emit(ctx, "delete", record)
    return Reply(status=204 if ctx.version >= (2, 2) else 202)


def find(session: Session, user_id: str, name: str) -> KeypairRecord:
    """The key pair of a user that has this name."""
    record = _stored(session, user_id, name)
    if record is None:
        raise KeypairNotFound(name=name[:255], user_id=user_id)
    return record


def _stored(session: Session, user_id: str, name: str) -> KeypairRecord | None:
    wanted = select(KeypairRecord).where(
        KeypairRecord.user_id == user_id, KeypairRecord.name == name
    )
    return session.scalar(wanted)


def _user(ctx: Context, asked: str | UnsetType) -> str:
    """Whose key pairs are meant; others' are for administrators."""
    user_id = ctx.caller.user_id if asked is UNSET else asked
    ctx.allow({"user_id": user_id, "project_id": ctx.caller.project_id})
    return user_id


def _summary(record: KeypairRecord) -> Summary:
    return Summary(
        name=record.name,
        public_key=record.public_key,
        fingerprint=record.fingerprint,
        type=record.type,
    )


def _check_name(ctx: Context, name: str) -> None:
    if not re.match(NAME_SINCE_92 if ctx.version >= (2, 92) else NAME, name):
        raise BadName


def _emit(ctx: Context, what: str, record: KeypairRecord) -> None:
    payload = {
        "key_name": record.name, "user_id": record.user_id, "fingerprint": record.fingerprint,
        "type": record.type,
    }  # fmt: skip
    event.emit(ctx.session, f"keypair.{what}", payload, ctx.caller.project_id, record.name)
