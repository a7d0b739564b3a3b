"""Upkeep: what identity does by itself now and then."""

from sqlalchemy.orm import Session

from onestack.core.flow import periodic
from onestack.identity.revocation_events import purge
from onestack.identity.settings import TOKEN_EXPIRATION_MAX_S


@periodic(3600)
def forget_old_revocations(session: Session) -> None:
    """A revocation is of no use once every token that it could void has expired."""
    purge(session, TOKEN_EXPIRATION_MAX_S)


FLOWS = (forget_old_revocations,)
