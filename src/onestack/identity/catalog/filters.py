"""Endpoint filters: which endpoints a project's catalogue shows, one by one or by groups."""

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import NotFound
from onestack.core.policy import Rule
from onestack.identity.catalog import endpoints
from onestack.identity.catalog.endpoints import EndpointView
from onestack.identity.catalog.listing import shown_to
from onestack.identity.catalog.record import EndpointFilterRecord, EndpointRecord
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.projects.record import find as find_project
from onestack.identity.projects.view import ProjectView
from onestack.identity.projects.view import view as project_view
from onestack.identity.rules import ADMIN, READ

api = Operations("endpoint filters")

PREFIX = "/v3/OS-EP-FILTER"
ASSOCIATION = f"{PREFIX}/projects/{{project_id}}/endpoints/{{endpoint_id}}"


class NotAssociated(NotFound):
    message = "Endpoint {endpoint_id} not found in project {project_id}."


@api.put(ASSOCIATION, Rule("identity:add_endpoint_to_project", ADMIN), status=204)
def add(ctx: Context, project_id: str, endpoint_id: str) -> None:
    """Show an endpoint in a project's catalogue."""
    find_project(ctx.session, project_id)
    endpoints.find(ctx.session, endpoint_id)
    ctx.session.merge(EndpointFilterRecord(project_id=project_id, endpoint_id=endpoint_id))


@api.get(ASSOCIATION, Rule("identity:check_endpoint_in_project", READ), status=204)
def check(ctx: Context, project_id: str, endpoint_id: str) -> None:
    """Check that a project's catalogue shows an endpoint."""
    endpoints.find(ctx.session, endpoint_id)
    find_project(ctx.session, project_id)
    if ctx.session.get(EndpointFilterRecord, (project_id, endpoint_id)) is None:
        raise NotAssociated(endpoint_id=endpoint_id, project_id=project_id)


@api.delete(ASSOCIATION, Rule("identity:remove_endpoint_from_project", ADMIN))
def remove(ctx: Context, project_id: str, endpoint_id: str) -> None:
    """Show an endpoint in a project's catalogue no more."""
    found = ctx.session.get(EndpointFilterRecord, (project_id, endpoint_id))
    if found is None:
        raise NotAssociated(endpoint_id=endpoint_id, project_id=project_id)
    ctx.session.delete(found)


@api.get(
    f"{PREFIX}/projects/{{project_id}}/endpoints",
    Rule("identity:list_endpoints_for_project", READ),
    key="endpoints",
)
def of_project(ctx: Context, project_id: str) -> Page[EndpointView]:
    """List the endpoints that a project's catalogue shows, by filters of either kind."""
    find_project(ctx.session, project_id)
    shown = shown_to(ctx.session, project_id)
    found = ctx.session.scalars(select(EndpointRecord).where(EndpointRecord.id.in_(shown)))
    return Page([endpoints.view(ctx, record) for record in found])


@api.get(
    f"{PREFIX}/endpoints/{{endpoint_id}}/projects",
    Rule("identity:list_projects_for_endpoint", READ),
    key="projects",
)
def projects(ctx: Context, endpoint_id: str) -> Page[ProjectView]:
    """List the projects whose catalogue shows an endpoint."""
    endpoints.find(ctx.session, endpoint_id)
    associated = select(EndpointFilterRecord.project_id).where(
        EndpointFilterRecord.endpoint_id == endpoint_id
    )
    statement = select(ProjectRecord).where(ProjectRecord.id.in_(associated))
    found = ctx.session.scalars(statement.options(selectinload(ProjectRecord.labels)))
    return Page([project_view(ctx, record) for record in found])
