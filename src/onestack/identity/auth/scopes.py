"""Scopes that a token may be had for: one's projects and domains, the system; and the catalogue."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import aliased, selectinload

from onestack.core.api import Operations, Page, Reply
from onestack.core.context import Context
from onestack.core.errors import Forbidden
from onestack.core.paging import page
from onestack.core.policy import Rule
from onestack.identity.assignments import effective
from onestack.identity.catalog.listing import catalog
from onestack.identity.domains import DomainQuery, DomainView
from onestack.identity.domains import view as domain_view
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.projects.view import ProjectView
from onestack.identity.projects.view import view as project_view
from onestack.identity.rules import ANYONE
from onestack.identity.style import links
from onestack.identity.tokens.validation import Tokens
from onestack.identity.users.reach import OwnProjectQuery

api = Operations("scopes")

PROJECTS = Rule("identity:get_auth_projects", ANYONE)
DOMAINS = Rule("identity:get_auth_domains", ANYONE)


class NoProject(Forbidden):
    message = "A project-scoped token is required to produce a service catalog."


@api.get("/v3/OS-FEDERATION/projects", PROJECTS, key="projects")
@api.get("/v3/auth/projects", PROJECTS, key="projects")
def projects(ctx: Context, query: OwnProjectQuery) -> Page[ProjectView]:
    """List the projects that one may have a token for."""
    mine = effective.project_ids(ctx.caller.user_id, _federated_groups(ctx))
    domain = aliased(ProjectRecord)
    open_domains = select(domain.id).where(domain.is_domain, domain.enabled)
    statement = (
        select(ProjectRecord)
        .where(ProjectRecord.id.in_(mine), ProjectRecord.enabled, ~ProjectRecord.is_domain)
        .where(ProjectRecord.domain_id.in_(open_domains))
        .options(selectinload(ProjectRecord.labels))
    )
    return page(ctx, statement, ProjectRecord, query, project_view)


@api.get("/v3/OS-FEDERATION/domains", DOMAINS, key="domains")
@api.get("/v3/auth/domains", DOMAINS, key="domains")
def domains(ctx: Context, query: DomainQuery) -> Page[DomainView]:
    """List the domains that one may have a token for."""
    mine = effective.domain_ids(ctx.caller.user_id, _federated_groups(ctx))
    statement = (
        select(ProjectRecord)
        .where(ProjectRecord.id.in_(mine), ProjectRecord.enabled, ProjectRecord.is_domain)
        .options(selectinload(ProjectRecord.labels))
    )
    return page(ctx, statement, ProjectRecord, query, domain_view)


@api.get("/v3/auth/system", Rule("identity:get_auth_system", ANYONE))
def system(ctx: Context) -> Reply:
    """Say whether one may have a token for the system."""
    roles = effective.on_system(ctx.session, ctx.caller.user_id, _federated_groups(ctx))
    answer: dict[str, Any] = {"system": [{"all": True}] if roles else []}
    return Reply({**answer, "links": links(ctx, "auth/system")})


@api.get("/v3/auth/catalog", Rule("identity:get_auth_catalog", ANYONE))
def show_catalog(ctx: Context) -> Reply:
    """Show the services that the token's project may use."""
    caller = ctx.caller
    if caller.project_id is None:
        raise NoProject
    found = catalog(ctx.session, caller.user_id, caller.project_id)
    return Reply({"catalog": found, "links": links(ctx, "auth/catalog")})


def _federated_groups(ctx: Context) -> tuple[str, ...]:
    """The groups that an identity provider put the caller into, for as long as the token lasts."""
    token = ctx.request.token
    return tuple(ctx.cloud.get(Tokens).subject(token or "").claims.federated_groups or ())
