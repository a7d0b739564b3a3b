"""Deleting projects and domains, with all that they hold."""

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from onestack.core.errors import Forbidden
from onestack.identity import events, groups, resource_options
from onestack.identity.assignments.removal import forget_target
from onestack.identity.projects.enabling import void_tokens
from onestack.identity.projects.record import DEFAULT_DOMAIN, ProjectRecord
from onestack.identity.roles import removal as roles
from onestack.identity.roles.record import RoleRecord
from onestack.identity.users import removal as users
from onestack.identity.users.record import UserRecord


class NotALeaf(Forbidden):
    message = (
        "Cannot delete the project {project_id} since it is not a leaf in the hierarchy. "
        "Delete the projects below it first."
    )


class DomainEnabled(Forbidden):
    message = "Cannot delete a domain that is enabled, please disable it first."


class DomainNeeded(Forbidden):
    message = "Cannot delete the default domain: the cloud's own accounts are in it."


def remove(session: Session, record: ProjectRecord) -> None:
    """Delete a project that has nothing below it, or a disabled domain with all that is in it."""
    if record.is_domain:
        _remove_domain(session, record)
    else:
        _remove_project(session, record)


def _remove_project(session: Session, record: ProjectRecord) -> None:
    resource_options.allow_delete(record, "project")
    if session.scalar(select(ProjectRecord.id).where(ProjectRecord.parent_id == record.id)):
        raise NotALeaf(project_id=record.id)
    _forget(session, [record])
    session.delete(record)
    session.flush()


def _remove_domain(session: Session, record: ProjectRecord) -> None:
    resource_options.allow_delete(record, "domain")
    if record.enabled:
        raise DomainEnabled
    if record.id == DEFAULT_DOMAIN:
        raise DomainNeeded
    projects = list(
        session.scalars(select(ProjectRecord).where(ProjectRecord.domain_id == record.id))
    )
    for project in projects:
        resource_options.allow_delete(project, "project")
    forget_target(session, "domain", record.id)
    _forget(session, [*projects, record])
    _remove_members(session, record.id)
    session.execute(delete(ProjectRecord).where(ProjectRecord.domain_id == record.id))
    session.delete(record)
    events.emit(session, "domain.deleted", record.id)
    session.flush()


def _forget(session: Session, projects: list[ProjectRecord]) -> None:
    """Take back the roles on projects, and the places where users refer to them."""
    for project in projects:
        forget_target(session, "project", project.id)
        void_tokens(session, project)
        if not project.is_domain:
            events.emit(session, "project.deleted", project.id)
        session.execute(
            update(UserRecord)
            .where(UserRecord.default_project_id == project.id)
            .values(default_project_id=None)
        )


def _remove_members(session: Session, domain_id: str) -> None:
    """Delete the groups, users and roles of a domain."""
    of_domain = select(groups.GroupRecord).where(groups.GroupRecord.domain_id == domain_id)
    for group in list(session.scalars(of_domain)):
        groups.remove(session, group)
    members = select(UserRecord).where(UserRecord.domain_id == domain_id)
    for user in list(session.scalars(members)):
        users.remove(session, user)
    defined = select(RoleRecord).where(RoleRecord.domain_id == domain_id)
    for role in list(session.scalars(defined)):
        roles.remove(session, role)
    session.flush()
