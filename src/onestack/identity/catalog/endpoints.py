"""Endpoints: the addresses at which services answer."""

from typing import Annotated, Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest, NotFound
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Extras, Id, Meta, Shape, UnsetType
from onestack.identity import events
from onestack.identity.catalog import regions, services
from onestack.identity.catalog.listing import PLACEHOLDER
from onestack.identity.catalog.record import EndpointRecord
from onestack.identity.policy_records import forget
from onestack.identity.rules import ADMIN, READ
from onestack.identity.style import links

api = Operations("endpoints")

Interface = Literal["public", "internal", "admin"]
Url = Annotated[str, Meta(min_length=1, max_length=2048)]
RegionName = Annotated[str, Meta(min_length=1, max_length=255)]
KNOWN = frozenset(("project_id", "tenant_id", "user_id"))


class EndpointNotFound(NotFound):
    message = "Could not find endpoint: {endpoint_id}."


class UnknownPlaceholder(BadRequest):
    message = "The URL has a placeholder that has no value: {name}."


class EndpointCreate(Shape):
    """An endpoint to make."""

    service_id: Id
    interface: Interface
    url: Url
    region_id: RegionName | None = None
    region: RegionName | None = None
    enabled: bool = True
    extra: Annotated[dict[str, Any], Extras] = {}


class EndpointUpdate(Shape):
    """What to change of an endpoint."""

    service_id: Id | UnsetType = UNSET
    interface: Interface | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    region_id: RegionName | UnsetType | None = UNSET
    region: RegionName | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


class EndpointQuery(PageQuery):
    """Which endpoints to list."""

    interface: str | None = None
    service_id: str | None = None
    region_id: str | None = None


class EndpointView(Shape):
    """An endpoint."""

    id: str
    service_id: str
    interface: str
    url: str
    region: str | None
    region_id: str | None
    enabled: bool
    links: dict[str, str]
    extra: Annotated[dict[str, Any], Extras] = {}


@api.get("/v3/endpoints", Rule("identity:list_endpoints", READ), key="endpoints")
def index(ctx: Context, query: EndpointQuery) -> Page[EndpointView]:
    """List endpoints."""
    return page(ctx, select(EndpointRecord), EndpointRecord, query, view)


@api.post("/v3/endpoints", Rule("identity:create_endpoint", ADMIN), key="endpoint", status=201)
def create(ctx: Context, body: EndpointCreate) -> EndpointView:
    """Create an endpoint."""
    services.find(ctx.session, body.service_id)
    _check_url(body.url)
    record = EndpointRecord(
        id=clock.new_id(),
        service_id=body.service_id,
        interface=body.interface,
        url=body.url,
        region_id=_region(ctx.session, body.region_id, body.region),
        enabled=body.enabled,
        extra=body.extra,
    )
    ctx.session.add(record)
    events.emit(ctx.session, "endpoint.created", record.id)
    return view(ctx, record)


@api.get("/v3/endpoints/{endpoint_id}", Rule("identity:get_endpoint", READ), key="endpoint")
def show(ctx: Context, endpoint_id: str) -> EndpointView:
    """Show an endpoint."""
    return view(ctx, find(ctx.session, endpoint_id))


@api.patch("/v3/endpoints/{endpoint_id}", Rule("identity:update_endpoint", ADMIN), key="endpoint")
def update(ctx: Context, endpoint_id: str, body: EndpointUpdate) -> EndpointView:
    """Change an endpoint."""
    record = find(ctx.session, endpoint_id)
    if body.service_id is not UNSET:
        record.service_id = services.find(ctx.session, body.service_id).id
    if body.interface is not UNSET:
        record.interface = body.interface
    if body.url is not UNSET:
        _check_url(body.url)
        record.url = body.url
    if body.region_id is not UNSET or body.region is not UNSET:
        record.region_id = _region(ctx.session, body.region_id or None, body.region or None)
    if body.enabled is not UNSET:
        record.enabled = body.enabled
    record.extra = {**record.extra, **body.extra}
    events.emit(ctx.session, "endpoint.updated", endpoint_id)
    return view(ctx, record)


@api.delete("/v3/endpoints/{endpoint_id}", Rule("identity:delete_endpoint", ADMIN))
def delete(ctx: Context, endpoint_id: str) -> None:
    """Delete an endpoint."""
    forget(ctx.session, endpoint_id=endpoint_id)
    ctx.session.delete(find(ctx.session, endpoint_id))
    events.emit(ctx.session, "endpoint.deleted", endpoint_id)


def find(session: Session, endpoint_id: str) -> EndpointRecord:
    """The endpoint with this id."""
    record = session.get(EndpointRecord, endpoint_id)
    if record is None:
        raise EndpointNotFound(endpoint_id=endpoint_id)
    return record


def view(ctx: Context, record: EndpointRecord) -> EndpointView:
    """An endpoint as clients see it."""
    return EndpointView(
        id=record.id,
        service_id=record.service_id,
        interface=record.interface,
        url=record.url,
        region=record.region_id,
        region_id=record.region_id,
        enabled=record.enabled,
        links=dict(links(ctx, f"endpoints/{record.id}")),
        extra=record.extra,
    )


def _region(session: Session, region_id: str | None, legacy: str | None) -> str | None:
    """The region that a request names: `region_id` must be there, `region` is made if not."""
    if region_id is not None:
        return regions.find(session, region_id).id
    if legacy is not None:
        regions.ensure(session, legacy)
    return legacy


def _check_url(url: str) -> None:
    for name in PLACEHOLDER.findall(url):
        if name not in KNOWN:
            raise UnknownPlaceholder(name=name)
