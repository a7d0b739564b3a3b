"""Changes: one at a time, each under a number of its own, so that readers find what is new."""

from collections.abc import Collection
from typing import cast

from sqlalchemy import Table, bindparam, text, update
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.db import bump
from onestack.placement.record import PROVIDERS_TOPIC, TOPIC, ProviderRecord

_TAKE = text(
    "INSERT INTO revisions (topic, value) VALUES (:topic, 1) "
    "ON CONFLICT (topic) DO UPDATE SET value = revisions.value + 1 RETURNING value"
)

_PROVIDERS = cast(Table, ProviderRecord.__table__)
_TOUCH = (
    update(_PROVIDERS)
    .where(_PROVIDERS.c.id.in_(bindparam("ids", expanding=True)))
    .values(
        changed_in=bindparam("number"),
        updated_at=bindparam("now"),
        generation=_PROVIDERS.c.generation + bindparam("step"),
    )
)


def begin(session: Session) -> int:
    """Wait for whoever changes placement, and give the number of this change."""
    number = begin_use(session)
    bump(session, PROVIDERS_TOPIC)
    return number


def begin_use(session: Session) -> int:
    """The same for a change of nothing but what is in use.

    The row of the revision is the lock, held until the commit: what is read from here on is
    what the last change left, so capacity is checked against rows that nobody else can touch,
    and numbers are in the order of the commits.
    """
    session.flush()
    bumped: set[str] = session.info.setdefault("bumped", set())
    bumped.add(TOPIC)
    number: int = session.connection().execute(_TAKE, {"topic": TOPIC}).scalar_one()
    return number


def mark(provider: ProviderRecord, number: int, *, advance: bool) -> None:
    """Mark one provider that is at hand as changed."""
    provider.changed_in, provider.updated_at = number, clock.now()
    if advance:
        provider.generation += 1


def touch(session: Session, number: int, providers: Collection[str], *, advance: bool) -> None:
    """Mark providers as changed; `advance` moves on their generation too."""
    if providers:
        session.connection().execute(
            _TOUCH,
            {"ids": list(providers), "number": number, "now": clock.now(), "step": int(advance)},
        )
