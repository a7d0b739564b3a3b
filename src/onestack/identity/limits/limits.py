"""Limits: what a project or domain may use instead of the registered default."""

from typing import Annotated

from sqlalchemy import select
from sqlalchemy.orm import Session, contains_eager

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Forbidden, NotFound
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Id, Meta, Name, Shape, Unlimited, UnsetType
from onestack.identity import events
from onestack.identity.limits.models import MODELS, Model, is_allowed
from onestack.identity.limits.record import ANYWHERE, LimitRecord, RegisteredLimitRecord
from onestack.identity.projects.record import ProjectRecord, find_domain
from onestack.identity.projects.record import find as find_project
from onestack.identity.rules import ADMIN, ANYONE, READ, either
from onestack.identity.settings import IdentitySettings
from onestack.identity.style import links
from onestack.identity.unique import refuse_duplicate

api = Operations("limits")

ROOT = "/v3/limits"
ONE = f"{ROOT}/{{limit_id}}"
OWNER = "target.limit.project_id"
DOMAIN = "target.limit.domain_id"
OF_DOMAIN = "target.limit.project.domain_id"
READERS = either(
    READ, f"project_id:%({OWNER})s", f"domain_id:%({DOMAIN})s", f"domain_id:%({OF_DOMAIN})s"
)

Description = Annotated[str, Meta(max_length=65535)]


class LimitNotFound(NotFound):
    message = "Could not find limit for {limit_id}."


class NoRegisteredLimit(Forbidden):
    message = "Unable to create a limit that has no corresponding registered limit."


class LimitRefused(Forbidden):
    message = "Invalid resource limit: {name} does not fit the limits above or below it."


class LimitCreate(Shape):
    """A limit to make."""

    service_id: Id
    resource_name: Name
    resource_limit: Unlimited
    project_id: Id | None = None
    domain_id: Id | None = None
    region_id: Name | None = None
    description: Description | None = None


class LimitUpdate(Shape):
    """What to change of a limit."""

    resource_limit: Unlimited | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET


class LimitQuery(PageQuery):
    """Which limits to list."""

    service_id: str | None = None
    region_id: str | None = None
    resource_name: str | None = None
    project_id: str | None = None
    domain_id: str | None = None


class LimitView(Shape):
    """A limit."""

    id: str
    project_id: str | None
    domain_id: str | None
    service_id: str
    region_id: str | None
    resource_name: str
    resource_limit: int
    description: str | None
    links: dict[str, str]


class ModelView(Shape):
    """How limits bind each other in this cloud."""

    name: str
    description: str


@api.get(f"{ROOT}/model", Rule("identity:get_limit_model", ANYONE), key="model")
def model(ctx: Context) -> ModelView:
    """Show how limits bind each other in this cloud."""
    chosen = _model(ctx)
    return ModelView(name=chosen.name, description=chosen.description)


@api.get(ROOT, Rule("identity:list_limits", READERS), key="limits")
def index(ctx: Context, query: LimitQuery) -> Page[LimitView]:
    """List limits: of everybody for those who may, of one's own project or domain for others."""
    statement = (
        select(LimitRecord)
        .join(LimitRecord.registered)
        .join(LimitRecord.owner)
        .options(contains_eager(LimitRecord.registered), contains_eager(LimitRecord.owner))
    )
    columns = {
        OWNER: LimitRecord.owner_id,
        DOMAIN: LimitRecord.owner_id,
        OF_DOMAIN: ProjectRecord.domain_id,
    }
    for name in ("service_id", "region_id", "resource_name"):
        wanted = getattr(query, name)
        if wanted is not None:
            statement = statement.where(getattr(RegisteredLimitRecord, name) == wanted)
    if query.project_id is not None:
        statement = statement.where(ProjectRecord.id == query.project_id, ~ProjectRecord.is_domain)
    if query.domain_id is not None:
        statement = statement.where(ProjectRecord.id == query.domain_id, ProjectRecord.is_domain)
    return page(ctx, ctx.visible(statement, columns), LimitRecord, query, view)


@api.post(ROOT, Rule("identity:create_limits", ADMIN), key="limits", status=201)
def create(
    ctx: Context, body: Annotated[list[LimitCreate], Meta(min_length=1, max_length=1000)]
) -> list[LimitView]:
    """Create limits: all of them, or none."""
    return [view(ctx, _made(ctx, each)) for each in body]


@api.get(ONE, Rule("identity:get_limit", READERS), key="limit")
def show(ctx: Context, limit_id: str) -> LimitView:
    """Show a limit."""
    record = find(ctx.session, limit_id)
    owner = find_project(ctx.session, record.owner_id)
    ctx.allow(
        limit={
            "project_id": None if owner.is_domain else owner.id,
            "domain_id": owner.id if owner.is_domain else None,
            "project": {"domain_id": owner.domain_id},
        }
    )
    return view(ctx, record)


@api.patch(ONE, Rule("identity:update_limit", ADMIN), key="limit")
def update(ctx: Context, limit_id: str, body: LimitUpdate) -> LimitView:
    """Change a limit."""
    record = find(ctx.session, limit_id)
    if body.resource_limit is not UNSET:
        record.resource_limit = body.resource_limit
        _check(ctx, record)
    if body.description is not UNSET:
        record.description = body.description
    events.emit(ctx.session, "limit.updated", limit_id)
    return view(ctx, record)


@api.delete(ONE, Rule("identity:delete_limit", ADMIN))
def delete(ctx: Context, limit_id: str) -> None:
    """Delete a limit: the registered default counts again."""
    ctx.session.delete(find(ctx.session, limit_id))
    events.emit(ctx.session, "limit.deleted", limit_id)


def find(session: Session, limit_id: str) -> LimitRecord:
    """The limit with this id."""
    record = session.get(LimitRecord, limit_id)
    if record is None:
        raise LimitNotFound(limit_id=limit_id)
    return record


def view(ctx: Context, record: LimitRecord) -> LimitView:
    """A limit as clients see it."""
    registered, owner = record.registered, record.owner
    return LimitView(
        id=record.id,
        project_id=None if owner.is_domain else owner.id,
        domain_id=owner.id if owner.is_domain else None,
        service_id=registered.service_id,
        region_id=registered.region_id or None,
        resource_name=registered.resource_name,
        resource_limit=record.resource_limit,
        description=record.description,
        links=dict(links(ctx, f"limits/{record.id}")),
    )


def _model(ctx: Context) -> Model:
    return MODELS[ctx.cloud.get(IdentitySettings).limit_model]


def _made(ctx: Context, body: LimitCreate) -> LimitRecord:
    registered = ctx.session.scalar(
        select(RegisteredLimitRecord).where(
            RegisteredLimitRecord.service_id == body.service_id,
            RegisteredLimitRecord.region_id == (body.region_id or ANYWHERE),
            RegisteredLimitRecord.resource_name == body.resource_name,
        )
    )
    if registered is None:
        raise NoRegisteredLimit
    record = LimitRecord(
        id=clock.new_id(),
        owner_id=_owner(ctx.session, body).id,
        registered_limit_id=registered.id,
        resource_limit=body.resource_limit,
        description=body.description,
    )
    _check(ctx, record)
    ctx.session.add(record)
    refuse_duplicate(ctx.session, "limit", body.resource_name)
    events.emit(ctx.session, "limit.created", record.id)
    return record


def _owner(session: Session, body: LimitCreate) -> ProjectRecord:
    if (body.project_id is None) == (body.domain_id is None):
        raise BadRequest("Expecting to find either project_id or domain_id in each of limits.")
    if body.project_id is not None:
        return find_project(session, body.project_id)
    return find_domain(session, str(body.domain_id))


def _check(ctx: Context, record: LimitRecord) -> None:
    """The limit fits what binds it above, and what it binds below, in this cloud's model."""
    registered = ctx.session.get_one(RegisteredLimitRecord, record.registered_limit_id)
    owner = find_project(ctx.session, record.owner_id)
    above: int | None = None
    if not owner.is_domain:
        own = _limit_of(ctx.session, owner.parent_id, registered.id)
        above = registered.default_limit if own is None else own
    below = ctx.session.scalars(
        select(LimitRecord.resource_limit)
        .join(ProjectRecord, LimitRecord.owner_id == ProjectRecord.id)
        .where(
            ProjectRecord.parent_id == owner.id,
            LimitRecord.registered_limit_id == registered.id,
        )
    )
    if not is_allowed(_model(ctx), record.resource_limit, above, below):
        raise LimitRefused(name=registered.resource_name)


def _limit_of(session: Session, owner_id: str | None, registered_limit_id: str) -> int | None:
    return session.scalar(
        select(LimitRecord.resource_limit).where(
            LimitRecord.owner_id == owner_id,
            LimitRecord.registered_limit_id == registered_limit_id,
        )
    )
