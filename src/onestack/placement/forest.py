"""Providers in memory: trees of them, and indexes by what they have."""

import datetime as dt
from collections.abc import Iterable, Mapping

import msgspec

from onestack.placement.standards import SHARES


class Stock(msgspec.Struct, frozen=True):
    """An inventory, and how much of it is in use."""

    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int = 2**31 - 1
    step_size: int = 1
    allocation_ratio: float = 1.0
    used: int = 0

    @property
    def capacity(self) -> int:
        return int((self.total - self.reserved) * self.allocation_ratio)

    @property
    def room(self) -> int:
        """The most that one more allocation could have."""
        return min(self.capacity - self.used, self.max_unit)

    def grants(self, amount: int) -> bool:
        """Whether an allocation of this size is possible."""
        return self.min_unit <= amount <= self.room and amount % self.step_size == 0


class Provider:
    """A provider with everything that a search asks about."""

    __slots__ = (
        "aggregates", "generation", "id", "is_particular", "name", "parent_id", "room", "root_id",
        "stock", "summary", "traits", "updated_at",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913, PLR0917 - a provider's columns, each of them plain
        self, id: str, name: str = "", parent_id: str | None = None, root_id: str = "",  # noqa: A002
        generation: int = 0, updated_at: dt.datetime = dt.datetime.min,
        stock: Mapping[str, Stock] | None = None,
        traits: Iterable[str] = (), aggregates: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self.id, self.name, self.parent_id, self.root_id = id, name, parent_id, root_id or id
        self.generation, self.updated_at = generation, updated_at
        self.traits, self.aggregates = frozenset(traits), frozenset(aggregates)
        self.stock = dict(stock or {})
        self.room = {name: each.room for name, each in self.stock.items()}
        # Nearly all inventories are given away one by one, and then their room says it all.
        self.is_particular = any(
            each.min_unit > 1 or each.step_size > 1 for each in self.stock.values()
        )
        self.summary: str | None = None  # how clients see it, once somebody has asked

    def grants(self, resource_class: str, amount: int) -> bool:
        """Whether so much of a class can be had here."""
        if self.room.get(resource_class, 0) < amount:
            return False
        return not self.is_particular or self.stock[resource_class].grants(amount)


Members = dict[str, Provider]


class Forest:
    """All providers; replacing one keeps every index true."""

    def __init__(self, providers: Iterable[Provider] = ()) -> None:
        self.providers: Members = {}
        self.trees: dict[str, Members] = {}
        self.by_class: dict[str, Members] = {}
        self.by_trait: dict[str, Members] = {}
        self.by_aggregate: dict[str, Members] = {}
        self._entangled: Members | None = None
        for provider in providers:
            self.put(provider)

    def put(self, provider: Provider) -> None:
        """Add a provider, or put it in the place of what it was."""
        before = self.providers.get(provider.id)
        if before is not None:
            self._take_out(before, provider)
        self.providers[provider.id] = provider
        self.trees.setdefault(provider.root_id, {})[provider.id] = provider
        for index, keys in self._places(provider):
            for key in keys:
                index.setdefault(key, {})[provider.id] = provider
        if before is None or self._ties(before) != self._ties(provider):
            self._entangled = None

    @property
    def sharing(self) -> Members:
        """The providers that lend what they have to others in their aggregates."""
        return self.by_trait.get(SHARES, {})

    @property
    def entangled(self) -> Members:
        """The providers that do not stand alone: they have relatives, or something is lent to
        them."""
        if self._entangled is None:
            found: Members = {}
            for tree in self.trees.values():
                if len(tree) > 1:
                    found.update(tree)
            for lender in self.sharing.values():
                for aggregate in lender.aggregates:
                    found.update(self.by_aggregate[aggregate])
            self._entangled = found
        return self._entangled

    def lenders(self, tree: Members) -> list[Provider]:
        """The sharing providers that serve a tree from outside."""
        if not self.sharing:
            return []
        reached = {each for provider in tree.values() for each in provider.aggregates}
        return [
            lender
            for lender in self.sharing.values()
            if lender.id not in tree and not reached.isdisjoint(lender.aggregates)
        ]

    def lineage(self, provider: Provider) -> list[str]:
        """A provider and its ancestors, nearest first."""
        found = [provider.id]
        while provider.parent_id is not None and provider.parent_id in self.providers:
            provider = self.providers[provider.parent_id]
            found.append(provider.id)
        return found

    def _places(self, provider: Provider) -> tuple[tuple[dict[str, Members], Iterable[str]], ...]:
        return (
            (self.by_class, provider.stock),
            (self.by_trait, provider.traits),
            (self.by_aggregate, provider.aggregates),
        )

    def _take_out(self, before: Provider, after: Provider) -> None:
        """Remove a provider from where its successor will not be."""
        if before.root_id != after.root_id:
            tree = self.trees[before.root_id]
            del tree[before.id]
            if not tree:
                del self.trees[before.root_id]
        for (index, keys), (_, kept) in zip(self._places(before), self._places(after), strict=True):
            for key in set(keys).difference(kept):
                members = index[key]
                del members[before.id]
                if not members:
                    del index[key]

    def _ties(self, provider: Provider) -> tuple[object, ...]:
        return provider.root_id, provider.aggregates, SHARES in provider.traits
