"""Effective roles: what a user's assignments come to on one project, domain or the system."""

from collections.abc import Iterable, Mapping

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from onestack.identity.assignments.record import SYSTEM, AssignmentRecord
from onestack.identity.memberships import MembershipRecord
from onestack.identity.projects.record import ProjectRecord, ancestors
from onestack.identity.roles.record import ImpliedRoleRecord, RoleRecord

Roles = tuple[tuple[str, str], ...]


def group_ids(session: Session, user_id: str) -> list[str]:
    """The groups that the user is in."""
    found = select(MembershipRecord.group_id).where(MembershipRecord.user_id == user_id)
    return list(session.scalars(found))


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
    for record in session.scalars(select(ImpliedRoleRecord)):
        found.setdefault(record.prior_role_id, []).append(record.implied_role_id)
    return found


def on_project(
    session: Session, user_id: str, project: ProjectRecord, more_groups: Iterable[str] = ()
) -> Roles:
    """The user's roles on a project: its own, and those inherited from what is above it."""
    above = [record.id for record in ancestors(session, project)]
    here = and_(AssignmentRecord.target_id == project.id, ~AssignmentRecord.inherited)
    inherited = and_(AssignmentRecord.target_id.in_(above), AssignmentRecord.inherited)
    on_target = and_(AssignmentRecord.target_kind.in_(("project", "domain")), or_(here, inherited))
    return _roles(session, user_id, on_target, more_groups)


def on_domain(
    session: Session, user_id: str, domain_id: str, more_groups: Iterable[str] = ()
) -> Roles:
    """The user's roles on a domain itself."""
    on_target = and_(
        AssignmentRecord.target_kind == "domain",
        AssignmentRecord.target_id == domain_id,
        ~AssignmentRecord.inherited,
    )
    return _roles(session, user_id, on_target, more_groups)


def on_system(session: Session, user_id: str, more_groups: Iterable[str] = ()) -> Roles:
    """The user's roles on the system."""
    return _roles(session, user_id, AssignmentRecord.target_kind == SYSTEM, more_groups)


def _roles(session: Session, user_id: str, on_target: object, more_groups: Iterable[str]) -> Roles:
    groups = {*group_ids(session, user_id), *more_groups}
    actor = or_(
        and_(AssignmentRecord.actor_kind == "user", AssignmentRecord.actor_id == user_id),
        and_(AssignmentRecord.actor_kind == "group", AssignmentRecord.actor_id.in_(groups)),
    )
    direct = set(session.scalars(select(AssignmentRecord.role_id).where(on_target, actor)))  # type: ignore[arg-type]
    return named(session, expand(direct, implications(session))) if direct else ()


def named(session: Session, role_ids: Iterable[str]) -> Roles:
    """The roles with their names; roles of a domain only ever imply others, and are left out."""
    found = select(RoleRecord.id, RoleRecord.name).where(
        RoleRecord.id.in_(set(role_ids)), RoleRecord.domain_id == ""
    )
    return tuple((row.id, row.name) for row in session.execute(found.order_by(RoleRecord.name)))
