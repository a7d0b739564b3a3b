"""Quota: what there is, counted in the transaction that adds to it; no counter can drift."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Select, select, text
from sqlalchemy.orm import Session

from onestack.core.errors import ApiError, Forbidden

UNLIMITED = -1
STATEMENTS_KEPT = 100


class Usage(msgspec.Struct, frozen=True):
    """How to count what there is: a statement for each name, and the values of their parameters.

    Statements that are made once, with parameters, are not put together anew for each request.
    """

    statements: Mapping[str, Select[tuple[Any]]]
    values: Mapping[str, Any] = {}

    def counted(self, session: Session, names: Iterable[str] | None = None) -> dict[str, int]:
        """How much there is of each, or of some, by one statement."""
        wanted = tuple(self.statements if names is None else names)
        together = _together(tuple(self.statements[name] for name in wanted))
        row = session.execute(together, self.values).one()
        return {name: int(used or 0) for name, used in zip(wanted, row, strict=True)}


class QuotaExceeded(Forbidden):
    message = "Quota exceeded for {resource}: {wanted} requested, {used} of {limit} already used."


def check(
    session: Session,
    scope: str,
    limits: Mapping[str, int],
    usage: Usage,
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
    for name, used in usage.counted(session, bounded).items():
        if used + bounded[name] > limits[name]:
            raise refusal(resource=name, used=used, limit=limits[name], wanted=bounded[name])


@lru_cache(STATEMENTS_KEPT)
def _together(statements: tuple[Select[tuple[Any]], ...]) -> Select[Any]:
    return select(*(each.scalar_subquery() for each in statements))


def _queue_up(session: Session, scope: str) -> None:
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        key = {"scope": f"quota:{scope}"}
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:scope, 0))"), key)
    elif not connection.get_execution_options().get("write", True):
        raise RuntimeError("quota is checked by the session that adds what is counted")
