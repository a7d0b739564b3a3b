"""Changes: one at a time, each under a number of its own, so that readers find what is new."""

from collections.abc import Iterable

from sqlalchemy import text, update
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.placement.record import TOPIC, ProviderRecord

_TAKE = text(
    "INSERT INTO revisions (topic, value) VALUES (:topic, 1) "
    "ON CONFLICT (topic) DO UPDATE SET value = revisions.value + 1 RETURNING value"
)


def begin(session: Session) -> int:
    """Wait for whoever changes placement, and give the number of this change.

    The row of the revision is the lock, held until the commit: what is read from here on is
    what the last change left, so capacity is checked against rows that nobody else can touch,
    and numbers are in the order of the commits.
    """
    session.flush()
    bumped: set[str] = session.info.setdefault("bumped", set())
    bumped.add(TOPIC)
    number: int = session.execute(_TAKE, {"topic": TOPIC}).scalar_one()
    return number


def touch(session: Session, number: int, providers: Iterable[str], *, advance: bool) -> None:
    """Mark providers as changed; `advance` moves on their generation too."""
    values = {"changed_in": number, "updated_at": clock.now()}
    if advance:
        values["generation"] = ProviderRecord.generation + 1
    session.execute(
        update(ProviderRecord)
        .where(ProviderRecord.id.in_(providers))
        .values(values)
        .execution_options(synchronize_session=False)
    )
