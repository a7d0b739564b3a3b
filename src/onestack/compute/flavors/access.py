"""Private flavours, and the projects that they are for."""

from typing import Annotated

from sqlalchemy import select

from onestack.compute import rules
from onestack.compute.flavors.change import stored
from onestack.compute.flavors.read import visible
from onestack.compute.flavors.record import FlavorAccessRecord
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import Conflict, NotFound
from onestack.core.shapes import Meta, Shape

api = Operations("flavor access")

Project = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-]+$")]


class AccessExists(Conflict):
    message = "Flavor access already exists for flavor {flavor_id} and project {project_id}."


class AccessNotFound(NotFound):
    message = "Flavor access not found for {flavor_id} / {project_id} combination."


class IsPublic(NotFound):
    message = "Access list not available for public flavors."


class CannotAdd(Conflict):
    message = "Can not add access to a public flavor."


class Access(Shape, forbid_unknown_fields=True):
    """A project, by its id."""

    tenant: Project


class AccessView(Shape):
    """A project that a flavour is for."""

    flavor_id: str
    tenant_id: str


@api.get(
    "/v2.1/flavors/{flavor_id}/os-flavor-access",
    rules.rule("os-flavor-access"),
    key="flavor_access",
)
def index(ctx: Context, flavor_id: str) -> Page[AccessView]:
    """List the projects that a private flavour is for."""
    if visible(ctx, flavor_id).is_public:
        raise IsPublic
    return _page(ctx, flavor_id)


@api.post(
    "/v2.1/flavors/{flavor_id}/action",
    rules.rule("os-flavor-access:add_tenant_access"),
    action="addTenantAccess",
    key="flavor_access",
)
def add(ctx: Context, flavor_id: str, body: Access) -> Page[AccessView]:
    """Let a project use a private flavour."""
    flavor = stored(ctx, flavor_id)
    if flavor.is_public and ctx.version >= (2, 7):
        raise CannotAdd
    if ctx.session.get(FlavorAccessRecord, (flavor_id, body.tenant)) is not None:
        raise AccessExists(flavor_id=flavor_id, project_id=body.tenant)
    ctx.session.add(FlavorAccessRecord(flavor_id=flavor_id, project_id=body.tenant))
    ctx.session.flush()
    return _page(ctx, flavor_id)


@api.post(
    "/v2.1/flavors/{flavor_id}/action",
    rules.rule("os-flavor-access:remove_tenant_access"),
    action="removeTenantAccess",
    key="flavor_access",
)
def remove(ctx: Context, flavor_id: str, body: Access) -> Page[AccessView]:
    """Let a project use a private flavour no longer."""
    stored(ctx, flavor_id)
    access = ctx.session.get(FlavorAccessRecord, (flavor_id, body.tenant))
    if access is None:
        raise AccessNotFound(flavor_id=flavor_id, project_id=body.tenant)
    ctx.session.delete(access)
    ctx.session.flush()
    return _page(ctx, flavor_id)


def _page(ctx: Context, flavor_id: str) -> Page[AccessView]:
    projects = ctx.session.scalars(
        select(FlavorAccessRecord.project_id)
        .where(FlavorAccessRecord.flavor_id == flavor_id)
        .order_by(FlavorAccessRecord.project_id)
    )
    return Page([AccessView(flavor_id=flavor_id, tenant_id=each) for each in projects])
