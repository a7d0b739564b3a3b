"""Deleting a user, with all that it had."""

from sqlalchemy.orm import Session

from onestack.identity import events
from onestack.identity.assignments.removal import forget_actor
from onestack.identity.tokens.revocation import revoke
from onestack.identity.users.record import UserRecord


def remove(session: Session, record: UserRecord) -> None:
    """Delete the user; what refers to it by a foreign key goes with the row."""
    forget_actor(session, "user", record.id)
    revoke(session, user_id=record.id)
    events.emit(session, "user.deleted", record.id)
    session.delete(record)
    session.flush()
