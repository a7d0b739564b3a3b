"""Endpoint groups: the endpoints that fit some filters, shown to projects together."""

from typing import Annotated, Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import NotFound
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Id, Meta, Name, Shape, UnsetType
from onestack.identity import events
from onestack.identity.catalog import endpoints
from onestack.identity.catalog.endpoints import EndpointView, Interface
from onestack.identity.catalog.listing import members
from onestack.identity.catalog.record import EndpointGroupFilterRecord, EndpointGroupRecord
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.projects.record import find as find_project
from onestack.identity.projects.view import ProjectView
from onestack.identity.projects.view import view as project_view
from onestack.identity.rules import ADMIN, READ
from onestack.identity.style import links

api = Operations("endpoint groups")

ROOT = "/v3/OS-EP-FILTER/endpoint_groups"
ONE = f"{ROOT}/{{endpoint_group_id}}"
ASSOCIATION = f"{ONE}/projects/{{project_id}}"
OF_PROJECT = "/v3/OS-EP-FILTER/projects/{project_id}/endpoint_groups"

Description = Annotated[str, Meta(max_length=65535)]


class EndpointGroupNotFound(NotFound):
    message = "Could not find Endpoint Group: {endpoint_group_id}."


class NotAssociated(NotFound):
    message = "Endpoint Group {endpoint_group_id} not found in project {project_id}."


class Filters(Shape, forbid_unknown_fields=True, omit_defaults=True):
    """What an endpoint must be to belong to the group."""

    service_id: Id | UnsetType = UNSET
    region_id: Name | UnsetType = UNSET
    interface: Interface | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class EndpointGroupCreate(Shape):
    """An endpoint group to make."""

    name: Name
    filters: Filters
    description: Description | None = None


class EndpointGroupUpdate(Shape):
    """What to change of an endpoint group."""

    name: Name | UnsetType = UNSET
    filters: Filters | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET


class EndpointGroupQuery(PageQuery):
    """Which endpoint groups to list."""

    name: str | None = None


class EndpointGroupView(Shape):
    """An endpoint group."""

    id: str
    name: str
    description: str | None
    filters: dict[str, Any]
    links: dict[str, str]


@api.get(ROOT, Rule("identity:list_endpoint_groups", READ), key="endpoint_groups")
def index(ctx: Context, query: EndpointGroupQuery) -> Page[EndpointGroupView]:
    """List endpoint groups."""
    return page(ctx, select(EndpointGroupRecord), EndpointGroupRecord, query, view)


@api.post(ROOT, Rule("identity:create_endpoint_group", ADMIN), key="endpoint_group", status=201)
def create(ctx: Context, body: EndpointGroupCreate) -> EndpointGroupView:
    """Create an endpoint group."""
    record = EndpointGroupRecord(
        id=clock.new_id(),
        name=body.name,
        description=body.description,
        filters=_stored(body.filters),
    )
    ctx.session.add(record)
    events.emit(ctx.session, "endpoint_group.created", record.id)
    return view(ctx, record)


@api.get(ONE, Rule("identity:get_endpoint_group", READ), key="endpoint_group")
def show(ctx: Context, endpoint_group_id: str) -> EndpointGroupView:
    """Show an endpoint group."""
    return view(ctx, find(ctx.session, endpoint_group_id))


@api.patch(ONE, Rule("identity:update_endpoint_group", ADMIN), key="endpoint_group")
def update(ctx: Context, endpoint_group_id: str, body: EndpointGroupUpdate) -> EndpointGroupView:
    """Change an endpoint group; its filters are replaced as a whole."""
    record = find(ctx.session, endpoint_group_id)
    if body.name is not UNSET:
        record.name = body.name
    if body.description is not UNSET:
        record.description = body.description
    if body.filters is not UNSET:
        record.filters = _stored(body.filters)
    events.emit(ctx.session, "endpoint_group.updated", endpoint_group_id)
    return view(ctx, record)


@api.delete(ONE, Rule("identity:delete_endpoint_group", ADMIN))
def delete(ctx: Context, endpoint_group_id: str) -> None:
    """Delete an endpoint group; the projects that it was shown to lose it."""
    ctx.session.delete(find(ctx.session, endpoint_group_id))
    events.emit(ctx.session, "endpoint_group.deleted", endpoint_group_id)


@api.get(
    f"{ONE}/endpoints",
    Rule("identity:list_endpoints_associated_with_endpoint_group", READ),
    key="endpoints",
)
def endpoints_of(ctx: Context, endpoint_group_id: str) -> Page[EndpointView]:
    """List the endpoints that fit an endpoint group."""
    group = find(ctx.session, endpoint_group_id)
    return Page([endpoints.view(ctx, record) for record in members(ctx.session, group)])


@api.get(
    f"{ONE}/projects",
    Rule("identity:list_projects_associated_with_endpoint_group", READ),
    key="projects",
)
def projects(ctx: Context, endpoint_group_id: str) -> Page[ProjectView]:
    """List the projects that an endpoint group is shown to."""
    find(ctx.session, endpoint_group_id)
    associated = select(EndpointGroupFilterRecord.project_id).where(
        EndpointGroupFilterRecord.endpoint_group_id == endpoint_group_id
    )
    statement = select(ProjectRecord).where(ProjectRecord.id.in_(associated))
    found = ctx.session.scalars(statement.options(selectinload(ProjectRecord.labels)))
    return Page([project_view(ctx, record) for record in found])


@api.put(ASSOCIATION, Rule("identity:add_endpoint_group_to_project", ADMIN), status=204)
def add(ctx: Context, endpoint_group_id: str, project_id: str) -> None:
    """Show an endpoint group to a project."""
    find(ctx.session, endpoint_group_id)
    find_project(ctx.session, project_id)
    ctx.session.merge(
        EndpointGroupFilterRecord(endpoint_group_id=endpoint_group_id, project_id=project_id)
    )


@api.get(ASSOCIATION, Rule("identity:get_endpoint_group_in_project", READ), key="project")
def check(ctx: Context, endpoint_group_id: str, project_id: str) -> ProjectView:
    """Show the project, if the endpoint group is shown to it."""
    _association(ctx.session, endpoint_group_id, project_id)
    return project_view(ctx, find_project(ctx.session, project_id))


@api.delete(ASSOCIATION, Rule("identity:remove_endpoint_group_from_project", ADMIN))
def remove(ctx: Context, endpoint_group_id: str, project_id: str) -> None:
    """Show an endpoint group to a project no more."""
    ctx.session.delete(_association(ctx.session, endpoint_group_id, project_id))


@api.get(OF_PROJECT, Rule("identity:list_endpoint_groups_for_project", READ), key="endpoint_groups")
def of_project(ctx: Context, project_id: str) -> Page[EndpointGroupView]:
    """List the endpoint groups that are shown to a project."""
    find_project(ctx.session, project_id)
    found = ctx.session.scalars(
        select(EndpointGroupRecord)
        .join(EndpointGroupFilterRecord)
        .where(EndpointGroupFilterRecord.project_id == project_id)
    )
    return Page([view(ctx, record) for record in found])


def find(session: Session, endpoint_group_id: str) -> EndpointGroupRecord:
    """The endpoint group with this id."""
    record = session.get(EndpointGroupRecord, endpoint_group_id)
    if record is None:
        raise EndpointGroupNotFound(endpoint_group_id=endpoint_group_id)
    return record


def view(ctx: Context, record: EndpointGroupRecord) -> EndpointGroupView:
    """An endpoint group as clients see it."""
    return EndpointGroupView(
        id=record.id,
        name=record.name,
        description=record.description,
        filters=record.filters,
        links=dict(links(ctx, f"OS-EP-FILTER/endpoint_groups/{record.id}")),
    )


def _association(
    session: Session, endpoint_group_id: str, project_id: str
) -> EndpointGroupFilterRecord:
    found = session.get(EndpointGroupFilterRecord, (endpoint_group_id, project_id))
    if found is None:
        raise NotAssociated(endpoint_group_id=endpoint_group_id, project_id=project_id)
    return found


def _stored(filters: Filters) -> dict[str, Any]:
    names = ("service_id", "region_id", "interface", "enabled")
    given = {name: getattr(filters, name) for name in names}
    return {name: value for name, value in given.items() if value is not UNSET}
