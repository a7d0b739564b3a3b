"""Security groups: named sets of rules."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock, event
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.db import Database
from onestack.core.errors import Conflict
from onestack.core.shapes import UNSET, Shape, Short, UnsetType
from onestack.network import lists, quotas, rbac, rules
from onestack.network.security_groups.record import (
    DEFAULT,
    PortSecurityGroupRecord,
    SecurityGroupNotFound,
    SecurityGroupRecord,
    SecurityGroupRuleRecord,
    add_default_rules,
    default_group,
)
from onestack.network.security_groups.view import RuleView, rule_view
from onestack.network.standard import iso, new_id, touch
from onestack.network.wirings import change

api = Operations("security groups")

ROOT = "/v2.0/security-groups"
ONE = f"{ROOT}/{{security_group_id}}"
OPEN_RULES = 2  # that a new group has


class DefaultExists(Conflict):
    type = "SecurityGroupDefaultAlreadyExists"
    message = "Default security group already exists."


class CannotUpdateDefault(Conflict):
    type = "SecurityGroupCannotUpdateDefault"
    message = "Updating default security group not allowed."


class CannotRemoveDefault(Conflict):
    type = "SecurityGroupCannotRemoveDefault"
    message = "Insufficient rights for removing default security group."


class SecurityGroupInUse(Conflict):
    message = "Security Group {id} in use."


class SecurityGroupCreate(Shape, forbid_unknown_fields=True):
    """A security group to make."""

    name: Short = ""
    description: Short = ""
    stateful: bool = True
    project_id: str | None = None
    tenant_id: str | None = None


class SecurityGroupUpdate(Shape, forbid_unknown_fields=True):
    """What to change of a security group."""

    name: Short | UnsetType = UNSET
    description: Short | UnsetType = UNSET
    stateful: bool | UnsetType = UNSET


class SecurityGroupView(Shape):
    """A security group, with its rules."""

    id: str
    name: str
    stateful: bool
    description: str
    shared: bool
    project_id: str
    tenant_id: str
    security_group_rules: list[RuleView]
    tags: list[str]
    created_at: str
    updated_at: str
    revision_number: int


READ = rules.rule("get_security_group", f"{rules.READ} or (role:reader and 'True':%(shared)s)")


@api.get(ROOT, READ, key="security_groups")
def index(ctx: Context) -> Page[SecurityGroupView]:
    """List security groups; the project's default group is there when somebody looks."""
    _look_for_default(ctx)
    shared = rbac.shared_with(ctx.caller.project_id, NOUN.table.c.id)
    return lists.page(ctx, NOUN, {"project_id": NOUN.table.c.project_id, "shared": shared})


@api.get(ONE, READ, key="security_group")
def show(ctx: Context, security_group_id: str) -> SecurityGroupView:
    """Show a security group."""
    return lists.shown(ctx, NOUN, seen(ctx, security_group_id))


@api.post(ROOT, rules.rule("create_security_group", rules.WRITE), key="security_group", status=201)
def create(ctx: Context, body: SecurityGroupCreate) -> SecurityGroupView:
    """Create a security group, whose ports may reach everything."""
    project_id = rules.owner_of(ctx, body.project_id, body.tenant_id)
    ctx.allow(project_id=project_id)
    default_group(ctx.session, project_id)
    if body.name == DEFAULT:
        raise DefaultExists
    quotas.check(ctx.session, project_id, {"security_group": 1, "security_group_rule": OPEN_RULES})
    now = clock.now()
    record = SecurityGroupRecord(
        id=new_id(),
        project_id=project_id,
        name=body.name,
        description=body.description,
        stateful=body.stateful,
        revision_number=1,
        created_at=now,
        updated_at=now,
    )
    ctx.session.add(record)
    ctx.session.flush()
    add_default_rules(ctx.session, record)
    ctx.session.flush()
    _emit(ctx.session, "create", record)
    return views(ctx, [record])[0]


@api.put(ONE, rules.rule("update_security_group", rules.WRITE), key="security_group")
def update(ctx: Context, security_group_id: str, body: SecurityGroupUpdate) -> SecurityGroupView:
    """Change a security group; the default group keeps its name."""
    record = own(ctx, security_group_id)
    if body.name is not UNSET and body.name != record.name:
        if record.default_of is not None:
            raise CannotUpdateDefault
        if body.name == DEFAULT:
            raise DefaultExists
        record.name = body.name
    if body.stateful is not UNSET and body.stateful != record.stateful:
        if _is_used(ctx.session, record.id):
            raise SecurityGroupInUse(id=record.id)
        record.stateful = body.stateful
    if body.description is not UNSET:
        record.description = body.description
    touch(record)
    _emit(ctx.session, "update", record)
    return views(ctx, [record])[0]


@api.delete(ONE, rules.rule("delete_security_group", rules.WRITE))
def delete(ctx: Context, security_group_id: str) -> None:
    """Delete a security group that guards no port."""
    record = own(ctx, security_group_id)
    if record.default_of is not None and not rules.is_admin(ctx):
        raise CannotRemoveDefault
    if _is_used(ctx.session, record.id):
        raise SecurityGroupInUse(id=record.id)
    naming = select(SecurityGroupRuleRecord.security_group_id).where(
        SecurityGroupRuleRecord.remote_group_id == record.id
    )
    named_in = set(ctx.session.scalars(naming)) - {record.id}
    ctx.session.delete(record)
    rbac.forget(ctx.session, record.id)
    ctx.session.flush()
    change.touch(ctx.session, "group", [record.id, *named_in])
    _emit(ctx.session, "delete", record)


def seen(ctx: Context, group_id: str) -> SecurityGroupRecord:
    """The group, if the caller may see it and do to it what the operation does."""
    record = ctx.session.get(SecurityGroupRecord, group_id)
    if record is None:
        raise SecurityGroupNotFound(id=group_id[:64])
    is_shared = bool(rbac.shared_ids(ctx.session, ctx.caller.project_id, [group_id]))
    if not is_shared and not rules.is_seen(ctx, record.project_id):
        raise SecurityGroupNotFound(id=group_id)
    ctx.allow(record, shared=is_shared)
    return record


def own(ctx: Context, group_id: str) -> SecurityGroupRecord:
    """The group to change; nobody else changes it until the request is over."""
    ctx.session.get(SecurityGroupRecord, group_id, with_for_update=True)
    return seen(ctx, group_id)


def views(ctx: Context, rows: Sequence[Any]) -> list[SecurityGroupView]:
    """Groups as clients see them, each with its rules."""
    ids = [row.id for row in rows]
    by_group = _rules_of(ctx.session, ids)
    shared = rbac.shared_ids(ctx.session, ctx.caller.project_id, ids)
    return [
        SecurityGroupView(
            id=row.id,
            name=row.name,
            stateful=row.stateful,
            description=row.description,
            shared=row.id in shared,
            project_id=row.project_id,
            tenant_id=row.project_id,
            security_group_rules=by_group.get(row.id, []),
            tags=row.tags or [],
            created_at=iso(row.created_at),
            updated_at=iso(row.updated_at),
            revision_number=row.revision_number,
        )
        for row in rows
    ]


def is_shared(ctx: Context, values: list[str]) -> Any:
    """The groups that are shared with the caller's project, or those that are not."""
    found = rbac.shared_with(ctx.caller.project_id, SecurityGroupRecord.id)
    return found if lists.flag(values[-1], "shared") else ~found


NOUN = lists.Noun(
    SecurityGroupRecord,
    SecurityGroupView,
    views,
    filters={"shared": is_shared},
)


def _rules_of(session: Session, group_ids: Iterable[str]) -> dict[str, list[RuleView]]:
    table = SecurityGroupRuleRecord.__table__
    statement = (
        select(table, SecurityGroupRecord.default_of)
        .join(SecurityGroupRecord, SecurityGroupRecord.id == table.c.security_group_id)
        .where(table.c.security_group_id.in_(list(group_ids)))
        .order_by(table.c.created_at, table.c.id)
    )
    found: dict[str, list[RuleView]] = {}
    for row in session.execute(statement):
        found.setdefault(row.security_group_id, []).append(
            rule_view(row, row.default_of is not None)
        )
    return found


def _look_for_default(ctx: Context) -> None:
    """Make the default group of the caller's project, unless it is there."""
    project_id = ctx.caller.project_id
    if project_id is None:
        return
    known = select(SecurityGroupRecord.id).where(SecurityGroupRecord.default_of == project_id)
    if ctx.session.scalar(known) is None:
        ctx.release()
        with ctx.cloud.get(Database).transaction() as session:
            default_group(session, project_id)


def _is_used(session: Session, group_id: str) -> bool:
    guards = select(PortSecurityGroupRecord.port_id).where(
        PortSecurityGroupRecord.security_group_id == group_id
    )
    return session.scalar(guards.limit(1)) is not None


def _emit(session: Session, what: str, record: SecurityGroupRecord) -> None:
    payload = {"id": record.id, "name": record.name}
    event.emit(session, f"security_group.{what}.end", payload, record.project_id, record.id)
