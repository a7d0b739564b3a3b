"""Roles: made, shown, listed, changed and deleted."""

from typing import Annotated, Any

from sqlalchemy import select

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Extras, Id, Meta, Shape, UnsetType
from onestack.identity import events, rules
from onestack.identity.projects.record import find_domain
from onestack.identity.resource_options import OptionsBody, allow_delete, allow_update, merged
from onestack.identity.roles.record import RoleRecord, find, subject
from onestack.identity.roles.removal import remove
from onestack.identity.style import links
from onestack.identity.unique import refuse_duplicate

api = Operations("roles")

CLOUD_SCOPES = frozenset({"system", "project"})
SHOW = rules.either(rules.READ, "(role:manager and rule:domain_managed_target_role)")
LIST = rules.either(rules.READ, "(role:manager and not domain_id:None)")
SHOW_OF_DOMAIN = Rule("identity:get_domain_role", rules.READ, CLOUD_SCOPES)
LIST_OF_DOMAIN = Rule("identity:list_domain_roles", rules.READ, CLOUD_SCOPES)
CREATE_OF_DOMAIN = Rule("identity:create_domain_role", rules.ADMIN, CLOUD_SCOPES)
UPDATE_OF_DOMAIN = Rule("identity:update_domain_role", rules.ADMIN, CLOUD_SCOPES)
DELETE_OF_DOMAIN = Rule("identity:delete_domain_role", rules.ADMIN, CLOUD_SCOPES)

# Judged in place of an operation's own rule when the role belongs to a domain.
OF_DOMAIN = (SHOW_OF_DOMAIN, LIST_OF_DOMAIN, CREATE_OF_DOMAIN, UPDATE_OF_DOMAIN, DELETE_OF_DOMAIN)

RoleName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*\Z",
    ),
]
Description = Annotated[str, Meta(max_length=65535)]


class DomainIsFixed(BadRequest):
    message = "Update of `domain_id` is not allowed."


class RoleCreate(Shape):
    """A role to make."""

    name: RoleName
    domain_id: Id | None = None
    description: Description | None = None
    options: OptionsBody | UnsetType = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


class RoleUpdate(Shape):
    """What to change of a role."""

    name: RoleName | UnsetType = UNSET
    domain_id: Id | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET
    options: OptionsBody | UnsetType = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


class RoleQuery(PageQuery):
    """Which roles to list: without a domain, those of the whole cloud."""

    name: str | None = None
    domain_id: str | None = None


class RoleView(Shape):
    """A role."""

    id: str
    name: str
    domain_id: str | None
    description: str | None
    options: dict[str, Any]
    links: dict[str, str]
    extra: Annotated[dict[str, Any], Extras] = {}


@api.get("/v3/roles", Rule("identity:list_roles", LIST), key="roles")
def index(ctx: Context, query: RoleQuery) -> Page[RoleView]:
    """List roles."""
    statement = select(RoleRecord)
    if query.domain_id:
        ctx.allow(rule=LIST_OF_DOMAIN)
    else:
        statement = ctx.visible(statement.where(RoleRecord.domain_id == ""), {})
    return page(ctx, statement, RoleRecord, query, view)


@api.post(
    "/v3/roles", Rule("identity:create_role", rules.ADMIN, CLOUD_SCOPES), key="role", status=201
)
def create(ctx: Context, body: RoleCreate) -> RoleView:
    """Create a role, of the whole cloud or of one domain."""
    record = RoleRecord(
        id=clock.new_id(),
        name=body.name,
        domain_id=body.domain_id or "",
        description=body.description,
        options=merged(body.options),
        extra=body.extra,
    )
    _allow(ctx, record, CREATE_OF_DOMAIN)
    if body.domain_id is not None:
        find_domain(ctx.session, body.domain_id)
    ctx.session.add(record)
    refuse_duplicate(ctx.session, "role", body.name)
    events.emit(ctx.session, "role.created", record.id)
    return view(ctx, record)


@api.get("/v3/roles/{role_id}", Rule("identity:get_role", SHOW), key="role")
def show(ctx: Context, role_id: str) -> RoleView:
    """Show a role."""
    record = find(ctx.session, role_id)
    _allow(ctx, record, SHOW_OF_DOMAIN)
    return view(ctx, record)


@api.patch(
    "/v3/roles/{role_id}", Rule("identity:update_role", rules.ADMIN, CLOUD_SCOPES), key="role"
)
def update(ctx: Context, role_id: str, body: RoleUpdate) -> RoleView:
    """Change a role; an immutable one must be made mutable first, by itself."""
    record = find(ctx.session, role_id)
    _allow(ctx, record, UPDATE_OF_DOMAIN)
    allow_update(record, "role", body)
    if body.domain_id is not UNSET and (body.domain_id or "") != record.domain_id:
        raise DomainIsFixed
    if body.name is not UNSET:
        record.name = body.name
    if body.description is not UNSET:
        record.description = body.description
    record.options = merged(body.options, record.options)
    record.extra = {**record.extra, **body.extra}
    refuse_duplicate(ctx.session, "role", record.name)
    events.emit(ctx.session, "role.updated", role_id)
    return view(ctx, record)


@api.delete("/v3/roles/{role_id}", Rule("identity:delete_role", rules.ADMIN, CLOUD_SCOPES))
def delete(ctx: Context, role_id: str) -> None:
    """Delete a role: nobody has it any more, and it implies and is implied by nothing."""
    record = find(ctx.session, role_id)
    _allow(ctx, record, DELETE_OF_DOMAIN)
    allow_delete(record, "role")
    remove(ctx.session, record)


def view(ctx: Context, record: RoleRecord) -> RoleView:
    """A role as clients see it."""
    return RoleView(
        id=record.id,
        name=record.name,
        domain_id=record.domain_id or None,
        description=record.description,
        options=record.options,
        links=dict(links(ctx, f"roles/{record.id}")),
        extra=record.extra,
    )


def _allow(ctx: Context, record: RoleRecord, of_domain: Rule) -> None:
    ctx.allow(rule=of_domain if record.domain_id else None, role=subject(record))
