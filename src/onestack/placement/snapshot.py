"""The snapshot: placement's providers in this process's memory, brought up to date on demand."""

import threading
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from onestack.core import trace
from onestack.core.db import Database, RevisionRecord
from onestack.placement.forest import Forest, Provider, Stock
from onestack.placement.record import (
    TOPIC,
    AllocationRecord,
    InventoryRecord,
    ProviderAggregateRecord,
    ProviderRecord,
    ProviderTraitRecord,
)

# Reading all rows at once is cheaper than asking for that many by their keys.
FEW = 500


class Snapshot:
    """What the last commit left, for whoever asks now: one number read when nothing changed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.RLock()
        self._forest = Forest()
        self._revision = -1

    @contextmanager
    def forest(self) -> Iterator[Forest]:
        """All providers, held still for the length of the block."""
        with self._lock:
            if self._database.revision(TOPIC) != self._revision:
                with trace.span("placement", "refresh"):
                    self._refresh()
            yield self._forest

    def _refresh(self) -> None:
        with self._database.session(write=False) as session, session.begin():
            if not self._database.is_sqlite:
                # All that is read here must be of one moment.
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            revision = session.scalar(
                select(RevisionRecord.value).where(RevisionRecord.name == TOPIC)
            )
            changed = _providers(session, self._revision)
            for provider in changed:
                self._forest.put(provider)
            count = session.scalar(select(func.count()).select_from(ProviderRecord))
            if count != len(self._forest.providers):
                # Something is gone, and nothing says what: that is rare enough to begin anew.
                self._forest = Forest(_providers(session, -1))
        self._revision = revision or 0


def _providers(session: Session, since: int) -> list[Provider]:
    """The providers that changed after a revision, with all that belongs to them."""
    rows = session.execute(
        select(
            ProviderRecord.id, ProviderRecord.name, ProviderRecord.parent_id,
            ProviderRecord.root_id, ProviderRecord.generation, ProviderRecord.updated_at,
        )
        .where(ProviderRecord.changed_in > since)
        .order_by(ProviderRecord.name)
    ).all()  # fmt: skip
    if not rows:
        return []
    ids = [row.id for row in rows] if len(rows) <= FEW else None
    stock: dict[str, dict[str, Stock]] = defaultdict(dict)
    for (provider_id, name), each in stock_of(session, ids).items():
        stock[provider_id][name] = each
    traits = _names(session, ProviderTraitRecord.provider_id, ProviderTraitRecord.trait, ids)
    aggregates = _names(
        session, ProviderAggregateRecord.provider_id, ProviderAggregateRecord.aggregate_id, ids
    )
    return [
        Provider(*row, stock.get(row.id), traits.get(row.id, ()), aggregates.get(row.id, ()))
        for row in rows
    ]


def stock_of(session: Session, ids: Collection[str] | None) -> dict[tuple[str, str], Stock]:
    """The inventories of providers, of all unless they are named, with how much is in use."""
    columns = AllocationRecord.provider_id, AllocationRecord.resource_class
    sums: Any = select(*columns, func.sum(AllocationRecord.used)).group_by(*columns)
    used = {
        (provider_id, name): int(each)
        for provider_id, name, each in session.execute(_of(sums, columns[0], ids))
    }
    inventories: Any = select(*InventoryRecord.__table__.columns)
    found: dict[tuple[str, str], Stock] = {}
    for provider_id, name, *amounts in session.execute(
        _of(inventories, InventoryRecord.provider_id, ids)
    ):
        total, reserved, min_unit, max_unit, step_size, ratio = amounts
        key = (provider_id, name)
        in_use = used.get(key, 0)
        found[key] = Stock(total, reserved, min_unit, max_unit, step_size, ratio, in_use)
    return found


def _names(
    session: Session, owner: Any, name: Any, ids: Collection[str] | None
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for provider_id, each in session.execute(_of(select(owner, name), owner, ids)):
        found[provider_id].append(each)
    return found


def _of(statement: Any, owner: Any, ids: Collection[str] | None) -> Any:
    return statement if ids is None else statement.where(owner.in_(ids))
