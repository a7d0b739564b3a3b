"""Enabling and disabling a project or domain: what must hold first, and which tokens it voids."""

from sqlalchemy.orm import Session

from onestack.core.errors import Forbidden
from onestack.identity.projects.record import ProjectRecord, ancestors
from onestack.identity.projects.tree import below
from onestack.identity.tokens.revocation import revoke


class ParentsDisabled(Forbidden):
    message = "Cannot enable project {project_id} since it has disabled parents"


class SubtreeEnabled(Forbidden):
    message = "Cannot disable project {project_id} since its subtree contains enabled projects."


def switch(session: Session, record: ProjectRecord, enabled: bool) -> None:
    """Enable or disable; what is so already stays so."""
    if enabled == record.enabled:
        return
    if enabled:
        if not all(parent.enabled for parent in ancestors(session, record)):
            raise ParentsDisabled(project_id=record.id)
    else:
        # A domain takes all that is in it along; a project does not.
        if not record.is_domain and any(each.enabled for each in below(session, record.id)):
            raise SubtreeEnabled(project_id=record.id)
        void_tokens(session, record)
    record.enabled = enabled


def void_tokens(session: Session, record: ProjectRecord) -> None:
    """Void the tokens for this project or domain, for good: enabling it again revives none."""
    revoke(session, project_id=record.id)
    if record.is_domain:
        revoke(session, domain_id=record.id)
