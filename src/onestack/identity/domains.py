"""Domains: the places of users, groups and projects."""

import re
from typing import Annotated, Any

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Extras, Shape, UnsetType
from onestack.identity import resource_options, rules
from onestack.identity.names import Description
from onestack.identity.projects import removal
from onestack.identity.projects.operations import add, change
from onestack.identity.projects.record import DomainNotFound, ProjectRecord, find_domain
from onestack.identity.projects.view import Changes, ProjectName, Tags, stored
from onestack.identity.resource_options import OptionsBody
from onestack.identity.style import links
from onestack.identity.unique import Duplicate

api = Operations("domains")

ID = "target.domain.id"
LIST = rules.either(rules.READ, rules.domain_reader(ID))
# Whoever is in a domain, or works in one of its projects, may know it.
SHOW = rules.either(rules.READ, f"domain_id:%({ID})s", f"project_domain_id:%({ID})s")


class DomainCreate(Shape):
    """A domain to make."""

    name: ProjectName
    explicit_domain_id: str | None = None
    enabled: bool = True
    description: Description | None = ""
    tags: Tags = []
    options: OptionsBody | UnsetType = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


class DomainUpdate(Changes):
    """What to change of a domain."""


class DomainQuery(PageQuery):
    """Which domains to list."""

    name: str | None = None
    enabled: bool | None = None


class DomainView(Shape):
    """A domain."""

    id: str
    name: str
    enabled: bool
    description: str | None
    tags: list[str]
    options: dict[str, Any]
    links: dict[str, str]
    extra: Annotated[dict[str, Any], Extras] = {}


class DomainIdInvalid(BadRequest):
    message = "Domain ID does not conform to required UUID format."


@api.get("/v3/domains", Rule("identity:list_domains", LIST), key="domains")
def index(ctx: Context, query: DomainQuery) -> Page[DomainView]:
    """List domains."""
    statement = ctx.visible(
        select(ProjectRecord).where(ProjectRecord.is_domain), {ID: ProjectRecord.id}
    )
    if ctx.caller.domain_id is not None:
        statement = statement.where(ProjectRecord.id == ctx.caller.domain_id)
    statement = statement.options(selectinload(ProjectRecord.labels))
    return page(ctx, statement, ProjectRecord, query, view)


@api.post(
    "/v3/domains",
    Rule("identity:create_domain", rules.ADMIN, scopes=rules.ABOVE),
    key="domain",
    status=201,
)
def create(ctx: Context, body: DomainCreate) -> DomainView:
    """Create a domain."""
    ctx.allow()
    record = ProjectRecord(
        id=_new_id(ctx, body.explicit_domain_id),
        name=body.name.strip(),
        domain_id=None,
        parent_id=None,
        is_domain=True,
        enabled=body.enabled,
        description=body.description,
        options=resource_options.merged(body.options),
        extra=stored(body.extra),
    )
    add(ctx.session, record, body.tags)
    return view(ctx, record)


@api.get("/v3/domains/{domain_id}", Rule("identity:get_domain", SHOW), key="domain")
def show(ctx: Context, domain_id: str) -> DomainView:
    """Show a domain."""
    record = ctx.session.get(ProjectRecord, domain_id)
    ctx.allow(domain={} if record is None else record)
    if record is None or not record.is_domain:
        raise DomainNotFound(domain_id=domain_id)
    return view(ctx, record)


@api.patch(
    "/v3/domains/{domain_id}",
    Rule("identity:update_domain", rules.ADMIN, scopes=rules.ABOVE),
    key="domain",
)
def update(ctx: Context, domain_id: str, body: DomainUpdate) -> DomainView:
    """Change a domain; one that is disabled lets nobody in, and voids all tokens for it."""
    record = find_domain(ctx.session, domain_id)
    ctx.allow(domain=record)
    if body == DomainUpdate():
        raise BadRequest("Expecting to find what to change of the domain.")
    resource_options.allow_update(record, "domain", body)
    change(ctx.session, record, body)
    return view(ctx, record)


@api.delete(
    "/v3/domains/{domain_id}",
    Rule("identity:delete_domain", rules.ADMIN, scopes=rules.ABOVE),
    threaded=True,
)
def delete(ctx: Context, domain_id: str) -> None:
    """Delete a disabled domain with its users, groups, projects and roles."""
    record = find_domain(ctx.session, domain_id)
    ctx.allow(domain=record)
    removal.remove(ctx.session, record)


def view(ctx: Context, record: ProjectRecord) -> DomainView:
    """A domain as clients see it."""
    return DomainView(
        id=record.id,
        name=record.name,
        enabled=record.enabled,
        description=record.description,
        tags=record.tags,
        options=record.options,
        links=dict(links(ctx, f"domains/{record.id}")),
        extra=record.extra,
    )


def _new_id(ctx: Context, chosen: str | None) -> str:
    if chosen is None:
        return clock.new_id()
    if not re.fullmatch("[0-9a-f]{32}", chosen):
        raise DomainIdInvalid
    if ctx.session.get(ProjectRecord, chosen) is not None:
        raise Duplicate(kind="domain", name=chosen)
    return chosen
