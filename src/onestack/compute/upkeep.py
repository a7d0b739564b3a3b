"""Upkeep: what the compute service does by itself now and then."""

from sqlalchemy.orm import Session

from onestack.compute import decisions
from onestack.core.flow import periodic


@periodic(3600)
def forget_old_decisions(session: Session) -> None:
    """Decisions of the scheduler are kept for a month."""
    decisions.forget(session)
