"""The snapshot: placement's providers in this process's memory, brought up to date on demand."""

import threading
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from onestack.core import trace
from onestack.core.db import Database, RevisionRecord
from onestack.placement.forest import Forest, Provider, Stock
from onestack.placement.record import (
    PROVIDERS_TOPIC,
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

Names = Mapping[str, Collection[str]]  # of traits or aggregates, by provider


class Snapshot:
    """What the last commit left, for whoever asks now: one number read when nothing changed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # All that is read at a time must be of one moment.
        moment = {} if database.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._reading = database.engine.execution_options(write=False, **moment)
        self._lock = threading.RLock()
        self._forest = Forest()
        self._revision = self._providers_revision = NEVER

    @contextmanager
    def forest(self) -> Iterator[Forest]:
        """All providers, held still for the length of the block."""
        with self._lock:
            if self._database.revision(TOPIC) != self._revision:
                with trace.span("placement", "refresh"):
                    self._refresh()
            yield self._forest

    def _refresh(self) -> None:
        with self._reading.begin() as connection:
            revisions = dict(connection.execute(_REVISIONS).all())
            if revisions.get(PROVIDERS_TOPIC, 0) == self._providers_revision:
                self._read_use(connection)
            else:
                self._read(connection)
        self._revision = revisions.get(TOPIC, 0)
        self._providers_revision = revisions.get(PROVIDERS_TOPIC, 0)

    def _read_use(self, connection: Connection) -> None:
        """Of some providers another part is in use; all else is as it was."""
        for provider in _providers(connection, self._revision, self._forest.providers):
            self._forest.put(provider)

    def _read(self, connection: Connection) -> None:
        for provider in _providers(connection, self._revision):
            self._forest.put(provider)
        if connection.scalar(_COUNT) != len(self._forest.providers):
            # Something is gone, and nothing says what: that is rare enough to begin anew.
            self._forest = Forest(_providers(connection, NEVER))


def stock_of(connection: Connection, ids: Collection[str] | None) -> dict[tuple[str, str], Stock]:
    """The inventories of providers, of all unless they are named, with how much is in use."""
    rows = connection.execute(*_STOCK.of(ids))
    return {(provider_id, name): Stock(*amounts) for provider_id, name, *amounts in rows}


class _Select:
    """A statement for all providers, and for some: built once, for it is run at every turn."""

    def __init__(self, statement: Any, owner: Any) -> None:
        self.all = statement
        self.some = statement.where(owner.in_(bindparam("ids", expanding=True)))

    def of(self, ids: Collection[str] | None) -> tuple[Any, dict[str, Any]]:
        return (self.all, {}) if ids is None else (self.some, {"ids": list(ids)})


_REVISIONS = select(RevisionRecord.name, RevisionRecord.value).where(
    RevisionRecord.name.in_((TOPIC, PROVIDERS_TOPIC))
)
_COUNT = select(func.count()).select_from(ProviderRecord)
_CHANGED = (
    select(
        ProviderRecord.id, ProviderRecord.name, ProviderRecord.parent_id, ProviderRecord.root_id,
        ProviderRecord.generation, ProviderRecord.updated_at,
    )
    .where(ProviderRecord.changed_in > bindparam("since"))
)  # fmt: skip
_IN_USE = (
    select(func.coalesce(func.sum(AllocationRecord.used), 0))
    .where(
        AllocationRecord.provider_id == InventoryRecord.provider_id,
        AllocationRecord.resource_class == InventoryRecord.resource_class,
    )
    .scalar_subquery()
)
_STOCK = _Select(select(*InventoryRecord.__table__.columns, _IN_USE), InventoryRecord.provider_id)
_TRAITS = _Select(
    select(ProviderTraitRecord.provider_id, ProviderTraitRecord.trait),
    ProviderTraitRecord.provider_id,
)
_AGGREGATES = _Select(
    select(ProviderAggregateRecord.provider_id, ProviderAggregateRecord.aggregate_id),
    ProviderAggregateRecord.provider_id,
)


def _providers(
    connection: Connection, since: int, before: Mapping[str, Provider] | None = None
) -> list[Provider]:
    """The providers that changed after a revision, with all that belongs to them: of what they were
    `before`, only stocks can be other ones."""
    # Sorted here: in SQL the order by name would win over the index on what has changed.
    rows = sorted(connection.execute(_CHANGED, {"since": since}), key=attrgetter("name"))
    if not rows:
        return []
    ids = [row.id for row in rows] if len(rows) <= FEW else None
    stock: dict[str, dict[str, Stock]] = defaultdict(dict)
    for (provider_id, name), each in stock_of(connection, ids).items():
        stock[provider_id][name] = each
    traits: Names
    aggregates: Names
    if before is None:
        traits, aggregates = _names(connection, _TRAITS, ids), _names(connection, _AGGREGATES, ids)
    else:
        traits = {row.id: before[row.id].traits for row in rows}
        aggregates = {row.id: before[row.id].aggregates for row in rows}
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
