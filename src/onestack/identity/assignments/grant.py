"""Grants: roles given to users and groups on projects and domains, and taken back."""

from itertools import product

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from onestack.core import event
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import Forbidden, NotFound
from onestack.core.policy import Rule
from onestack.identity import rules
from onestack.identity.assignments import actors
from onestack.identity.assignments.record import AssignmentRecord
from onestack.identity.assignments.removal import forget_grant
from onestack.identity.projects.record import find as find_project
from onestack.identity.projects.record import find_domain
from onestack.identity.roles import define
from onestack.identity.roles.define import RoleView
from onestack.identity.roles.record import RoleRecord, subject
from onestack.identity.roles.record import find as find_role

api = Operations("grants")


def persona(role: str) -> str:
    """Whoever has a role on the domain of both the actor and the target."""
    actor = ("target.user.domain_id", "target.group.domain_id")
    target = ("target.project.domain_id", "target.domain.id")
    return rules.either(
        *(
            f"(role:{role} and domain_id:%({one})s and domain_id:%({other})s)"
            for one, other in product(actor, target)
        )
    )


ROLE_WITHIN_REACH = "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"
READER = persona("reader")
WRITE = rules.either(
    rules.ADMIN,
    f"(({persona('admin')}) and {ROLE_WITHIN_REACH})",
    f"(({persona('manager')}) and rule:domain_managed_target_role)",
)
LIST = Rule("identity:list_grants", rules.either(rules.READ, READER))
CHECK = Rule(
    "identity:check_grant", rules.either(rules.READ, f"(({READER}) and {ROLE_WITHIN_REACH})")
)
CREATE = Rule("identity:create_grant", WRITE)
REVOKE = Rule("identity:revoke_grant", WRITE)


class GrantNotFound(NotFound):
    message = (
        "Could not find role assignment with role: {role_id}, user or group: {actor_id}, "
        "project, domain, or system: {target_id}."
    )


class DomainRoleMismatch(Forbidden):
    message = (
        "Project {project_id} must be in the same domain as the role {role_id} being assigned."
    )


class Grant(msgspec.Struct, frozen=True):
    """Who is given roles on what."""

    actor_kind: str
    actor_id: str
    target_kind: str
    target_id: str
    inherited: bool = False

    def key(self, role_id: str) -> tuple[str, str, str, str, str, bool]:
        """The assignment's key, once a role is given."""
        place = (self.target_kind, self.target_id, role_id, self.inherited)
        return (self.actor_kind, self.actor_id, *place)

    def payload(self, role_id: str) -> dict[str, object]:
        """What events say of the grant."""
        return {
            "resource_info": role_id,
            "role": role_id,
            self.actor_kind: self.actor_id,
            self.target_kind: self.target_id,
            "inherited_to_projects": self.inherited,
        }


@api.get("/v3/projects/{project_id}/users/{user_id}/roles", LIST, key="roles")
@api.get("/v3/projects/{project_id}/groups/{group_id}/roles", LIST, key="roles")
@api.get("/v3/domains/{domain_id}/users/{user_id}/roles", LIST, key="roles")
@api.get("/v3/domains/{domain_id}/groups/{group_id}/roles", LIST, key="roles")
def index(ctx: Context, **place: str) -> Page[RoleView]:
    """List the roles that a user or group was given on a project or domain."""
    return _index(ctx, place)


@api.get(
    "/v3/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/inherited_to_projects",
    LIST,
    key="roles",
)
@api.get(
    "/v3/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/inherited_to_projects",
    LIST,
    key="roles",
)
def index_inherited(ctx: Context, **place: str) -> Page[RoleView]:
    """List the roles that a user or group was given on the projects of a domain."""
    return _index(ctx, place, inherited=True)


@api.put("/v3/projects/{project_id}/users/{user_id}/roles/{role_id}", CREATE, status=204)
@api.put("/v3/projects/{project_id}/groups/{group_id}/roles/{role_id}", CREATE, status=204)
@api.put("/v3/domains/{domain_id}/users/{user_id}/roles/{role_id}", CREATE, status=204)
@api.put("/v3/domains/{domain_id}/groups/{group_id}/roles/{role_id}", CREATE, status=204)
def create(ctx: Context, role_id: str, **place: str) -> None:
    """Give a user or group a role on a project or domain."""
    _create(ctx, role_id, place)


@api.put(
    "/v3/OS-INHERIT/projects/{project_id}/users/{user_id}/roles/{role_id}/inherited_to_projects",
    CREATE,
    status=204,
)
@api.put(
    "/v3/OS-INHERIT/projects/{project_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects",
    CREATE,
    status=204,
)
@api.put(
    "/v3/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/{role_id}/inherited_to_projects",
    CREATE,
    status=204,
)
@api.put(
    "/v3/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects",
    CREATE,
    status=204,
)
def create_inherited(ctx: Context, role_id: str, **place: str) -> None:
    """Give a user or group a role on every project below a project or domain."""
    _create(ctx, role_id, place, inherited=True)


@api.get("/v3/projects/{project_id}/users/{user_id}/roles/{role_id}", CHECK, status=204)
@api.get("/v3/projects/{project_id}/groups/{group_id}/roles/{role_id}", CHECK, status=204)
@api.get("/v3/domains/{domain_id}/users/{user_id}/roles/{role_id}", CHECK, status=204)
@api.get("/v3/domains/{domain_id}/groups/{group_id}/roles/{role_id}", CHECK, status=204)
def check(ctx: Context, role_id: str, **place: str) -> None:
    """Say whether a user or group was given a role on a project or domain."""
    _check(ctx, role_id, place)


@api.get(
    "/v3/OS-INHERIT/projects/{project_id}/users/{user_id}/roles/{role_id}/inherited_to_projects",
    CHECK,
    status=204,
)
@api.get(
    "/v3/OS-INHERIT/projects/{project_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects",
    CHECK,
    status=204,
)
@api.get(
    "/v3/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/{role_id}/inherited_to_projects",
    CHECK,
    status=204,
)
@api.get(
    "/v3/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects",
    CHECK,
    status=204,
)
def check_inherited(ctx: Context, role_id: str, **place: str) -> None:
    """Say whether a user or group was given a role on what is below a project or domain."""
    _check(ctx, role_id, place, inherited=True)


@api.delete("/v3/projects/{project_id}/users/{user_id}/roles/{role_id}", REVOKE)
@api.delete("/v3/projects/{project_id}/groups/{group_id}/roles/{role_id}", REVOKE)
@api.delete("/v3/domains/{domain_id}/users/{user_id}/roles/{role_id}", REVOKE)
@api.delete("/v3/domains/{domain_id}/groups/{group_id}/roles/{role_id}", REVOKE)
def revoke(ctx: Context, role_id: str, **place: str) -> None:
    """Take a role on a project or domain back from a user or group."""
    _revoke(ctx, role_id, place)


@api.delete(
    "/v3/OS-INHERIT/projects/{project_id}/users/{user_id}/roles/{role_id}/inherited_to_projects",
    REVOKE,
)
@api.delete(
    "/v3/OS-INHERIT/projects/{project_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects",
    REVOKE,
)
@api.delete(
    "/v3/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/{role_id}/inherited_to_projects",
    REVOKE,
)
@api.delete(
    "/v3/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects",
    REVOKE,
)
def revoke_inherited(ctx: Context, role_id: str, **place: str) -> None:
    """Take a role on what is below a project or domain back from a user or group."""
    _revoke(ctx, role_id, place, inherited=True)


def granted(ctx: Context, grant: Grant) -> Page[RoleView]:
    """The roles that were given so."""
    found = (
        select(RoleRecord)
        .join(AssignmentRecord, AssignmentRecord.role_id == RoleRecord.id)
        .where(
            AssignmentRecord.actor_kind == grant.actor_kind,
            AssignmentRecord.actor_id == grant.actor_id,
            AssignmentRecord.target_kind == grant.target_kind,
            AssignmentRecord.target_id == grant.target_id,
            AssignmentRecord.inherited.is_(grant.inherited),
        )
        .order_by(RoleRecord.name, RoleRecord.id)
    )
    return Page([define.view(ctx, role) for role in ctx.session.scalars(found)])


def give(ctx: Context, grant: Grant, role_id: str) -> None:
    """Make the assignment, if it is not there; somebody else may make it at the same time."""
    key = grant.key(role_id)
    if ctx.session.get(AssignmentRecord, key) is not None:
        return
    record = AssignmentRecord(
        actor_kind=grant.actor_kind,
        actor_id=grant.actor_id,
        target_kind=grant.target_kind,
        target_id=grant.target_id,
        role_id=role_id,
        inherited=grant.inherited,
    )
    try:
        with ctx.session.begin_nested():
            ctx.session.add(record)
    except IntegrityError:
        find_given(ctx, grant, role_id)
        return
    event.emit(ctx.session, "identity.role_assignment.created", grant.payload(role_id))


def take_back(ctx: Context, grant: Grant, role_id: str) -> None:
    """Remove the assignment, and void the tokens that used it."""
    forget_grant(ctx.session, find_given(ctx, grant, role_id))
    event.emit(ctx.session, "identity.role_assignment.deleted", grant.payload(role_id))


def find_given(ctx: Context, grant: Grant, role_id: str) -> AssignmentRecord:
    """The assignment, or 404."""
    record = ctx.session.get(AssignmentRecord, grant.key(role_id))
    if record is None:
        raise GrantNotFound(role_id=role_id, actor_id=grant.actor_id, target_id=grant.target_id)
    return record


def actor_of(place: dict[str, str]) -> tuple[str, str]:
    """Whether a path names a user or a group, and which one."""
    kind = "user" if "user_id" in place else "group"
    return kind, place[f"{kind}_id"]


def actor_found(ctx: Context, kind: str, actor_id: str, *, must_exist: bool) -> actors.Actor | None:
    """The user or group; whoever is gone may still have assignments to be removed."""
    try:
        require = actors.require_user if kind == "user" else actors.require_group
        return require(ctx, actor_id)
    except NotFound:
        if must_exist:
            raise
        return None


def _index(ctx: Context, place: dict[str, str], inherited: bool = False) -> Page[RoleView]:
    return granted(ctx, _permitted(ctx, place, None, inherited))


def _create(ctx: Context, role_id: str, place: dict[str, str], inherited: bool = False) -> None:
    role = find_role(ctx.session, role_id)
    grant = _permitted(ctx, place, role, inherited)
    if role.domain_id and grant.target_kind == "project":
        project = find_project(ctx.session, grant.target_id)
        if project.domain_id != role.domain_id:
            raise DomainRoleMismatch(project_id=project.id, role_id=role_id)
    give(ctx, grant, role_id)


def _check(ctx: Context, role_id: str, place: dict[str, str], inherited: bool = False) -> None:
    role = find_role(ctx.session, role_id)
    find_given(ctx, _permitted(ctx, place, role, inherited), role_id)


def _revoke(ctx: Context, role_id: str, place: dict[str, str], inherited: bool = False) -> None:
    role = find_role(ctx.session, role_id)
    take_back(ctx, _permitted(ctx, place, role, inherited, must_exist=False), role_id)


def _permitted(
    ctx: Context,
    place: dict[str, str],
    role: RoleRecord | None,
    inherited: bool,
    must_exist: bool = True,
) -> Grant:
    """The grant that a path names, when the rule lets the caller deal with it."""
    kind, actor_id = actor_of(place)
    target: dict[str, object] = {}
    if role is not None:
        target["role"] = subject(role)
    actor = actor_found(ctx, kind, actor_id, must_exist=must_exist)
    if actor is not None:
        target[kind] = actor
    target_kind = "project" if "project_id" in place else "domain"
    find = find_project if target_kind == "project" else find_domain
    record = find(ctx.session, place[f"{target_kind}_id"])
    ctx.allow({**target, target_kind: record})
    return Grant(kind, actor_id, target_kind, record.id, inherited)
