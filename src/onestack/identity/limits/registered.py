"""Registered limits: the default of each resource that a service counts."""

from typing import Annotated

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import Forbidden, NotFound
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Id, Meta, Name, Shape, Unlimited, UnsetType
from onestack.identity import events
from onestack.identity.catalog import regions, services
from onestack.identity.limits.record import ANYWHERE, LimitRecord, RegisteredLimitRecord
from onestack.identity.rules import ADMIN, ANYONE
from onestack.identity.style import links
from onestack.identity.unique import refuse_duplicate

api = Operations("registered limits")

ROOT = "/v3/registered_limits"
ONE = f"{ROOT}/{{registered_limit_id}}"

Description = Annotated[str, Meta(max_length=65535)]
RegionId = Annotated[str, Meta(min_length=1, max_length=255)]


class RegisteredLimitNotFound(NotFound):
    message = "Could not find registered limit for {registered_limit_id}."


class RegisteredLimitInUse(Forbidden):
    message = (
        "Unable to update or delete registered limit {registered_limit_id} because there are "
        "project limits associated with it."
    )


class RegisteredLimitCreate(Shape):
    """A registered limit to make."""

    service_id: Id
    resource_name: Name
    default_limit: Unlimited
    region_id: RegionId | None = None
    description: Description | None = None


class RegisteredLimitUpdate(Shape):
    """What to change of a registered limit."""

    service_id: Id | UnsetType = UNSET
    resource_name: Name | UnsetType = UNSET
    default_limit: Unlimited | UnsetType = UNSET
    region_id: RegionId | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET


class RegisteredLimitQuery(PageQuery):
    """Which registered limits to list."""

    service_id: str | None = None
    region_id: str | None = None
    resource_name: str | None = None


class RegisteredLimitView(Shape):
    """A registered limit."""

    id: str
    service_id: str
    region_id: str | None
    resource_name: str
    default_limit: int
    description: str | None
    links: dict[str, str]


@api.get(ROOT, Rule("identity:list_registered_limits", ANYONE), key="registered_limits")
def index(ctx: Context, query: RegisteredLimitQuery) -> Page[RegisteredLimitView]:
    """List registered limits."""
    return page(ctx, select(RegisteredLimitRecord), RegisteredLimitRecord, query, view)


@api.post(
    ROOT, Rule("identity:create_registered_limits", ADMIN), key="registered_limits", status=201
)
def create(
    ctx: Context, body: Annotated[list[RegisteredLimitCreate], Meta(min_length=1, max_length=1000)]
) -> list[RegisteredLimitView]:
    """Create registered limits: all of them, or none."""
    return [view(ctx, _made(ctx.session, each)) for each in body]


@api.get(ONE, Rule("identity:get_registered_limit", ANYONE), key="registered_limit")
def show(ctx: Context, registered_limit_id: str) -> RegisteredLimitView:
    """Show a registered limit."""
    return view(ctx, find(ctx.session, registered_limit_id))


@api.patch(ONE, Rule("identity:update_registered_limit", ADMIN), key="registered_limit")
def update(
    ctx: Context, registered_limit_id: str, body: RegisteredLimitUpdate
) -> RegisteredLimitView:
    """Change a registered limit; what it is of, only while no limit goes by it."""
    record = find(ctx.session, registered_limit_id)
    if (body.service_id, body.region_id, body.resource_name) != (UNSET, UNSET, UNSET):
        _refuse_used(ctx.session, registered_limit_id)
    if body.service_id is not UNSET:
        record.service_id = services.find(ctx.session, body.service_id).id
    if body.region_id is not UNSET:
        record.region_id = _region(ctx.session, body.region_id)
    if body.resource_name is not UNSET:
        record.resource_name = body.resource_name
    if body.default_limit is not UNSET:
        record.default_limit = body.default_limit
    if body.description is not UNSET:
        record.description = body.description
    refuse_duplicate(ctx.session, "registered_limit", record.resource_name)
    events.emit(ctx.session, "registered_limit.updated", registered_limit_id)
    return view(ctx, record)


@api.delete(ONE, Rule("identity:delete_registered_limit", ADMIN))
def delete(ctx: Context, registered_limit_id: str) -> None:
    """Delete a registered limit that no limit goes by."""
    record = find(ctx.session, registered_limit_id)
    _refuse_used(ctx.session, registered_limit_id)
    ctx.session.delete(record)
    events.emit(ctx.session, "registered_limit.deleted", registered_limit_id)


def find(session: Session, registered_limit_id: str) -> RegisteredLimitRecord:
    """The registered limit with this id."""
    record = session.get(RegisteredLimitRecord, registered_limit_id)
    if record is None:
        raise RegisteredLimitNotFound(registered_limit_id=registered_limit_id)
    return record


def view(ctx: Context, record: RegisteredLimitRecord) -> RegisteredLimitView:
    """A registered limit as clients see it."""
    return RegisteredLimitView(
        id=record.id,
        service_id=record.service_id,
        region_id=record.region_id or None,
        resource_name=record.resource_name,
        default_limit=record.default_limit,
        description=record.description,
        links=dict(links(ctx, f"registered_limits/{record.id}")),
    )


def _made(session: Session, body: RegisteredLimitCreate) -> RegisteredLimitRecord:
    record = RegisteredLimitRecord(
        id=clock.new_id(),
        service_id=services.find(session, body.service_id).id,
        region_id=_region(session, body.region_id),
        resource_name=body.resource_name,
        default_limit=body.default_limit,
        description=body.description,
    )
    session.add(record)
    refuse_duplicate(session, "registered_limit", body.resource_name)
    events.emit(session, "registered_limit.created", record.id)
    return record


def _region(session: Session, region_id: str | None) -> str:
    return ANYWHERE if region_id is None else regions.find(session, region_id).id


def _refuse_used(session: Session, registered_limit_id: str) -> None:
    used = exists().where(LimitRecord.registered_limit_id == registered_limit_id)
    if session.scalar(select(used)):
        raise RegisteredLimitInUse(registered_limit_id=registered_limit_id)
