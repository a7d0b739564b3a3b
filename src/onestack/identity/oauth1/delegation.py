"""What a consumer's access token stands for now."""

from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.identity.assignments import effective
from onestack.identity.oauth1.record import AccessTokenRecord
from onestack.identity.tokens.codec import Claims
from onestack.identity.tokens.delegation import Delegation, TokenVoid


def delegate(session: Session, claims: Claims) -> Delegation:
    """The user who authorized it, with those of its roles that the user has still."""
    record = session.get(AccessTokenRecord, claims.access_token_id)
    if record is None or record.expires_at <= clock.now():
        raise TokenVoid("access token")
    if (record.authorizing_user_id, record.project_id) != (claims.user_id, claims.project_id):
        raise TokenVoid("access token of others")
    lent = effective.expand(record.role_ids, effective.implications(session))
    return Delegation(
        user_id=record.authorizing_user_id,
        role_ids=frozenset(lent),
        members={"oauth1": {"consumer_id": record.consumer_id, "access_token_id": record.id}},
        caller={"access_token_id": record.id},
        consumer_id=record.consumer_id,
    )
