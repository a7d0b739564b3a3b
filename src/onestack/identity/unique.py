"""Names that must be unique: the database decides, and the client hears it in Keystone's words."""

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from onestack.core.errors import Conflict


class Duplicate(Conflict):
    message = (
        "Conflict occurred attempting to store {kind} - Duplicate entry found with name {name}."
    )


def refuse_duplicate(session: Session, kind: str, name: str) -> None:
    """Write what waits to be written, and refuse if its name is taken."""
    try:
        session.flush()
    except IntegrityError:
        session.rollback()
        raise Duplicate(kind=kind, name=name) from None
