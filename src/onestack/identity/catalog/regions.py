"""Regions: the places where services run, in a tree."""

from typing import Annotated, Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, Forbidden, NotFound
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Extras, Meta, Shape, UnsetType
from onestack.identity import events
from onestack.identity.catalog.record import EndpointRecord, RegionRecord
from onestack.identity.policy_records import forget
from onestack.identity.rules import ADMIN, ANYONE
from onestack.identity.style import links
from onestack.identity.unique import refuse_duplicate

api = Operations("regions")

RegionId = Annotated[str, Meta(max_length=255)]
Description = Annotated[str, Meta(max_length=65535)]


class RegionNotFound(NotFound):
    message = "Could not find region: {region_id}."


class RegionInUse(Forbidden):
    message = "Unable to delete region {region_id} because it or its child regions have endpoints."


class RegionHasChildren(Conflict):
    message = "Unable to delete region {region_id} because it has child regions."


class CircularRegion(BadRequest):
    message = "Region {region_id} cannot stand below itself."


class RegionBody(Shape):
    """A region to make."""

    id: RegionId | None = None
    description: Description | None = None
    parent_region_id: RegionId | None = None
    extra: Annotated[dict[str, Any], Extras] = {}


class RegionUpdate(Shape):
    """What to change of a region."""

    description: Description | UnsetType | None = UNSET
    parent_region_id: RegionId | UnsetType | None = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


class RegionQuery(PageQuery):
    """Which regions to list."""

    parent_region_id: str | None = None


class RegionView(Shape):
    """A region."""

    id: str
    description: str
    parent_region_id: str | None
    links: dict[str, str]
    extra: Annotated[dict[str, Any], Extras] = {}


@api.get("/v3/regions", Rule("identity:list_regions", ANYONE), key="regions")
def index(ctx: Context, query: RegionQuery) -> Page[RegionView]:
    """List regions."""
    return page(ctx, select(RegionRecord), RegionRecord, query, view)


@api.post("/v3/regions", Rule("identity:create_region", ADMIN), key="region", status=201)
def create(ctx: Context, body: RegionBody) -> RegionView:
    """Create a region; without an id it gets one."""
    return _made(ctx, body.id or clock.new_id(), body)


@api.put("/v3/regions/{region_id}", Rule("identity:create_region", ADMIN), key="region", status=201)
def put(ctx: Context, region_id: str, body: RegionBody) -> RegionView:
    """Create a region under an id of one's choice."""
    if body.id is not None and body.id != region_id:
        raise BadRequest("The region's id in the request body is not the one in its address.")
    if len(region_id) > 255:
        raise BadRequest("A region's id has at most 255 characters.")
    return _made(ctx, region_id, body)


@api.get("/v3/regions/{region_id}", Rule("identity:get_region", ANYONE), key="region")
def show(ctx: Context, region_id: str) -> RegionView:
    """Show a region."""
    return view(ctx, find(ctx.session, region_id))


@api.patch("/v3/regions/{region_id}", Rule("identity:update_region", ADMIN), key="region")
def update(ctx: Context, region_id: str, body: RegionUpdate) -> RegionView:
    """Change a region."""
    record = find(ctx.session, region_id)
    if body.description is not UNSET:
        record.description = body.description or ""
    if body.parent_region_id is not UNSET:
        record.parent_region_id = body.parent_region_id
        _check_parents(ctx.session, record)
    record.extra = {**record.extra, **body.extra}
    events.emit(ctx.session, "region.updated", region_id)
    return view(ctx, record)


@api.delete("/v3/regions/{region_id}", Rule("identity:delete_region", ADMIN))
def delete(ctx: Context, region_id: str) -> None:
    """Delete a region that nothing uses."""
    record = find(ctx.session, region_id)
    below = exists().where(RegionRecord.parent_region_id == region_id)
    if ctx.session.scalar(select(below)):
        raise RegionHasChildren(region_id=region_id)
    used = exists().where(EndpointRecord.region_id == region_id)
    if ctx.session.scalar(select(used)):
        raise RegionInUse(region_id=region_id)
    forget(ctx.session, region_id=region_id)
    ctx.session.delete(record)
    events.emit(ctx.session, "region.deleted", region_id)


def find(session: Session, region_id: str) -> RegionRecord:
    """The region with this id."""
    record = session.get(RegionRecord, region_id)
    if record is None:
        raise RegionNotFound(region_id=region_id)
    return record


def ensure(session: Session, region_id: str) -> None:
    """Make the region if it is not there: endpoints may still name one by its legacy key."""
    if session.get(RegionRecord, region_id) is None:
        session.add(RegionRecord(id=region_id, parent_region_id=None))
        session.flush()
        events.emit(session, "region.created", region_id)


def view(ctx: Context, record: RegionRecord) -> RegionView:
    """A region as clients see it."""
    return RegionView(
        id=record.id,
        description=record.description,
        parent_region_id=record.parent_region_id,
        links=dict(links(ctx, f"regions/{record.id}")),
        extra=record.extra,
    )


def _made(ctx: Context, region_id: str, body: RegionBody) -> RegionView:
    record = RegionRecord(
        id=region_id,
        description=body.description or "",
        parent_region_id=body.parent_region_id,
        extra=body.extra,
    )
    _check_parents(ctx.session, record)
    ctx.session.add(record)
    refuse_duplicate(ctx.session, "region", region_id)
    events.emit(ctx.session, "region.created", region_id)
    return view(ctx, record)


def _check_parents(session: Session, record: RegionRecord) -> None:
    """The parent is there, and the region is not above it."""
    above = record.parent_region_id
    with session.no_autoflush:
        while above is not None:
            if above == record.id:
                raise CircularRegion(region_id=record.id)
            above = find(session, above).parent_region_id
