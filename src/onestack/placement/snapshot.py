"""The snapshot: placement's providers in this process's memory, brought up to date on demand."""

import threading
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

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
NEVER = -1


class Snapshot:
    """What the last commit left, for whoever asks now: one number read when nothing changed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.RLock()
        self._forest = Forest()
        self._revision = NEVER

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
            # All that is read here must be of one moment.
            options = {} if self._database.is_sqlite else {"isolation_level": "REPEATABLE READ"}
            connection = session.connection(execution_options=options)
            revision = connection.scalar(_REVISION) or 0
            for provider in _providers(connection, self._revision):
                self._forest.put(provider)
            if connection.scalar(_COUNT) != len(self._forest.providers):
                # Something is gone, and nothing says what: that is rare enough to begin anew.
                self._forest = Forest(_providers(connection, NEVER))
        self._revision = revision


def stock_of(connection: Connection, ids: Collection[str] | None) -> dict[tuple[str, str], Stock]:
    """The inventories of providers, of all unless they are named, with how much is in use."""
    used = {
        (provider_id, name): int(each)
        for provider_id, name, each in connection.execute(*_USED.of(ids))
    }
    found: dict[tuple[str, str], Stock] = {}
    for provider_id, name, *amounts in connection.execute(*_STOCK.of(ids)):
        total, reserved, min_unit, max_unit, step_size, ratio = amounts
        key = (provider_id, name)
        in_use = used.get(key, 0)
        found[key] = Stock(total, reserved, min_unit, max_unit, step_size, ratio, in_use)
    return found


class _Select:
    """A statement for all providers, and for some: built once, for it is run at every turn."""

    def __init__(self, statement: Any, owner: Any) -> None:
        self.all = statement
        self.some = statement.where(owner.in_(bindparam("ids", expanding=True)))

    def of(self, ids: Collection[str] | None) -> tuple[Any, dict[str, Any]]:
        return (self.all, {}) if ids is None else (self.some, {"ids": list(ids)})


_REVISION = select(RevisionRecord.value).where(RevisionRecord.name == TOPIC)
_COUNT = select(func.count()).select_from(ProviderRecord)
_CHANGED = (
    select(
        ProviderRecord.id, ProviderRecord.name, ProviderRecord.parent_id, ProviderRecord.root_id,
        ProviderRecord.generation, ProviderRecord.updated_at,
    )
    .where(ProviderRecord.changed_in > bindparam("since"))
)  # fmt: skip
_STOCK = _Select(select(*InventoryRecord.__table__.columns), InventoryRecord.provider_id)
_USED = _Select(
    select(
        AllocationRecord.provider_id, AllocationRecord.resource_class,
        func.sum(AllocationRecord.used),
    ).group_by(AllocationRecord.provider_id, AllocationRecord.resource_class),
    AllocationRecord.provider_id,
)  # fmt: skip
_TRAITS = _Select(
    select(ProviderTraitRecord.provider_id, ProviderTraitRecord.trait),
    ProviderTraitRecord.provider_id,
)
_AGGREGATES = _Select(
    select(ProviderAggregateRecord.provider_id, ProviderAggregateRecord.aggregate_id),
    ProviderAggregateRecord.provider_id,
)


def _providers(connection: Connection, since: int) -> list[Provider]:
    """The providers that changed after a revision, with all that belongs to them."""
    # Sorted here: in SQL the order by name would win over the index on what has changed.
    rows = sorted(connection.execute(_CHANGED, {"since": since}), key=attrgetter("name"))
    if not rows:
        return []
    ids = [row.id for row in rows] if len(rows) <= FEW else None
    stock: dict[str, dict[str, Stock]] = defaultdict(dict)
    for (provider_id, name), each in stock_of(connection, ids).items():
        stock[provider_id][name] = each
    traits = _names(connection, _TRAITS, ids)
    aggregates = _names(connection, _AGGREGATES, ids)
    return [
        Provider(*row, stock.get(row.id), traits.get(row.id, ()), aggregates.get(row.id, ()))
        for row in rows
    ]


def _names(
    connection: Connection, wanted: _Select, ids: Collection[str] | None
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for provider_id, each in connection.execute(*wanted.of(ids)):
        found[provider_id].append(each)
    return found
