"""Grants on the system: roles that count for the cloud itself."""

from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.policy import Rule
from onestack.identity import rules
from onestack.identity.assignments.grant import (
    Grant,
    actor_found,
    actor_of,
    find_given,
    give,
    granted,
    take_back,
)
from onestack.identity.assignments.record import SYSTEM
from onestack.identity.roles.define import CLOUD_SCOPES, RoleView
from onestack.identity.roles.record import RoleRecord, subject
from onestack.identity.roles.record import find as find_role

api = Operations("grants")


def rule(name: str, check: str) -> Rule:
    """A rule on grants on the system; nobody has one by a domain."""
    return Rule(f"identity:{name}", check, CLOUD_SCOPES)


class DomainRoleOnSystem(BadRequest):
    message = (
        "Role {role_id} is a domain-specific role. Unable to use a domain-specific role in a "
        "system assignment."
    )


@api.get(
    "/v3/system/users/{user_id}/roles",
    rule("list_system_grants_for_user", rules.READ),
    key="roles",
)
@api.get(
    "/v3/system/groups/{group_id}/roles",
    rule("list_system_grants_for_group", rules.READ),
    key="roles",
)
def index(ctx: Context, **place: str) -> Page[RoleView]:
    """List the roles that a user or group was given on the system."""
    return granted(ctx, _permitted(ctx, place, None))


@api.put(
    "/v3/system/users/{user_id}/roles/{role_id}",
    rule("create_system_grant_for_user", rules.ADMIN),
    status=204,
)
@api.put(
    "/v3/system/groups/{group_id}/roles/{role_id}",
    rule("create_system_grant_for_group", rules.ADMIN),
    status=204,
)
def create(ctx: Context, role_id: str, **place: str) -> None:
    """Give a user or group a role on the system."""
    role = find_role(ctx.session, role_id)
    grant = _permitted(ctx, place, role)
    if role.domain_id:
        raise DomainRoleOnSystem(role_id=role_id)
    give(ctx, grant, role_id)


@api.get(
    "/v3/system/users/{user_id}/roles/{role_id}",
    rule("check_system_grant_for_user", rules.READ),
    status=204,
)
@api.get(
    "/v3/system/groups/{group_id}/roles/{role_id}",
    rule("check_system_grant_for_group", rules.READ),
    status=204,
)
def check(ctx: Context, role_id: str, **place: str) -> None:
    """Say whether a user or group was given a role on the system."""
    find_given(ctx, _permitted(ctx, place, find_role(ctx.session, role_id)), role_id)


@api.delete(
    "/v3/system/users/{user_id}/roles/{role_id}",
    rule("revoke_system_grant_for_user", rules.ADMIN),
)
@api.delete(
    "/v3/system/groups/{group_id}/roles/{role_id}",
    rule("revoke_system_grant_for_group", rules.ADMIN),
)
def revoke(ctx: Context, role_id: str, **place: str) -> None:
    """Take a role on the system back from a user or group."""
    role = find_role(ctx.session, role_id)
    take_back(ctx, _permitted(ctx, place, role, must_exist=False), role_id)


def _permitted(
    ctx: Context, place: dict[str, str], role: RoleRecord | None, must_exist: bool = True
) -> Grant:
    """The grant that a path names, when the rule lets the caller deal with it."""
    kind, actor_id = actor_of(place)
    actor = actor_found(ctx, kind, actor_id, must_exist=must_exist)
    target: dict[str, object] = {"role": subject(role)} if role is not None else {}
    if actor is not None:
        target[kind] = actor
    ctx.allow(target)
    return Grant(kind, actor_id, SYSTEM, SYSTEM)
