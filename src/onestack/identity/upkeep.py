"""Upkeep: what identity does by itself now and then."""

from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from onestack.core.flow import Flow, periodic
from onestack.identity.federation.memberships import forget_ended
from onestack.identity.key_rotation import rotate_old_token_keys
from onestack.identity.revocation_events import purge
from onestack.identity.settings import TOKEN_EXPIRATION_MAX_S, IdentitySettings


@periodic(3600)
def forget_old_revocations(session: Session) -> None:
    """A revocation is of no use once every token that it could void has expired."""
    purge(session, TOKEN_EXPIRATION_MAX_S)


@periodic(60)
def end_memberships(session: Session) -> None:
    """A membership for a time ends with it, also in what is remembered of tokens."""
    forget_ended(session)


def flows(settings: IdentitySettings, keys: Path) -> tuple[type[Flow[Any]], ...]:
    """The flows of a cloud whose keys lie in this folder."""

    @periodic(3600)
    def rotate_token_keys(_: Session) -> None:
        """No key encrypts tokens for ever."""
        rotate_old_token_keys(settings, keys)

    return forget_old_revocations, end_memberships, rotate_token_keys
