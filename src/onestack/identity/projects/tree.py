"""The tree of projects: where a project may stand, and what is above and below it."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, Forbidden, NotFound
from onestack.identity.assignments.effective import project_ids
from onestack.identity.projects.record import ProjectRecord, ancestors, find, find_domain

DEPTH_MAX = 5  # projects between a domain and its deepest project, that one included
STRICT_DEPTH_MAX = 2  # the strict two-level model of limits knows no more


class DepthReached(Forbidden):
    message = "Max hierarchy depth reached for {parent_id} branch."


class NotARoot(BadRequest):
    message = "only root projects are allowed to act as domains."


class ParentIsOtherDomain(BadRequest):
    message = (
        "Cannot create project, the parent ({parent_id}) is acting as a domain, but this "
        "project's domain id ({domain_id}) does not match the parent's id."
    )


class ParentElsewhere(BadRequest):
    message = (
        "Cannot create project, since it specifies its domain_id {domain_id}, but specifies a "
        "parent in a different domain ({parent_domain_id})."
    )


class BranchDisabled(BadRequest):
    message = "cannot create a project in a branch containing a disabled project: {project_id}"


def place(
    session: Session, domain_id: str, parent_id: str | None, limit_model: str
) -> ProjectRecord:
    """The parent of a project to come, or why it may not be there."""
    try:
        domain = find_domain(session, domain_id)
        parent = find(session, parent_id or domain_id)
    except NotFound as error:
        raise BadRequest(error.text) from None
    if parent.is_domain and parent.id != domain.id:
        raise ParentIsOtherDomain(parent_id=parent.id, domain_id=domain.id)
    if not parent.is_domain and parent.domain_id != domain.id:
        raise ParentElsewhere(domain_id=domain.id, parent_domain_id=parent.domain_id)
    branch = [parent, *ancestors(session, parent)]
    for record in branch:
        if not record.enabled:
            raise BranchDisabled(project_id=record.id)
    if len(branch) > (STRICT_DEPTH_MAX if limit_model == "strict_two_level" else DEPTH_MAX):
        raise DepthReached(parent_id=parent.id)
    return parent


def below(session: Session, project_id: str) -> list[ProjectRecord]:
    """The projects under this one, at all depths."""
    tree = select(ProjectRecord.id).where(ProjectRecord.parent_id == project_id)
    found = tree.cte("below", recursive=True)
    found = found.union(select(ProjectRecord.id).join(found, ProjectRecord.parent_id == found.c.id))
    statement = select(ProjectRecord).where(ProjectRecord.id.in_(select(found.c.id)))
    return list(session.scalars(statement.order_by(ProjectRecord.id)))


def parents_as_ids(above: Iterable[ProjectRecord]) -> dict[str, Any] | None:
    """What is above a project: each id holds the next one, the topmost nothing."""
    nested: dict[str, Any] | None = None
    for parent in reversed(list(above)):
        nested = {parent.id: nested}
    return nested


def subtree_as_ids(record: ProjectRecord, under: Iterable[ProjectRecord]) -> dict[str, Any] | None:
    """What is below a project: each id holds its children, a leaf nothing."""
    children: dict[str | None, list[str]] = {}
    for each in under:
        children.setdefault(each.parent_id, []).append(each.id)

    def nested(project_id: str) -> dict[str, Any] | None:
        return {child: nested(child) for child in children.get(project_id, ())} or None

    return nested(record.id)


def of_user(
    session: Session, user_id: str, projects: Iterable[ProjectRecord]
) -> list[ProjectRecord]:
    """Those of the projects on which the user has a role, given there or inherited."""
    seen = set(session.scalars(project_ids(user_id)))
    return [record for record in projects if record.id in seen]
