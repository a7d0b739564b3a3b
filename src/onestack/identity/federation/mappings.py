"""Mappings: the rules that make identities of what identity providers assert."""

import re
from typing import Any

from sqlalchemy import select

from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import Shape
from onestack.identity import events, rules
from onestack.identity.federation.mapping_language import InvalidMapping, validate
from onestack.identity.federation.record import IdInvalid, MappingRecord, find_mapping
from onestack.identity.style import links
from onestack.identity.unique import Duplicate, refuse_duplicate

api = Operations("mappings")

ONE = "/v3/OS-FEDERATION/mappings/{mapping_id}"
CHOSEN_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)


class MappingCreate(Shape, forbid_unknown_fields=True):
    """A mapping to make."""

    rules: list[Any]
    schema_version: str | None = None
    id: str | None = None  # some clients repeat the one of the address


class MappingUpdate(MappingCreate, forbid_unknown_fields=True):
    """The new rules of a mapping; they stay in the language of the old ones unless they say."""


class MappingQuery(PageQuery):
    """Which mappings to list."""

    id: str | None = None


class MappingView(Shape):
    """A mapping."""

    id: str
    rules: list[Any]
    schema_version: str
    links: dict[str, str]


class RulesInvalid(BadRequest):
    message = "{reason}"


@api.get("/v3/OS-FEDERATION/mappings", Rule("identity:list_mappings", rules.READ), key="mappings")
def index(ctx: Context, query: MappingQuery) -> Page[MappingView]:
    """List mappings."""
    return page(ctx, select(MappingRecord), MappingRecord, query, view)


@api.put(
    ONE, Rule("identity:create_mapping", rules.ADMIN), key="mapping", status=201, threaded=True
)
def create(ctx: Context, mapping_id: str, body: MappingCreate) -> MappingView:
    """Make a mapping."""
    if not CHOSEN_ID.fullmatch(mapping_id):
        raise IdInvalid
    if body.id not in (None, mapping_id):
        raise BadRequest("The mapping's id in the request body is not the one in its address.")
    version = _checked(body.rules, body.schema_version)
    if ctx.session.get(MappingRecord, mapping_id) is not None:
        raise Duplicate(kind="mapping", name=mapping_id)
    record = MappingRecord(id=mapping_id, rules=body.rules, schema_version=version)
    ctx.session.add(record)
    refuse_duplicate(ctx.session, "mapping", mapping_id)
    events.emit(ctx.session, "mapping.created", mapping_id)
    return view(ctx, record)


@api.get(ONE, Rule("identity:get_mapping", rules.READ), key="mapping")
def show(ctx: Context, mapping_id: str) -> MappingView:
    """Show a mapping."""
    return view(ctx, find_mapping(ctx.session, mapping_id))


@api.patch(ONE, Rule("identity:update_mapping", rules.ADMIN), key="mapping", threaded=True)
def update(ctx: Context, mapping_id: str, body: MappingUpdate) -> MappingView:
    """Give a mapping new rules; who has signed in by the old ones keeps the token."""
    record = find_mapping(ctx.session, mapping_id)
    version = _checked(body.rules, body.schema_version or record.schema_version)
    record.rules, record.schema_version = body.rules, version
    events.emit(ctx.session, "mapping.updated", mapping_id)
    return view(ctx, record)


@api.delete(ONE, Rule("identity:delete_mapping", rules.ADMIN))
def delete(ctx: Context, mapping_id: str) -> None:
    """Delete a mapping; protocols that use it let nobody in any more."""
    ctx.session.delete(find_mapping(ctx.session, mapping_id))
    events.emit(ctx.session, "mapping.deleted", mapping_id)


def view(ctx: Context, record: MappingRecord) -> MappingView:
    """A mapping as clients see it."""
    return MappingView(
        id=record.id,
        rules=record.rules,
        schema_version=record.schema_version,
        links=dict(links(ctx, f"OS-FEDERATION/mappings/{record.id}")),
    )


def _checked(given: list[Any], version: str | None) -> str:
    """The version of the language that the rules are in, when they are rules."""
    try:
        return validate(given, version).schema_version
    except InvalidMapping as error:
        raise RulesInvalid(reason=error) from None
