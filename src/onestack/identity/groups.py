"""Groups of users."""

from typing import Annotated, Any

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.db import Record
from onestack.core.errors import NotFound
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Extras, Name, Shape, UnsetType
from onestack.identity import rules
from onestack.identity.assignments.removal import forget_actor
from onestack.identity.projects.record import find_domain, owning_domain
from onestack.identity.style import links
from onestack.identity.unique import refuse_duplicate

api = Operations("groups")

DOMAIN = "target.group.domain_id"
READ = rules.either(rules.READ, rules.domain_reader(DOMAIN), "user_id:%(user_id)s")
WRITE = rules.either(rules.ADMIN, rules.domain_manager(DOMAIN))


class GroupRecord(Record):
    """A group of users of a domain."""

    __tablename__ = "groups"
    __table_args__ = (Index("uq_groups_name", "domain_id", "name", unique=True),)
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    domain_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class GroupNotFound(NotFound):
    message = "Could not find group: {group_id}."


class GroupCreate(Shape):
    """A group to make."""

    name: Name
    domain_id: str | None = None
    description: str = ""
    extra: Annotated[dict[str, Any], Extras] = {}


class GroupUpdate(Shape):
    """What to change of a group."""

    name: Name | UnsetType = UNSET
    description: str | UnsetType = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


class GroupQuery(PageQuery):
    """Which groups to list."""

    name: str | None = None
    domain_id: str | None = None


class GroupView(Shape):
    """A group."""

    id: str
    name: str
    domain_id: str
    description: str
    links: dict[str, str]
    extra: Annotated[dict[str, Any], Extras] = {}


@api.get("/v3/groups", Rule("identity:list_groups", READ), key="groups")
def index(ctx: Context, query: GroupQuery) -> Page[GroupView]:
    """List groups."""
    statement = ctx.visible(select(GroupRecord), {DOMAIN: GroupRecord.domain_id})
    return page(ctx, statement, GroupRecord, query, view)


@api.post("/v3/groups", Rule("identity:create_group", WRITE), key="group", status=201)
def create(ctx: Context, body: GroupCreate) -> GroupView:
    """Create a group."""
    domain_id = body.domain_id or owning_domain(ctx)
    ctx.allow(group={"domain_id": domain_id})
    find_domain(ctx.session, domain_id)
    record = GroupRecord(
        id=clock.new_id(),
        domain_id=domain_id,
        name=body.name,
        description=body.description,
        extra=body.extra,
    )
    ctx.session.add(record)
    refuse_duplicate(ctx.session, "group", body.name)
    return view(ctx, record)


@api.get("/v3/groups/{group_id}", Rule("identity:get_group", READ), key="group")
def show(ctx: Context, group_id: str) -> GroupView:
    """Show a group."""
    record = find(ctx.session, group_id)
    ctx.allow(group=record)
    return view(ctx, record)


@api.patch("/v3/groups/{group_id}", Rule("identity:update_group", WRITE), key="group")
def update(ctx: Context, group_id: str, body: GroupUpdate) -> GroupView:
    """Change a group."""
    record = find(ctx.session, group_id)
    ctx.allow(group=record)
    if body.name is not UNSET:
        record.name = body.name
    if body.description is not UNSET:
        record.description = body.description
    record.extra = {**record.extra, **body.extra}
    refuse_duplicate(ctx.session, "group", record.name)
    return view(ctx, record)


@api.delete("/v3/groups/{group_id}", Rule("identity:delete_group", WRITE))
def delete(ctx: Context, group_id: str) -> None:
    """Delete a group; its members lose what they had through it."""
    record = find(ctx.session, group_id)
    ctx.allow(group=record)
    forget_actor(ctx.session, "group", group_id)
    ctx.session.delete(record)


def find(session: Session, group_id: str) -> GroupRecord:
    """The group with this id."""
    record = session.get(GroupRecord, group_id)
    if record is None:
        raise GroupNotFound(group_id=group_id)
    return record


def view(ctx: Context, record: GroupRecord) -> GroupView:
    """A group as clients see it."""
    return GroupView(
        id=record.id,
        name=record.name,
        domain_id=record.domain_id,
        description=record.description,
        links=dict(links(ctx, f"groups/{record.id}")),
        extra=record.extra,
    )
