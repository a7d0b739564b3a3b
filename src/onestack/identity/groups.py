"""Groups of users."""

from typing import Annotated, Any

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.db import Record
from onestack.core.errors import BadRequest, NotFound
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Extras, Id, Shape, UnsetType, field
from onestack.identity import events, rules
from onestack.identity.assignments.removal import forget_actor
from onestack.identity.directory import read_only, refresh
from onestack.identity.memberships import MembershipRecord
from onestack.identity.names import Description, VisibleName
from onestack.identity.projects.record import find_domain, owning_domain
from onestack.identity.style import links
from onestack.identity.tokens.revocation import revoke
from onestack.identity.unique import refuse_duplicate
from onestack.identity.users.filters import expires, in_own_domain
from onestack.identity.users.login import changes_only_when_told
from onestack.identity.users.record import UserNotFound, UserRecord
from onestack.identity.users.view import UserView, listed

api = Operations("groups")

DOMAIN = "target.group.domain_id"
READ = rules.either(rules.READ, rules.domain_reader(DOMAIN))
WRITE = rules.either(rules.ADMIN, rules.domain_manager(DOMAIN))
# A domain's own people put only its own users into its own groups.
BOTH = f"domain_id:%({DOMAIN})s and domain_id:%(target.user.domain_id)s"
READ_MEMBER = rules.either(rules.READ, f"(role:reader and {BOTH})")
WRITE_MEMBER = rules.either(rules.ADMIN, f"(role:manager and {BOTH})")


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


class NotAMember(NotFound):
    message = "User '{user_id}' not found in group '{group_id}'"


class DomainFixed(BadRequest):
    message = "Cannot change Domain ID"


class GroupCreate(Shape):
    """A group to make."""

    name: VisibleName
    domain_id: Id | None = None
    description: Description | None = ""
    extra: Annotated[dict[str, Any], Extras] = {}


class GroupUpdate(Shape):
    """What to change of a group."""

    name: VisibleName | UnsetType = UNSET
    domain_id: str | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


class GroupQuery(PageQuery):
    """Which groups to list."""

    name: str | None = None
    domain_id: str | None = None


class MemberQuery(PageQuery):
    """Which members of a group to list."""

    name: str | None = None
    enabled: bool | None = None
    expiry: str | None = field(default=None, name="password_expires_at")


class GroupView(Shape):
    """A group."""

    id: str
    name: str
    domain_id: str
    description: str
    links: dict[str, str]
    extra: Annotated[dict[str, Any], Extras] = {}


@api.get("/v3/groups", Rule("identity:list_groups", READ), key="groups", threaded=refresh.may_wait)
def index(ctx: Context, query: GroupQuery) -> Page[GroupView]:
    """List groups; a token for a domain lists those of that domain."""
    statement = ctx.visible(select(GroupRecord), {DOMAIN: GroupRecord.domain_id})
    statement = in_own_domain(ctx, statement, GroupRecord.domain_id)
    refresh.refresh(ctx, query.domain_id)
    return page(ctx, statement, GroupRecord, query, view)


@api.post("/v3/groups", Rule("identity:create_group", WRITE), key="group", status=201)
def create(ctx: Context, body: GroupCreate) -> GroupView:
    """Create a group."""
    domain_id = body.domain_id or owning_domain(ctx)
    ctx.allow(group={"domain_id": domain_id})
    find_domain(ctx.session, domain_id)
    read_only.refuse_creation(ctx, "group", domain_id)
    record = GroupRecord(
        id=clock.new_id(),
        domain_id=domain_id,
        name=body.name.strip(),
        description=body.description or "",
        extra=body.extra,
    )
    ctx.session.add(record)
    refuse_duplicate(ctx.session, "group", record.name)
    events.emit(ctx.session, "group.created", record.id)
    return view(ctx, record)


@api.get("/v3/groups/{group_id}", Rule("identity:get_group", READ), key="group")
def show(ctx: Context, group_id: str) -> GroupView:
    """Show a group."""
    return view(ctx, _permitted(ctx, group_id))


@api.patch("/v3/groups/{group_id}", Rule("identity:update_group", WRITE), key="group")
def update(ctx: Context, group_id: str, body: GroupUpdate) -> GroupView:
    """Change a group."""
    record = _permitted(ctx, group_id)
    read_only.refuse_change(ctx, "group", group_id, record.domain_id)
    if body.domain_id not in (UNSET, record.domain_id):
        raise DomainFixed
    if body.name is not UNSET:
        record.name = body.name.strip()
    if body.description is not UNSET:
        record.description = body.description or ""
    record.extra = {**record.extra, **body.extra}
    refuse_duplicate(ctx.session, "group", record.name)
    events.emit(ctx.session, "group.updated", group_id)
    return view(ctx, record)


@api.delete("/v3/groups/{group_id}", Rule("identity:delete_group", WRITE))
def delete(ctx: Context, group_id: str) -> None:
    """Delete a group; its members lose what they had through it."""
    record = _permitted(ctx, group_id)
    read_only.refuse_change(ctx, "group", group_id, record.domain_id)
    remove(ctx.session, record)


@api.get(
    "/v3/groups/{group_id}/users",
    Rule("identity:list_users_in_group", READ),
    key="users",
    kept=changes_only_when_told,
)
def members(ctx: Context, group_id: str, query: MemberQuery) -> Page[UserView]:
    """List the users in a group."""
    _permitted(ctx, group_id)
    inside = select(MembershipRecord.user_id).where(MembershipRecord.group_id == group_id)
    statement = select(UserRecord).where(UserRecord.id.in_(inside))
    statement = in_own_domain(ctx, statement, UserRecord.domain_id)
    if query.expiry is not None:
        statement = statement.where(expires(query.expiry))
    return listed(ctx, statement, query)


@api.get(
    "/v3/groups/{group_id}/users/{user_id}",
    Rule("identity:check_user_in_group", READ_MEMBER),
    status=204,
)
def check_member(ctx: Context, group_id: str, user_id: str) -> None:
    """Check that a user is in a group."""
    _permitted_both(ctx, group_id, user_id)
    _membership(ctx, group_id, user_id)


@api.put(
    "/v3/groups/{group_id}/users/{user_id}",
    Rule("identity:add_user_to_group", WRITE_MEMBER),
    status=204,
)
def add_member(ctx: Context, group_id: str, user_id: str) -> None:
    """Put a user into a group; one who is in it already stays."""
    group = _permitted_both(ctx, group_id, user_id)
    read_only.refuse_change(ctx, "group", group_id, group.domain_id)
    ctx.session.get(UserRecord, user_id, with_for_update=True)  # two requests at once take turns
    if ctx.session.get(MembershipRecord, (user_id, group_id)) is None:
        ctx.session.add(MembershipRecord(user_id=user_id, group_id=group_id))
        _emit_membership(ctx, "added", group_id, user_id)


@api.delete(
    "/v3/groups/{group_id}/users/{user_id}", Rule("identity:remove_user_from_group", WRITE_MEMBER)
)
def remove_member(ctx: Context, group_id: str, user_id: str) -> None:
    """Take a user out of a group; its tokens end, for they may be good for less now."""
    group = _permitted_both(ctx, group_id, user_id)
    read_only.refuse_change(ctx, "group", group_id, group.domain_id)
    ctx.session.delete(_membership(ctx, group_id, user_id))
    revoke(ctx.session, user_id=user_id)
    _emit_membership(ctx, "removed", group_id, user_id)


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


def _permitted(ctx: Context, group_id: str) -> GroupRecord:
    """The group, if the operation's rule lets the caller at it, else no word on whether it is."""
    record = ctx.session.get(GroupRecord, group_id)
    ctx.allow(group={} if record is None else record)
    return find(ctx.session, group_id)


def _permitted_both(ctx: Context, group_id: str, user_id: str) -> GroupRecord:
    group, user = ctx.session.get(GroupRecord, group_id), ctx.session.get(UserRecord, user_id)
    ctx.allow(group={} if group is None else group, user={} if user is None else user)
    found = find(ctx.session, group_id)
    if user is None:
        raise UserNotFound(user_id=user_id)
    return found


def remove(session: Session, record: GroupRecord) -> None:
    """Delete the group, with what its members had through it."""
    forget_actor(session, "group", record.id)
    session.delete(record)
    events.emit(session, "group.deleted", record.id)


def _membership(ctx: Context, group_id: str, user_id: str) -> MembershipRecord:
    record = ctx.session.get(MembershipRecord, (user_id, group_id))
    if record is None:
        raise NotAMember(user_id=user_id, group_id=group_id)
    return record


def _emit_membership(ctx: Context, what: str, group_id: str, user_id: str) -> None:
    name = f"group.membership.{what}"
    events.emit(ctx.session, name, user_id, group=group_id, operation=what)
