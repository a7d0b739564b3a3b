"""Upkeep: what identity does by itself now and then."""

import datetime as dt
from typing import cast

from sqlalchemy import Table, delete
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.flow import periodic
from onestack.identity.federation import memberships
from onestack.identity.settings import TOKEN_EXPIRATION_MAX_S
from onestack.identity.tokens.revocation import RevocationRecord

REVOCATIONS = cast(Table, RevocationRecord.__table__)  # forgetting them changes nobody's rights


@periodic(3600)
def forget_old_revocations(session: Session) -> None:
    """A revocation is of no use once every token that it could void has expired."""
    oldest = clock.now() - dt.timedelta(seconds=TOKEN_EXPIRATION_MAX_S)
    session.execute(delete(REVOCATIONS).where(REVOCATIONS.c.revoked_at < oldest))


@periodic(60)
def end_memberships(session: Session) -> None:
    """What identity providers gave for a time ends, also where tokens' meaning is remembered."""
    memberships.forget_ended(session)


FLOWS = (forget_old_revocations, end_memberships)
