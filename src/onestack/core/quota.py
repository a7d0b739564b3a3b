"""Quota: what there is, counted in the transaction that adds to it; no counter can drift."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, select, text
from sqlalchemy.orm import Session

from onestack.core.errors import ApiError, Forbidden

UNLIMITED = -1


class QuotaExceeded(Forbidden):
    message = "Quota exceeded for {resource}: {wanted} requested, {used} of {limit} already used."


def check(
    session: Session,
    scope: str,
    limits: Mapping[str, int],
    usage: Mapping[str, Select[tuple[Any]]],
    wanted: Mapping[str, int],
    refusal: type[ApiError] = QuotaExceeded,
) -> None:
    """Let the session add what is `wanted`, or raise `refusal`.

    Until the session's transaction ends, whoever else checks the same scope waits: what is added
    after this check and before the commit is counted by the next one.
    """
    bounded = {
        name: amount for name, amount in wanted.items() if amount > 0 and limits[name] != UNLIMITED
    }
    if not bounded:
        return
    _queue_up(session, scope)
    counts = [usage[name].scalar_subquery() for name in bounded]
    for (name, amount), used in zip(
        bounded.items(), session.execute(select(*counts)).one(), strict=True
    ):
        if (used or 0) + amount > limits[name]:
            raise refusal(resource=name, used=used or 0, limit=limits[name], wanted=amount)


def _queue_up(session: Session, scope: str) -> None:
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        key = {"scope": f"quota:{scope}"}
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:scope, 0))"), key)
    elif not connection.get_execution_options().get("write", True):
        raise RuntimeError("quota is checked by the session that adds what is counted")
