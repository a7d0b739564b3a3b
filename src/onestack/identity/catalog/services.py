"""Services that the cloud offers."""

from typing import Annotated, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import NotFound
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Extras, Name, Shape, Short, UnsetType
from onestack.identity import events
from onestack.identity.catalog.record import ServiceRecord
from onestack.identity.policy_records import forget
from onestack.identity.rules import ADMIN, READ
from onestack.identity.style import links

api = Operations("services")


class ServiceNotFound(NotFound):
    message = "Could not find service: {service_id}."


class ServiceCreate(Shape):
    """A service to make."""

    type: Name
    name: Short | None = None
    enabled: bool = True
    extra: Annotated[dict[str, Any], Extras] = {}


class ServiceUpdate(Shape):
    """What to change of a service."""

    type: Name | UnsetType = UNSET
    name: Short | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


class ServiceQuery(PageQuery):
    """Which services to list."""

    type: str | None = None
    name: str | None = None


class ServiceView(Shape):
    """A service."""

    id: str
    type: str
    enabled: bool
    links: dict[str, str]
    name: str | UnsetType = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


@api.get("/v3/services", Rule("identity:list_services", READ), key="services")
def index(ctx: Context, query: ServiceQuery) -> Page[ServiceView]:
    """List services."""
    return page(ctx, select(ServiceRecord), ServiceRecord, query, view)


@api.post("/v3/services", Rule("identity:create_service", ADMIN), key="service", status=201)
def create(ctx: Context, body: ServiceCreate) -> ServiceView:
    """Create a service."""
    record = ServiceRecord(
        id=clock.new_id(), type=body.type, name=body.name, enabled=body.enabled, extra=body.extra
    )
    ctx.session.add(record)
    events.emit(ctx.session, "service.created", record.id)
    return view(ctx, record)


@api.get("/v3/services/{service_id}", Rule("identity:get_service", READ), key="service")
def show(ctx: Context, service_id: str) -> ServiceView:
    """Show a service."""
    return view(ctx, find(ctx.session, service_id))


@api.patch("/v3/services/{service_id}", Rule("identity:update_service", ADMIN), key="service")
def update(ctx: Context, service_id: str, body: ServiceUpdate) -> ServiceView:
    """Change a service."""
    record = find(ctx.session, service_id)
    if body.type is not UNSET:
        record.type = body.type
    if body.name is not UNSET:
        record.name = body.name
    if body.enabled is not UNSET:
        record.enabled = body.enabled
    record.extra = {**record.extra, **body.extra}
    events.emit(ctx.session, "service.updated", service_id)
    return view(ctx, record)


@api.delete("/v3/services/{service_id}", Rule("identity:delete_service", ADMIN))
def delete(ctx: Context, service_id: str) -> None:
    """Delete a service, and its endpoints with it."""
    forget(ctx.session, service_id=service_id)
    ctx.session.delete(find(ctx.session, service_id))
    events.emit(ctx.session, "service.deleted", service_id)


def find(session: Session, service_id: str) -> ServiceRecord:
    """The service with this id."""
    record = session.get(ServiceRecord, service_id)
    if record is None:
        raise ServiceNotFound(service_id=service_id)
    return record


def view(ctx: Context, record: ServiceRecord) -> ServiceView:
    """A service as clients see it."""
    return ServiceView(
        id=record.id,
        type=record.type,
        enabled=record.enabled,
        links=dict(links(ctx, f"services/{record.id}")),
        name=UNSET if record.name is None else record.name,
        extra=record.extra,
    )
