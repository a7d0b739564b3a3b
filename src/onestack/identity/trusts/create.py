"""A trust is made, from a user's own rights or from a trust that lets itself be passed on."""

import datetime as dt
from typing import Annotated, Any

from sqlalchemy import select

from onestack.core import clock
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Forbidden
from onestack.core.policy import Rule
from onestack.core.shapes import Extras, Id, Meta, Name, Shape
from onestack.identity import events
from onestack.identity.assignments import effective
from onestack.identity.projects.record import find as find_project
from onestack.identity.roles.record import RoleNotFound, RoleRecord
from onestack.identity.times import future
from onestack.identity.tokens.lent import refuse_lent
from onestack.identity.trusts.record import TrustRecord, TrustRoleRecord, find, roles_of
from onestack.identity.trusts.view import TrustView, view
from onestack.identity.users.record import find as find_user

api = Operations("trusts")

REDELEGATIONS_MAX = 3


class RoleReference(Shape):
    """A role, by id or name."""

    id: Id | None = None
    name: Name | None = None


class TrustCreate(Shape):
    """A trust to make."""

    trustor_user_id: Id
    trustee_user_id: Id
    impersonation: bool
    project_id: Id | None = None
    roles: Annotated[list[RoleReference], Meta(max_length=100)] = []
    expires_at: str | None = None
    remaining_uses: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    allow_redelegation: bool = False
    redelegation_count: Annotated[int, Meta(ge=0, le=REDELEGATIONS_MAX)] | None = None
    extra: Annotated[dict[str, Any], Extras] = {}


class NoRoles(Forbidden):
    message = "At least one role should be specified."


class RoleNotHeld(Forbidden):
    message = "You are not authorized to perform the requested action: lend a role you lack."


class RedelegationRefused(Forbidden):
    message = "You are not authorized to perform the requested action: redelegate: {reason}."


@api.post(
    "/v3/OS-TRUST/trusts",
    Rule("identity:create_trust", "user_id:%(target.trust.trustor_user_id)s"),
    key="trust",
    status=201,
)
def create(ctx: Context, body: TrustCreate) -> TrustView:
    """Lend roles on a project to another user."""
    ctx.allow(trust={"trustor_user_id": body.trustor_user_id})
    refuse_lent(ctx, "managing trusts", allowed=("application_credential", "trust"))
    find_user(ctx.session, body.trustee_user_id)
    if body.project_id is not None:
        find_project(ctx.session, body.project_id)
        if not body.roles:
            raise NoRoles
    if body.allow_redelegation and body.remaining_uses is not None:
        raise BadRequest("A trust that may be redelegated cannot have a number of uses.")
    record = TrustRecord(
        id=clock.new_id(),
        trustor_user_id=body.trustor_user_id,
        trustee_user_id=body.trustee_user_id,
        project_id=body.project_id,
        impersonation=body.impersonation,
        expires_at=future(body.expires_at, "expires_at"),
        remaining_uses=body.remaining_uses,
        redelegation_count=_count(body),
        extra=body.extra,
    )
    roles = _roles(ctx, body)
    if ctx.caller.trust_id is not None:
        _redelegate(find(ctx.session, ctx.caller.trust_id), record, body)
        _check_lent(ctx, ctx.caller.trust_id, roles)
    ctx.session.add(record)
    ctx.session.flush()
    ctx.session.add_all(TrustRoleRecord(trust_id=record.id, role_id=role.id) for role in roles)
    ctx.session.flush()
    events.emit(ctx.session, "OS-TRUST:trust.created", record.id)
    return view(ctx, record, roles)


def _count(body: TrustCreate) -> int:
    if not body.allow_redelegation:
        return 0
    return REDELEGATIONS_MAX if body.redelegation_count is None else body.redelegation_count


def _roles(ctx: Context, body: TrustCreate) -> list[RoleRecord]:
    """The roles that the request names, all of which the trustor has on the project."""
    if body.project_id is None:
        return []
    project = find_project(ctx.session, body.project_id)
    held = {
        role_id for role_id, _ in effective.on_project(ctx.session, body.trustor_user_id, project)
    }
    found = []
    for reference in body.roles:
        role = _role(ctx, reference)
        if role.id not in held:
            raise RoleNotHeld
        if role not in found:
            found.append(role)
    return found


def _role(ctx: Context, reference: RoleReference) -> RoleRecord:
    if reference.id is not None:
        role = ctx.session.get(RoleRecord, reference.id)
    elif reference.name is not None:
        by = (RoleRecord.name == reference.name, RoleRecord.domain_id == "")
        role = ctx.session.scalar(select(RoleRecord).where(*by))
    else:
        raise BadRequest("Expecting to find id or name in each of roles.")
    if role is None:
        raise RoleNotFound(role_id=reference.id or reference.name)
    return role


def _redelegate(parent: TrustRecord, record: TrustRecord, body: TrustCreate) -> None:
    """A trust made from another is never wider than it: in time, depth, project or person."""
    if parent.redelegation_count <= 0:
        raise RedelegationRefused(reason="the trust does not allow it")
    if not parent.impersonation and record.impersonation:
        raise RedelegationRefused(reason="the trust does not impersonate")
    if parent.project_id != record.project_id:
        raise RedelegationRefused(reason="the trust is for another project")
    if body.redelegation_count is not None and body.redelegation_count >= parent.redelegation_count:
        raise RedelegationRefused(reason="the redelegation count is not lower than the trust's")
    record.expires_at = _earlier(parent.expires_at, record.expires_at)
    record.redelegation_count = min(record.redelegation_count, parent.redelegation_count - 1)
    record.redelegated_trust_id = parent.id


def _earlier(bound: dt.datetime | None, wanted: dt.datetime | None) -> dt.datetime | None:
    if bound is not None and wanted is not None and wanted > bound:
        raise RedelegationRefused(reason="the trust ends earlier")
    return wanted or bound


def _check_lent(ctx: Context, parent_id: str, roles: list[RoleRecord]) -> None:
    lent = {role.id for role in roles_of(ctx.session, parent_id)}
    allowed = effective.expand(lent, effective.implications(ctx.session))
    if any(role.id not in allowed for role in roles):
        raise RedelegationRefused(reason="the trust does not lend all of these roles")
