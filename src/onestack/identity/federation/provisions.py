"""What a mapping gives to a user who signs in: groups for the token, projects for good."""

from collections.abc import Iterable

import msgspec
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from onestack.core import clock, event
from onestack.core.errors import Unauthorized
from onestack.identity.assignments.record import AssignmentRecord
from onestack.identity.federation.mapping_rules import (
    MappedDomain,
    MappedIdentity,
    MappedProject,
)
from onestack.identity.groups import GroupRecord
from onestack.identity.projects.operations import add
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.projects.view import ProjectName
from onestack.identity.roles.record import RoleRecord

MOST_GROUPS = 256  # a token holds their ids, and must fit into a header
MOST_PROJECTS = 256


class MappingTooGenerous(Unauthorized):
    message = "The mapping gives the user {count} {kind}; at most {most} are allowed."


class DomainUnknown(Unauthorized):
    message = "The mapping names a domain that is not there or is disabled: {domain}."


class RoleUnknown(Unauthorized):
    message = "The mapping names a role that is not there: {role}."


class ProjectRefused(Unauthorized):
    message = "The mapping names a project that cannot be made: {reason}."


def domain_of(session: Session, named: MappedDomain | None, default_id: str) -> ProjectRecord:
    """The domain that a mapping names, or the identity provider's."""
    chosen = ProjectRecord.id == default_id if named is None else _is(named)
    found = select(ProjectRecord).where(ProjectRecord.is_domain, ProjectRecord.enabled, chosen)
    domain = session.scalar(found)
    if domain is None:
        shown = default_id if named is None else named.id or named.name or ""
        raise DomainUnknown(domain=shown[:80])
    return domain


def groups(session: Session, identity: MappedIdentity) -> tuple[str, ...]:
    """The ids of those groups that a mapping names and that are there."""
    count = len(identity.group_ids) + len(identity.group_names)
    if count > MOST_GROUPS:
        raise MappingTooGenerous(count=count, kind="groups", most=MOST_GROUPS)
    if not count:
        return ()
    by_domain: dict[MappedDomain, list[str]] = {}
    for group in identity.group_names:
        by_domain.setdefault(group.domain, []).append(group.name)
    wanted: list[ColumnElement[bool]] = [GroupRecord.id.in_(identity.group_ids)]
    for named, names in by_domain.items():
        domain = select(ProjectRecord.id).where(ProjectRecord.is_domain, _is(named))
        wanted.append(and_(GroupRecord.domain_id.in_(domain), GroupRecord.name.in_(names)))
    found = select(GroupRecord.id).where(or_(*wanted)).order_by(GroupRecord.id)
    return tuple(session.scalars(found))


def give(session: Session, user_id: str, domain_id: str, projects: Iterable[MappedProject]) -> None:
    """Make the projects that are missing, and give the user its roles on all of them."""
    wanted = list(projects)
    if len(wanted) > MOST_PROJECTS:
        raise MappingTooGenerous(count=len(wanted), kind="projects", most=MOST_PROJECTS)
    for each in wanted:
        roles = [_role(session, name, domain_id) for name in each.roles]
        project = _project(session, each, domain_of(session, each.domain, domain_id))
        for role_id in roles:
            _assign(session, user_id, project.id, role_id)


def _is(named: MappedDomain) -> ColumnElement[bool]:
    """The condition on domains that they are the one which is named; the id goes first."""
    if named.id:
        return ProjectRecord.id == named.id
    return ProjectRecord.name == named.name


def _role(session: Session, name: str, domain_id: str) -> str:
    """A role of the whole cloud or, where there is none, of the identity provider's domain."""
    named = (RoleRecord.name == name, RoleRecord.domain_id.in_(("", domain_id)))
    found = select(RoleRecord.id).where(*named).order_by(RoleRecord.domain_id).limit(1)
    role_id = session.scalar(found)
    if role_id is None:
        raise RoleUnknown(role=name[:80])
    return role_id


def _project(session: Session, named: MappedProject, domain: ProjectRecord) -> ProjectRecord:
    try:
        name = msgspec.convert(named.name.strip(), ProjectName)
    except msgspec.ValidationError as error:
        raise ProjectRefused(reason=f"{error}") from None
    by = (ProjectRecord.domain_id == domain.id, ProjectRecord.name == name)
    record = session.scalar(select(ProjectRecord).where(*by))
    if record is None:
        record = ProjectRecord(
            id=clock.new_id(), name=name, domain_id=domain.id, parent_id=domain.id
        )
        add(session, record, [])
    return record


def _assign(session: Session, user_id: str, project_id: str, role_id: str) -> None:
    key = ("user", user_id, "project", project_id, role_id, False)
    if session.get(AssignmentRecord, key) is not None:
        return
    session.add(
        AssignmentRecord(
            actor_kind="user",
            actor_id=user_id,
            target_kind="project",
            target_id=project_id,
            role_id=role_id,
            inherited=False,
        )
    )
    payload = {"user": user_id, "project": project_id, "role": role_id}
    event.emit(session, "identity.role_assignment.created", payload)
