"""RBAC policies: with which projects a network, group, pool or scope is shared."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from sqlalchemy import (
    ColumnElement,
    TableClause,
    UniqueConstraint,
    bindparam,
    column,
    delete,
    exists,
    select,
    table,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.sql import SQLColumnExpression

from onestack.core import event
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.db import Record
from onestack.core.errors import BadRequest, Conflict, Forbidden, NotFound
from onestack.core.shapes import Id, Meta, Shape
from onestack.network import lists, quotas, rules
from onestack.network.standard import TOPIC, new_id

api = Operations("RBAC policies")

EVERYBODY = "*"
SHARED = "access_as_shared"
EXTERNAL = "access_as_external"
# By type: the table of such objects, and what may be allowed of them.
OBJECTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "network": ("networks", (SHARED, EXTERNAL)),
    "security_group": ("security_groups", (SHARED,)),
    "subnetpool": ("subnetpools", (SHARED,)),
    "address_scope": ("address_scopes", (SHARED,)),
    "address_group": ("address_groups", (SHARED,)),
}
# The columns that say, beside a policy for everybody, that there is one.
FLAGS: Mapping[tuple[str, str], str] = {
    ("network", SHARED): "shared",
    ("network", EXTERNAL): "external",
    ("subnetpool", SHARED): "shared",
    ("address_scope", SHARED): "shared",
}
ROOT = "/v2.0/rbac-policies"
ONE = f"{ROOT}/{{policy_id}}"

Target = Annotated[str, Meta(min_length=1, max_length=255)]


class RbacPolicyRecord(Record):
    """Something that is shared with a project, or with everybody."""

    __tablename__ = "rbac_policies"
    __table_args__ = (UniqueConstraint("object_id", "action", "target_project"),)
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(index=True)
    object_type: Mapped[str]
    object_id: Mapped[str]
    action: Mapped[str]
    target_project: Mapped[str] = mapped_column(index=True)


_SHARED_IDS = select(RbacPolicyRecord.object_id).where(
    RbacPolicyRecord.object_id.in_(bindparam("ids", expanding=True)),
    RbacPolicyRecord.action == bindparam("action"),
    RbacPolicyRecord.target_project.in_(bindparam("whom", expanding=True)),
)


class RbacPolicyNotFound(NotFound):
    message = "RBAC policy of type {object_type} with ID {policy_id} not found"


class DuplicateRbacPolicy(Conflict):
    message = "An RBAC policy already exists with those values."


class RbacPolicyInUse(Conflict):
    message = (
        "RBAC policy on object {object_id} cannot be removed because other objects depend on it.\n"
        "Details: {details}"
    )


class ObjectNotFound(NotFound):
    type = "RbacObjectNotFound"
    message = "{object_type} {object_id} could not be found."


class NotOwned(BadRequest):
    type = "InvalidInput"
    message = (
        "Invalid input for operation: Only admins can manipulate policies on networks they do not "
        "own."
    )


class InvalidAction(BadRequest):
    type = "InvalidInput"
    message = (
        "Invalid input for operation: Action '{action}' is not allowed for object type "
        "{object_type}."
    )


class RbacPolicyCreate(Shape):
    """Something to share."""

    object_type: Literal[
        "network", "security_group", "subnetpool", "address_scope", "address_group"
    ]
    object_id: Id
    action: Literal["access_as_shared", "access_as_external"]
    target_tenant: Target
    project_id: str | None = None
    tenant_id: str | None = None


class RbacPolicyUpdate(Shape, forbid_unknown_fields=True):
    """Whom to share it with instead."""

    target_tenant: Target


class RbacPolicyView(Shape):
    """Something that is shared, with whom, and how."""

    id: str
    project_id: str
    tenant_id: str
    object_type: str
    object_id: str
    action: str
    target_tenant: str


@api.get(ROOT, rules.rule("get_rbac_policy", rules.READ), key="rbac_policies")
def index(ctx: Context) -> Page[RbacPolicyView]:
    """List what is shared."""
    return lists.page(ctx, NOUN, {"project_id": NOUN.table.c.project_id})


@api.get(ONE, rules.rule("get_rbac_policy", rules.READ), key="rbac_policy")
def show(ctx: Context, policy_id: str) -> RbacPolicyView:
    """Show what is shared with whom."""
    return lists.shown(ctx, NOUN, _own(ctx, policy_id))


@api.post(ROOT, rules.rule("create_rbac_policy", rules.WRITE), key="rbac_policy", status=201)
def create(ctx: Context, body: RbacPolicyCreate) -> RbacPolicyView:
    """Share something."""
    project_id = rules.owner_of(ctx, body.project_id, body.tenant_id)
    ctx.allow(project_id=project_id)
    if body.action not in OBJECTS[body.object_type][1]:
        raise InvalidAction(action=body.action, object_type=body.object_type)
    _check_target(ctx, body.target_tenant, body.action)
    _check_owned(ctx, body.object_type, body.object_id)
    quotas.check(ctx.session, project_id, {"rbac_policy": 1})
    _refuse_twin(ctx.session, body.object_id, body.action, body.target_tenant)
    record = RbacPolicyRecord(
        id=new_id(),
        project_id=project_id,
        object_type=body.object_type,
        object_id=body.object_id,
        action=body.action,
        target_project=body.target_tenant,
    )
    ctx.session.add(record)
    ctx.session.flush()
    _show_in_flag(ctx.session, record.object_type, record.object_id, record.action)
    _emit(ctx.session, "create", record)
    return view(record)


@api.put(ONE, rules.rule("update_rbac_policy", rules.WRITE), key="rbac_policy")
def change(ctx: Context, policy_id: str, body: RbacPolicyUpdate) -> RbacPolicyView:
    """Share something with somebody else instead."""
    record = _own(ctx, policy_id)
    if body.target_tenant != record.target_project:
        _check_target(ctx, body.target_tenant, record.action)
        _refuse_twin(ctx.session, record.object_id, record.action, body.target_tenant)
        _check_unused(ctx.session, record, but=body.target_tenant)
        record.target_project = body.target_tenant
        ctx.session.flush()
        _show_in_flag(ctx.session, record.object_type, record.object_id, record.action)
        _emit(ctx.session, "update", record)
    return view(record)


@api.delete(ONE, rules.rule("delete_rbac_policy", rules.WRITE))
def remove(ctx: Context, policy_id: str) -> None:
    """Share something no longer."""
    record = _own(ctx, policy_id)
    _check_unused(ctx.session, record)
    ctx.session.delete(record)
    ctx.session.flush()
    _show_in_flag(ctx.session, record.object_type, record.object_id, record.action)
    _emit(ctx.session, "delete", record)


def shared_with(
    project_id: str | None, ids: SQLColumnExpression[Any], actions: Iterable[str] = (SHARED,)
) -> ColumnElement[bool]:
    """Whether something is shared with a project, or with everybody."""
    targets = [EVERYBODY, *([project_id] if project_id else [])]
    return ids.in_(
        select(RbacPolicyRecord.object_id).where(
            RbacPolicyRecord.action.in_(list(actions)),
            RbacPolicyRecord.target_project.in_(targets),
        )
    )


def shared_ids(
    session: Session, project_id: str | None, ids: Sequence[str], action: str = SHARED
) -> set[str]:
    """Which of these are shared with a project, or with everybody."""
    if not ids:
        return set()
    whom = [EVERYBODY, *([project_id] if project_id else [])]
    values = {"ids": ids, "action": action, "whom": whom}
    return set(session.scalars(_SHARED_IDS, values))


def share(
    session: Session, object_type: str, object_id: str, project_id: str, action: str, is_on: bool
) -> None:
    """Share something with everybody, or no longer: for who keeps the flag that says so."""
    known = select(RbacPolicyRecord).where(
        RbacPolicyRecord.object_id == object_id,
        RbacPolicyRecord.action == action,
        RbacPolicyRecord.target_project == EVERYBODY,
    )
    record = session.scalar(known)
    if record is not None and not is_on:
        _check_unused(session, record)
        session.delete(record)
    elif record is None and is_on:
        session.add(
            RbacPolicyRecord(
                id=new_id(),
                project_id=project_id,
                object_type=object_type,
                object_id=object_id,
                action=action,
                target_project=EVERYBODY,
            )
        )


def forget(session: Session, object_id: str) -> None:
    """Whom something was shared with does not matter any more: it is deleted."""
    session.execute(delete(RbacPolicyRecord).where(RbacPolicyRecord.object_id == object_id))


def view(record: Any) -> RbacPolicyView:
    """A policy as clients see it."""
    return RbacPolicyView(
        id=record.id,
        project_id=record.project_id,
        tenant_id=record.project_id,
        object_type=record.object_type,
        object_id=record.object_id,
        action=record.action,
        target_tenant=record.target_project,
    )


NOUN = lists.Noun(
    RbacPolicyRecord,
    RbacPolicyView,
    lambda _ctx, rows: [view(each) for each in rows],
    columns={"target_tenant": "target_project"},
)


def _own(ctx: Context, policy_id: str) -> RbacPolicyRecord:
    record = ctx.session.get(RbacPolicyRecord, policy_id)
    if record is None or not rules.is_seen(ctx, record.project_id):
        raise RbacPolicyNotFound(object_type="network", policy_id=policy_id[:64])
    ctx.allow(record)
    return record


def _check_target(ctx: Context, target: str, action: str) -> None:
    """Only administrators share something with everybody, or as a way outside."""
    if (target == EVERYBODY or action == EXTERNAL) and not rules.is_admin(ctx):
        raise Forbidden(action="create_rbac_policy:target_tenant")


def _check_owned(ctx: Context, object_type: str, object_id: str) -> None:
    things = _things(object_type)
    owner = ctx.session.scalar(select(things.c.project_id).where(things.c.id == object_id))
    if owner is None:
        raise ObjectNotFound(object_type=object_type, object_id=object_id)
    if owner != ctx.caller.project_id and not rules.is_admin(ctx):
        raise NotOwned


def _refuse_twin(session: Session, object_id: str, action: str, target: str) -> None:
    twin = select(RbacPolicyRecord.id).where(
        RbacPolicyRecord.object_id == object_id,
        RbacPolicyRecord.action == action,
        RbacPolicyRecord.target_project == target,
    )
    if session.scalar(twin) is not None:
        raise DuplicateRbacPolicy


def _check_unused(session: Session, record: RbacPolicyRecord, but: str = "") -> None:
    """Refuse when somebody, who could not without this policy, uses what it is about."""
    users = _users(record)
    if users is None:
        return
    owner, statement = users
    allowed = select(RbacPolicyRecord.target_project).where(
        RbacPolicyRecord.object_id == record.object_id,
        RbacPolicyRecord.action == record.action,
        RbacPolicyRecord.id != record.id,
    )
    still = {*session.scalars(allowed), but}
    if EVERYBODY in still:
        return
    own = session.scalar(owner)
    left = set(session.scalars(statement)) - still - {own, ""}
    affected = left if record.target_project == EVERYBODY else left & {record.target_project}
    if affected:
        details = f"it is in use by projects {', '.join(sorted(affected))}"
        raise RbacPolicyInUse(object_id=record.object_id, details=details)


def _users(record: RbacPolicyRecord) -> tuple[Any, Any] | None:
    """How to ask for the owner of what is shared, and for the projects that use it."""
    things = _things(record.object_type)
    owner = select(things.c.project_id).where(things.c.id == record.object_id)
    ports = table("ports", column("id"), column("project_id"), column("network_id"))
    if record.object_type == "security_group":
        guards = table("port_security_groups", column("port_id"), column("security_group_id"))
        of_group = select(ports.c.project_id).join(guards, guards.c.port_id == ports.c.id)
        return owner, of_group.where(guards.c.security_group_id == record.object_id)
    if record.object_type == "network" and record.action == SHARED:
        return owner, select(ports.c.project_id).where(ports.c.network_id == record.object_id)
    return None


def _show_in_flag(session: Session, object_type: str, object_id: str, action: str) -> None:
    """Keep the column true that says whether there is a policy for everybody."""
    flag = FLAGS.get((object_type, action))
    if flag is None:
        return
    things = _things(object_type)
    is_on = exists().where(
        RbacPolicyRecord.object_id == object_id,
        RbacPolicyRecord.action == action,
        RbacPolicyRecord.target_project == EVERYBODY,
    )
    session.execute(update(things).where(things.c.id == object_id).values({flag: is_on}))


def _things(object_type: str) -> TableClause:
    name = OBJECTS[object_type][0]
    return table(name, column("id"), column("project_id"), column("shared"), column("external"))


def _emit(session: Session, what: str, record: RbacPolicyRecord) -> None:
    payload = {"id": record.id, "object_type": record.object_type, "object_id": record.object_id}
    event.emit(session, f"rbac_policy.{what}.end", payload, record.project_id, record.id)
