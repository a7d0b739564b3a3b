"""What a trust lets its trustee do: a token for it, which means what the trustor may do now."""

import datetime as dt
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.context import Context
from onestack.core.db import Database
from onestack.core.errors import Forbidden, Unauthorized
from onestack.identity.assignments import effective
from onestack.identity.auth.proof import Proof
from onestack.identity.tokens.codec import Claims
from onestack.identity.tokens.delegation import Delegation, TokenVoid
from onestack.identity.trusts.record import TrustRecord, roles_of


class NotTheTrustee(Forbidden):
    message = "You are not authorized to perform the requested action: use a trust of others."


def scope(ctx: Context, proof: Proof, trust_id: str) -> tuple[dict[str, Any], dt.datetime | None]:
    """The claims of a token for a trust, and when the trust ends; one of its uses is spent."""
    trust = ctx.session.get(TrustRecord, trust_id)
    if trust is None or _is_over(trust):
        raise Unauthorized
    if trust.trustee_user_id != proof.user_id:
        raise NotTheTrustee
    ctx.release()  # the use is spent in a transaction of its own
    if trust.remaining_uses is not None and not _spend(ctx, trust_id):
        raise Unauthorized
    return {"trust_id": trust.id, "project_id": trust.project_id}, trust.expires_at


def delegate(session: Session, claims: Claims) -> Delegation:
    """What a token for a trust stands for now."""
    trust = session.get(TrustRecord, claims.trust_id)
    if trust is None or (trust.expires_at is not None and trust.expires_at <= clock.now()):
        raise TokenVoid("trust")
    lent = {role.id for role in roles_of(session, trust.id)}
    acting = trust.trustor_user_id if trust.impersonation else trust.trustee_user_id
    view = {
        "id": trust.id,
        "impersonation": trust.impersonation,
        "trustor_user": {"id": trust.trustor_user_id},
        "trustee_user": {"id": trust.trustee_user_id},
    }
    return Delegation(
        user_id=acting,
        rights_of=trust.trustor_user_id,
        users=(trust.trustor_user_id, trust.trustee_user_id),
        role_ids=frozenset(effective.expand(lent, effective.implications(session))),
        members={"trust": view},
        caller={"trust_id": trust.id, "trustor_id": trust.trustor_user_id,
                "trustee_id": trust.trustee_user_id},
    )  # fmt: skip


def _is_over(trust: TrustRecord) -> bool:
    if trust.remaining_uses is not None and trust.remaining_uses <= 0:
        return True
    return trust.expires_at is not None and trust.expires_at <= clock.now()


def _spend(ctx: Context, trust_id: str) -> bool:
    """Take one use, if one is left when we come to it."""
    one = (
        update(TrustRecord.__table__)  # type: ignore[arg-type]  # the counter is no change of rights
        .where(TrustRecord.id == trust_id, TrustRecord.remaining_uses > 0)
        .values(remaining_uses=TrustRecord.remaining_uses - 1)
    )
    with ctx.cloud.get(Database).transaction() as session:
        return bool(session.execute(one).rowcount == 1)  # type: ignore[attr-defined]
