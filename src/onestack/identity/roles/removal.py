"""Deleting a role: nobody has it any more, and it implies and is implied by nothing."""

from sqlalchemy.orm import Session

from onestack.identity import events
from onestack.identity.assignments.removal import forget_role
from onestack.identity.roles.record import RoleRecord


def remove(session: Session, record: RoleRecord) -> None:
    """Delete the role; what refers to it by a foreign key goes with the row."""
    forget_role(session, record.id)
    session.delete(record)
    events.emit(session, "role.deleted", record.id)
