"""Effective roles: what a user's assignments come to on one project, domain or the system."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, and_, bindparam, or_, select
from sqlalchemy.orm import Session

from onestack.identity.assignments.record import SYSTEM, AssignmentRecord
from onestack.identity.federation import memberships as expiring
from onestack.identity.memberships import MembershipRecord
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.roles.record import ImpliedRoleRecord, RoleRecord

Roles = tuple[tuple[str, str], ...]
Parameter = BindParameter[Any]
Given = str | Parameter


def on_project(
    session: Session, user_id: str, project: ProjectRecord, more_groups: Iterable[str] = ()
) -> Roles:
    """The user's roles on a project: its own, and those inherited from what is above it."""
    return _read(session, _on_project(), user_id, more_groups, target_id=project.id)


def on_domain(
    session: Session, user_id: str, domain_id: str, more_groups: Iterable[str] = ()
) -> Roles:
    """The user's roles on a domain itself."""
    return _read(session, _on_domain(), user_id, more_groups, target_id=domain_id)


def on_system(session: Session, user_id: str, more_groups: Iterable[str] = ()) -> Roles:
    """The user's roles on the system."""
    return _read(session, _on_system(), user_id, more_groups)


def project_ids(user_id: str, more_groups: Iterable[str] = ()) -> Select[Any]:
    """Selects the projects on which the user has any role that a token may carry."""
    given = and_(of_user(user_id, more_groups), AssignmentRecord.role_id.in_(_telling_roles()))
    here = select(AssignmentRecord.target_id.label("id")).where(
        given, AssignmentRecord.target_kind == "project", ~AssignmentRecord.inherited
    )
    sources = select(AssignmentRecord.target_id).where(given, AssignmentRecord.inherited)
    below = (
        select(ProjectRecord.id)
        .where(ProjectRecord.parent_id.in_(sources))
        .cte("below", recursive=True)
    )
    below = below.union(select(ProjectRecord.id).join(below, ProjectRecord.parent_id == below.c.id))
    return select(here.union(select(below.c.id)).subquery().c.id)


def domain_ids(user_id: str, more_groups: Iterable[str] = ()) -> Select[Any]:
    """Selects the domains on which the user has any role that a token may carry."""
    return select(AssignmentRecord.target_id).where(
        of_user(user_id, more_groups),
        AssignmentRecord.target_kind == "domain",
        ~AssignmentRecord.inherited,
        AssignmentRecord.role_id.in_(_telling_roles()),
    )


def of_user(user_id: Given, more_groups: Iterable[str] | Parameter = ()) -> ColumnElement[bool]:
    """The assignments that count for a user: its own, and those of its groups."""
    memberships = select(MembershipRecord.group_id).where(MembershipRecord.user_id == user_id)
    groups = or_(
        AssignmentRecord.actor_id.in_(memberships),
        AssignmentRecord.actor_id.in_(expiring.group_ids(user_id)),
        AssignmentRecord.actor_id.in_(more_groups),
    )
    return or_(
        and_(AssignmentRecord.actor_kind == "user", AssignmentRecord.actor_id == user_id),
        and_(AssignmentRecord.actor_kind == "group", groups),
    )


def above(project_id: Given) -> Select[Any]:
    """Selects the ids of what is above a project, up to its domain."""
    parent = select(ProjectRecord.parent_id.label("id")).where(ProjectRecord.id == project_id)
    chain = parent.cte("above", recursive=True)
    chain = chain.union(select(ProjectRecord.parent_id).join(chain, ProjectRecord.id == chain.c.id))
    return select(chain.c.id).where(chain.c.id.is_not(None))


def expand(direct: Iterable[str], implied: Mapping[str, Iterable[str]]) -> set[str]:
    """The roles, and all that they imply, directly or through others."""
    found: set[str] = set()
    waiting = list(direct)
    while waiting:
        role_id = waiting.pop()
        if role_id not in found:
            found.add(role_id)
            waiting.extend(implied.get(role_id, ()))
    return found


def implications(session: Session) -> dict[str, list[str]]:
    """Which roles each role implies."""
    found: dict[str, list[str]] = {}
    order = (ImpliedRoleRecord.prior_role_id, ImpliedRoleRecord.implied_role_id)
    for record in session.scalars(select(ImpliedRoleRecord).order_by(*order)):
        found.setdefault(record.prior_role_id, []).append(record.implied_role_id)
    return found


def _read(
    session: Session,
    statement: Select[str, str],
    user_id: str,
    more_groups: Iterable[str],
    **values: str,
) -> Roles:
    given = {"user_id": user_id, "more_groups": list(more_groups), **values}
    return tuple((row.id, row.name) for row in session.execute(statement, given))


# A token is loaded by one of these statements. They are made once: that takes SQLAlchemy longer
# than the database takes to answer.


@cache
def _on_project() -> Select[str, str]:
    target: Parameter = bindparam("target_id")
    here = and_(
        AssignmentRecord.target_kind == "project",
        AssignmentRecord.target_id == target,
        ~AssignmentRecord.inherited,
    )
    inherited = and_(
        AssignmentRecord.target_kind.in_(("project", "domain")),
        AssignmentRecord.target_id.in_(above(target)),
        AssignmentRecord.inherited,
    )
    return _roles(or_(here, inherited))


@cache
def _on_domain() -> Select[str, str]:
    return _roles(
        and_(
            AssignmentRecord.target_kind == "domain",
            AssignmentRecord.target_id == bindparam("target_id"),
            ~AssignmentRecord.inherited,
        )
    )


@cache
def _on_system() -> Select[str, str]:
    return _roles(AssignmentRecord.target_kind == SYSTEM)


def _roles(on_target: ColumnElement[bool]) -> Select[str, str]:
    """Selects a user's roles that tokens carry: those assigned, and what they imply."""
    actor = of_user(bindparam("user_id"), bindparam("more_groups", expanding=True))
    held = select(AssignmentRecord.role_id).where(on_target, actor).cte("held", recursive=True)
    held = held.union(
        select(ImpliedRoleRecord.implied_role_id).join(
            held, ImpliedRoleRecord.prior_role_id == held.c.role_id
        )
    )
    return (
        select(RoleRecord.id, RoleRecord.name)
        .join(held, RoleRecord.id == held.c.role_id)
        .where(RoleRecord.domain_id == "")
        .order_by(RoleRecord.name)
    )


def _telling_roles() -> Select[Any]:
    """Selects the roles that tokens carry, and those that imply one which they carry."""
    telling = select(RoleRecord.id).where(RoleRecord.domain_id == "").cte("telling", recursive=True)
    telling = telling.union(
        select(ImpliedRoleRecord.prior_role_id).join(
            telling, ImpliedRoleRecord.implied_role_id == telling.c.id
        )
    )
    return select(telling.c.id)
