"""Consumers: programs that users may let act for them."""

import secrets
from typing import Annotated, Any

from sqlalchemy import select

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Extras, Shape, UnsetType
from onestack.identity import events
from onestack.identity.credential_keys import CredentialKeys
from onestack.identity.names import Description
from onestack.identity.oauth1.record import ConsumerRecord, find_consumer
from onestack.identity.rules import ADMIN, READ
from onestack.identity.style import links
from onestack.identity.tokens.revocation import revoke

api = Operations("oauth1")

ONE = "/v3/OS-OAUTH1/consumers/{consumer_id}"
EVENT = "OS-OAUTH1:consumer"
OURS = ("id", "secret", "links")


class ConsumerCreate(Shape):
    """A consumer to make."""

    description: Description | None = None
    extra: Annotated[dict[str, Any], Extras] = {}


class ConsumerUpdate(Shape):
    """What to change of a consumer."""

    description: Description | UnsetType | None = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


class ConsumerView(Shape):
    """A consumer; its secret is shown when it is made, and never again."""

    id: str
    description: str | None
    links: dict[str, str]
    secret: str | UnsetType = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


class AttributeFixed(BadRequest):
    message = "Invalid input for consumer: {name} cannot be changed."


@api.get("/v3/OS-OAUTH1/consumers", Rule("identity:list_consumers", READ), key="consumers")
def index(ctx: Context, query: PageQuery) -> Page[ConsumerView]:
    """List consumers."""
    return page(ctx, select(ConsumerRecord), ConsumerRecord, query, view)


@api.post(
    "/v3/OS-OAUTH1/consumers",
    Rule("identity:create_consumer", ADMIN),
    key="consumer",
    status=201,
)
def create(ctx: Context, body: ConsumerCreate) -> ConsumerView:
    """Create a consumer; the answer tells its secret."""
    secret = secrets.token_hex(32)
    record = ConsumerRecord(
        id=clock.new_id(),
        description=body.description,
        encrypted_secret=ctx.cloud.get(CredentialKeys).encrypt(secret),
        extra={name: value for name, value in body.extra.items() if name not in OURS},
    )
    ctx.session.add(record)
    events.emit(ctx.session, f"{EVENT}.created", record.id)
    made = view(ctx, record)
    made.secret = secret
    return made


@api.get(ONE, Rule("identity:get_consumer", READ), key="consumer")
def show(ctx: Context, consumer_id: str) -> ConsumerView:
    """Show a consumer."""
    return view(ctx, find_consumer(ctx.session, consumer_id))


@api.patch(ONE, Rule("identity:update_consumer", ADMIN), key="consumer")
def update(ctx: Context, consumer_id: str, body: ConsumerUpdate) -> ConsumerView:
    """Change a consumer; its id and its secret stay."""
    record = find_consumer(ctx.session, consumer_id)
    if "secret" in body.extra:
        raise AttributeFixed(name="secret")
    if body.extra.get("id", consumer_id) != consumer_id:
        raise AttributeFixed(name="id")
    if body.description is not UNSET:
        record.description = body.description
    changed = {name: value for name, value in body.extra.items() if name not in OURS}
    record.extra = {**record.extra, **changed}
    events.emit(ctx.session, f"{EVENT}.updated", consumer_id)
    return view(ctx, record)


@api.delete(ONE, Rule("identity:delete_consumer", ADMIN))
def delete(ctx: Context, consumer_id: str) -> None:
    """Delete a consumer, and all that users let it do."""
    record = find_consumer(ctx.session, consumer_id)
    revoke(ctx.session, consumer_id=consumer_id)
    ctx.session.delete(record)
    events.emit(ctx.session, f"{EVENT}.deleted", consumer_id)


def view(ctx: Context, record: ConsumerRecord) -> ConsumerView:
    """A consumer as clients see it."""
    return ConsumerView(
        id=record.id,
        description=record.description,
        links=dict(links(ctx, f"OS-OAUTH1/consumers/{record.id}")),
        extra=record.extra,
    )
