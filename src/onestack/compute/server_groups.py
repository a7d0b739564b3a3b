"""Server groups: servers that shall be on one host, or on as many as there are."""

import datetime as dt
from collections.abc import Iterable
from typing import Annotated, Any, Literal
from uuid import UUID

from sqlalchemy import ForeignKey, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.compute import quotas, rules
from onestack.compute.lenient import INTEGER_MAX, Name, Number, whole
from onestack.compute.paging import Limit
from onestack.core import clock, event
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.db import Record
from onestack.core.errors import BadRequest, NotFound
from onestack.core.listed import among
from onestack.core.shapes import UNSET, Meta, Shape, UnsetType, since, until

api = Operations("server groups")

ALL = rules.rule("os-server-groups:index:all_projects")
PER_HOST = "max_server_per_host"
SOFT = ("soft-affinity", "soft-anti-affinity")

Policy = Literal["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]


class ServerGroupRecord(Record):
    """A group, and what its servers are to each other."""

    __tablename__ = "server_groups"
    topic = "compute"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    project_id: Mapped[str] = mapped_column(index=True)
    user_id: Mapped[str]
    policy: Mapped[str]
    rules: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[dt.datetime]


class ServerGroupMemberRecord(Record):
    """A server is in a group: in one at most."""

    __tablename__ = "server_group_members"
    topic = "compute"

    server_id: Mapped[str] = mapped_column(primary_key=True)
    group_id: Mapped[str] = mapped_column(
        ForeignKey("server_groups.id", ondelete="CASCADE"), index=True
    )


_GROUPS_OF = select(ServerGroupMemberRecord.server_id, ServerGroupMemberRecord.group_id).where(
    among(ServerGroupMemberRecord.server_id, "servers")
)


class ServerGroupNotFound(NotFound):
    message = "Instance group {group_id} could not be found."


class BadPolicy(BadRequest):
    message = "Invalid input for field/attribute policies. Value: {value}."


class RulesNotTaken(BadRequest):
    message = "Only anti-affinity policy supports rules."


class GroupRules(Shape, forbid_unknown_fields=True):
    """How strictly a policy is meant."""

    max_server_per_host: Number | UnsetType = UNSET


class GroupCreate(Shape, forbid_unknown_fields=True):
    """A group to make."""

    name: Name
    policies: Annotated[
        Annotated[list[Policy], Meta(min_length=1, max_length=1)] | UnsetType, until("2.63")
    ] = UNSET
    policy: Annotated[Policy | UnsetType, since("2.64")] = UNSET
    rules: Annotated[GroupRules | UnsetType, since("2.64")] = UNSET


class GroupQuery(Shape):
    """Which groups to list."""

    all_projects: str | None = None
    limit: Limit | None = None
    offset: Annotated[int, Meta(ge=0, le=INTEGER_MAX)] = 0


class GroupView(Shape):
    """A group and its servers."""

    id: str
    name: str
    members: list[str]
    policies: Annotated[list[str], until("2.63")]
    metadata: Annotated[dict[str, str], until("2.63")]
    policy: Annotated[str, since("2.64")]
    rules: Annotated[dict[str, int], since("2.64")]
    project_id: Annotated[str, since("2.13")]
    user_id: Annotated[str, since("2.13")]


@api.get(
    "/v2.1/os-server-groups",
    rules.rule("os-server-groups:index", rules.READER),
    key="server_groups",
)
def index(ctx: Context, query: GroupQuery) -> Page[GroupView]:
    """List server groups."""
    rules.allow_own(ctx)
    wanted = select(ServerGroupRecord)
    if query.all_projects is None or not rules.is_admin(ctx):
        wanted = wanted.where(ServerGroupRecord.project_id == ctx.caller.project_id)
    else:
        rules.allow_own(ctx, rule=ALL)
    wanted = wanted.order_by(ServerGroupRecord.created_at, ServerGroupRecord.id)
    most = 1000 if query.limit is None else min(query.limit, 1000)
    records = ctx.session.scalars(wanted.offset(query.offset).limit(most)).all()
    members = members_of(ctx.session, [each.id for each in records])
    return Page([view(each, members.get(each.id, [])) for each in records])


@api.post(
    "/v2.1/os-server-groups",
    rules.rule("os-server-groups:create", rules.MEMBER),
    key="server_group",
)
def create(ctx: Context, body: GroupCreate) -> GroupView:
    """Make a server group."""
    rules.allow_own(ctx)
    policy = _policy(ctx, body)
    told = {} if body.rules is UNSET else _rules(policy, body.rules)
    project_id, user_id = str(ctx.caller.project_id), ctx.caller.user_id
    quotas.check(ctx.session, project_id, user_id, {"server_groups": 1})
    record = ServerGroupRecord(
        id=str(UUID(clock.new_id())),
        name=body.name,
        project_id=project_id,
        user_id=user_id,
        policy=policy,
        rules=told,
        created_at=clock.now(),
    )
    ctx.session.add(record)
    _emit(ctx, "create", record)
    return view(record, [])


@api.get(
    "/v2.1/os-server-groups/{group_id}",
    rules.rule("os-server-groups:show", rules.READER),
    key="server_group",
)
def show(ctx: Context, group_id: str) -> GroupView:
    """Show a server group."""
    record = _permitted(ctx, group_id)
    return view(record, members_of(ctx.session, [group_id]).get(group_id, []))


@api.delete(
    "/v2.1/os-server-groups/{group_id}", rules.rule("os-server-groups:delete", rules.MEMBER)
)
def remove(ctx: Context, group_id: str) -> None:
    """Delete a server group; its servers stay where they are."""
    record = _permitted(ctx, group_id)
    ctx.session.delete(record)
    _emit(ctx, "delete", record)


def find(session: Session, group_id: str, project_id: str | None = None) -> ServerGroupRecord:
    """The group with this id; of this project, when one is given."""
    record = session.get(ServerGroupRecord, group_id)
    if record is None or project_id not in (None, record.project_id):
        raise ServerGroupNotFound(group_id=group_id[:80])
    return record


def of_server(session: Session, server_id: str) -> ServerGroupRecord | None:
    """The group that a server is in."""
    group_id = by_server(session, [server_id]).get(server_id)
    return None if group_id is None else session.get(ServerGroupRecord, group_id)


def by_server(session: Session, server_ids: Iterable[str]) -> dict[str, str]:
    """The ids of the groups that servers are in, by the servers' ids."""
    rows = session.execute(_GROUPS_OF, {"servers": list(server_ids)})
    return {row.server_id: row.group_id for row in rows}


def members_of(session: Session, group_ids: Iterable[str]) -> dict[str, list[str]]:
    """The servers in groups, by the groups' ids."""
    rows = session.execute(
        select(ServerGroupMemberRecord.group_id, ServerGroupMemberRecord.server_id)
        .where(ServerGroupMemberRecord.group_id.in_(group_ids))
        .order_by(ServerGroupMemberRecord.server_id)
    )
    found: dict[str, list[str]] = {}
    for group_id, server_id in rows:
        found.setdefault(group_id, []).append(server_id)
    return found


def join(session: Session, group_id: str, server_ids: Iterable[str]) -> None:
    """Put new servers into a group."""
    session.add_all(
        ServerGroupMemberRecord(server_id=each, group_id=group_id) for each in server_ids
    )


def leave(session: Session, server_id: str) -> None:
    """Take a server that is deleted out of its group."""
    session.execute(
        delete(ServerGroupMemberRecord).where(ServerGroupMemberRecord.server_id == server_id)
    )


def view(record: ServerGroupRecord, members: list[str]) -> GroupView:
    """A group as clients see it."""
    return GroupView(
        id=record.id,
        name=record.name,
        members=members,
        policies=[record.policy],
        metadata={},
        policy=record.policy,
        rules=record.rules,
        project_id=record.project_id,
        user_id=record.user_id,
    )


def _permitted(ctx: Context, group_id: str) -> ServerGroupRecord:
    record = ctx.session.get(ServerGroupRecord, group_id)
    if record is None:
        rules.allow_own(ctx)
        raise ServerGroupNotFound(group_id=group_id[:80])
    rules.allow_or_hide(ctx, record, ServerGroupNotFound(group_id=group_id))
    return record


def _policy(ctx: Context, body: GroupCreate) -> str:
    given = body.policy if body.policies is UNSET else body.policies[0]
    if given is UNSET or (given in SOFT and ctx.version < (2, 15)):
        raise BadPolicy(value="none" if given is UNSET else given)
    return given


def _rules(policy: str, given: GroupRules) -> dict[str, int]:
    if given.max_server_per_host is UNSET:
        return {}
    if policy != "anti-affinity":
        raise RulesNotTaken
    return {PER_HOST: whole(given.max_server_per_host, PER_HOST, 1)}


def _emit(ctx: Context, what: str, record: ServerGroupRecord) -> None:
    payload = {"server_group_id": record.id, "name": record.name, "policy": record.policy}
    event.emit(ctx.session, f"servergroup.{what}", payload, record.project_id, record.id)
