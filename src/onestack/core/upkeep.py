"""Upkeep: what the ground floor does by itself now and then."""

from sqlalchemy.orm import Session

from onestack.core import event
from onestack.core.flow import periodic

EVENTS_KEPT_S = 30 * 24 * 3600.0


@periodic(3600)
def forget_old_events(session: Session) -> None:
    """Events are kept for a month."""
    event.forget(session, EVENTS_KEPT_S)
