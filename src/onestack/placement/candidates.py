"""Candidates: which providers can serve a request together. Pure: it knows no database."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain, islice
from operator import length_hint
from typing import NamedTuple

import msgspec

from onestack.placement.forest import Forest, Members, Provider

NOTHING: frozenset[str] = frozenset()
STEPS_MAX = 50_000  # of one search; wide trees have more combinations than anyone can wait for


class Wanted(msgspec.Struct, frozen=True, dict=True):
    """What is asked of traits or aggregates: one out of each set, and none of the forbidden."""

    any_of: tuple[frozenset[str], ...] = ()
    forbidden: frozenset[str] = NOTHING

    @cached_property
    def required(self) -> frozenset[str]:
        """The ones that there is no alternative to."""
        return frozenset(next(iter(each)) for each in self.any_of if len(each) == 1)

    @cached_property
    def choices(self) -> tuple[frozenset[str], ...]:
        return tuple(each for each in self.any_of if len(each) > 1)

    def accepts(self, held: frozenset[str]) -> bool:
        """Whether these satisfy it."""
        return (
            self.required <= held
            and self.forbidden.isdisjoint(held)
            and all(not each.isdisjoint(held) for each in self.choices)
        )


ANYTHING = Wanted()


class Group(msgspec.Struct, frozen=True):
    """A part of a request. With a suffix, one provider serves all of it."""

    resources: Mapping[str, int] = {}
    traits: Wanted = ANYTHING
    aggregates: Wanted = ANYTHING
    in_tree: str | None = None


class Request(msgspec.Struct, frozen=True):
    """What is to be found."""

    groups: Mapping[str, Group]
    is_isolated: bool = False  # groups with suffixes are served by different providers
    root_traits: Wanted = ANYTHING
    same_subtrees: tuple[frozenset[str], ...] = ()
    limit: int | None = None
    skip: int = 0  # begin behind so many providers, with those at the end: others get their turn
    is_nested: bool = True  # several providers of one tree may take part
    names_groups: bool = True  # candidates differ by which provider serves which group


class Candidate(NamedTuple):
    """One way to serve a request: what to take where, and who serves which group."""

    resources: Mapping[str, Mapping[str, int]]  # by provider
    mappings: Mapping[str, tuple[str, ...]]  # providers by suffix


def search(forest: Forest, request: Request) -> Iterator[Candidate]:
    """The candidates, those of different trees in turns."""
    return islice(chain(alone(forest, request), together(forest, request)), request.limit)


def alone(forest: Forest, request: Request) -> Iterator[Candidate]:
    """Candidates of providers without relatives or lenders: each serves everything by itself."""
    total, suffixes = total_of(request), tuple(request.groups)
    for provider in loners(forest, request):
        served = (provider.id,)
        yield Candidate({provider.id: total}, dict.fromkeys(suffixes, served))


def loners(forest: Forest, request: Request) -> Iterator[Provider]:
    """The providers that serve the whole request by themselves, and have nobody to help."""
    suffixed = [suffix for suffix in request.groups if suffix]
    if request.is_isolated and len(suffixed) > 1:
        return
    total = total_of(request)
    groups = list(request.groups.values())
    start = _fewest(forest, request)
    first = request.skip % len(start) if start else 0
    is_picky = any(not group.resources or _is_picky(group) for group in groups)
    is_split = len(groups) > 1
    is_plain = not is_picky and not is_split and request.root_traits == ANYTHING
    entangled = forest.entangled
    wanted = tuple(total.items())
    in_turn = chain(islice(start.values(), first, None), islice(start.values(), first))
    for provider in in_turn if first else start.values():
        if provider.id in entangled:
            continue
        room = provider.room
        for resource_class, amount in wanted:
            if room.get(resource_class, 0) < amount:
                break
        else:
            if (is_plain and not provider.is_particular) or (
                request.root_traits.accepts(provider.traits)
                and all(_serves(forest, provider, group) for group in groups)
            ):
                yield provider


def together(forest: Forest, request: Request) -> Iterator[Candidate]:
    """Candidates of trees and of those who lend to them; a tree's turn comes round and round."""
    entangled = forest.entangled
    if not entangled:
        return
    budget = _Budget()
    seen: set[object] = set()
    trees = (
        _Tree(forest, forest.trees[root], request, budget).candidates()
        for root in _roots(forest, request)
    )
    sharing = forest.sharing
    for candidate in _in_turns(trees):
        # Only what is lent can be found from several trees.
        is_unique = request.names_groups and not sharing.keys() >= candidate.resources.keys()
        if not is_unique:
            key = _key(candidate, request)
            if key in seen:
                continue
            seen.add(key)
        yield candidate


def total_of(request: Request) -> dict[str, int]:
    """How much of each class is wanted in all."""
    found: dict[str, int] = {}
    for group in request.groups.values():
        for resource_class, amount in group.resources.items():
            found[resource_class] = found.get(resource_class, 0) + amount
    return found


class _Budget:
    """How many steps a search may still take."""

    def __init__(self) -> None:
        self.left = STEPS_MAX

    def spend(self) -> bool:
        self.left -= 1
        return self.left >= 0


class _Slot(NamedTuple):
    """A place that one provider fills: a suffixed group, or one class of the other group."""

    suffix: str
    resources: Mapping[str, int]
    providers: list[Provider]


class _Tree:
    """The search in one tree, with the providers that lend to it."""

    def __init__(self, forest: Forest, tree: Members, request: Request, budget: _Budget) -> None:
        self.forest, self.tree, self.request, self.budget = forest, tree, request, budget

    def candidates(self) -> Iterator[Candidate]:
        """Every way to fill the slots."""
        slots = self._slots()
        if slots is None:
            return iter(())
        found = self._fill(slots, [], {})
        # Most trees have one way at most, and a list that is used up is let go at once.
        is_simple = all(len(slot.providers) == 1 for slot in slots)
        return iter(list(found)) if is_simple else found

    def _slots(self) -> list[_Slot] | None:
        """What is to be filled, with who could; None when somebody is missing."""
        pool = [*self.tree.values(), *self.forest.lenders(self.tree)]
        found: list[_Slot] = []
        for suffix, group in self.request.groups.items():
            eligible = pool
            if _is_picky(group):
                eligible = [p for p in pool if _may_take_part(self.forest, p, suffix, group)]
            parts = [group.resources] if suffix else [{c: n} for c, n in group.resources.items()]
            for part in parts:
                able = eligible
                for resource_class, amount in part.items():
                    able = [each for each in able if each.grants(resource_class, amount)]
                if not able:
                    return None
                found.append(_Slot(suffix, part, able))
        # What has the fewest choices is decided first, so that dead ends show early.
        return sorted(found, key=lambda slot: len(slot.providers))

    def _fill(
        self, slots: list[_Slot], chosen: list[Provider], taken: dict[tuple[str, str], int]
    ) -> Iterator[Candidate]:
        """Every way to go on from what is chosen; `taken` is undone on the way back."""
        slot = slots[len(chosen)]
        is_last = len(chosen) + 1 == len(slots)
        for provider in slot.providers:
            if not self.budget.spend():
                return
            if self.request.is_isolated and slot.suffix and _stands_in(slots, chosen, provider):
                continue
            before = dict(taken)
            if not _take(taken, provider, slot.resources):
                taken.clear()
                taken.update(before)
                continue
            chosen.append(provider)
            if is_last:
                candidate = self._complete(slots, chosen)
                if candidate is not None:
                    yield candidate
            else:
                yield from self._fill(slots, chosen, taken)
            chosen.pop()
            taken.clear()
            taken.update(before)

    def _complete(self, slots: list[_Slot], chosen: list[Provider]) -> Candidate | None:
        """The candidate, when what concerns several providers holds too."""
        request = self.request
        served: dict[str, list[Provider]] = {suffix: [] for suffix in request.groups}
        resources: dict[str, dict[str, int]] = {}
        for slot, provider in zip(slots, chosen, strict=True):
            own = served[slot.suffix]
            if provider not in own:
                own.append(provider)
            for resource_class, amount in slot.resources.items():
                held = resources.setdefault(provider.id, {})
                held[resource_class] = held.get(resource_class, 0) + amount
        unsuffixed = request.groups.get("")
        if unsuffixed is not None and not _have_together(served[""], unsuffixed.traits):
            return None
        for suffixes in request.same_subtrees:
            if not self._is_subtree([each for s in suffixes for each in served[s]]):
                return None
        if not request.is_nested and self._has_relatives(resources):
            return None
        mappings = {suffix: tuple([each.id for each in own]) for suffix, own in served.items()}
        return Candidate(resources, mappings)

    def _is_subtree(self, providers: list[Provider]) -> bool:
        """Whether one of these is the others' ancestor."""
        shared: set[str] = set.intersection(*(set(self.forest.lineage(each)) for each in providers))
        return any(each.id in shared for each in providers)

    def _has_relatives(self, resources: Mapping[str, object]) -> bool:
        roots = [self.forest.providers[each].root_id for each in resources]
        return len(set(roots)) < len(roots)


def _roots(forest: Forest, request: Request) -> Iterator[str]:
    """The trees in which a search is worth it."""
    holders = sorted((forest.by_class.get(name, {}) for name in total_of(request)), key=len)
    reached = [_reach(forest, each) for each in holders]
    entangled, traits = forest.entangled, request.root_traits
    for root in reached[0]:
        is_reached = root in entangled and all(root in each for each in reached[1:])
        if is_reached and traits.accepts(forest.providers[root].traits):
            yield root


def _reach(forest: Forest, holders: Members) -> dict[str, None]:
    """The trees that providers can serve: their own, and those to which they lend."""
    found = dict.fromkeys([each.root_id for each in holders.values()])
    for lender in forest.sharing.values():
        if lender.id in holders:
            for aggregate in lender.aggregates:
                found.update(
                    dict.fromkeys([p.root_id for p in forest.by_aggregate[aggregate].values()])
                )
    return found


def _fewest(forest: Forest, request: Request) -> Members:
    """The shortest list in which every provider stands that serves the whole request."""
    lists = [forest.by_class.get(each, {}) for each in total_of(request)]
    for group in request.groups.values():
        lists += [forest.by_trait.get(each, {}) for each in group.traits.required]
        lists += [forest.by_aggregate.get(each, {}) for each in group.aggregates.required]
    return min(lists, key=len)


def _is_picky(group: Group) -> bool:
    return group.traits != ANYTHING or group.aggregates != ANYTHING or group.in_tree is not None


def _serves(forest: Forest, provider: Provider, group: Group) -> bool:
    """Whether a provider that stands alone serves a group."""
    return (
        all(provider.grants(name, amount) for name, amount in group.resources.items())
        and group.traits.accepts(provider.traits)
        and group.aggregates.accepts(provider.aggregates)
        and _is_in_tree(forest, provider, group)
    )


def _may_take_part(forest: Forest, provider: Provider, suffix: str, group: Group) -> bool:
    if not _is_in_tree(forest, provider, group):
        return False
    if suffix:
        return group.traits.accepts(provider.traits) and group.aggregates.accepts(
            provider.aggregates
        )
    # Without a suffix, the required traits are had together, and a root's aggregates span its tree.
    root = forest.providers[provider.root_id]
    return group.traits.forbidden.isdisjoint(provider.traits) and group.aggregates.accepts(
        provider.aggregates | root.aggregates
    )


def _is_in_tree(forest: Forest, provider: Provider, group: Group) -> bool:
    if group.in_tree is None:
        return True
    named = forest.providers.get(group.in_tree)
    return named is not None and named.root_id == provider.root_id


def _have_together(providers: list[Provider], traits: Wanted) -> bool:
    if not traits.any_of:
        return True
    held = frozenset().union(*(each.traits for each in providers))
    return all(not each.isdisjoint(held) for each in traits.any_of)


def _stands_in(slots: list[_Slot], chosen: list[Provider], provider: Provider) -> bool:
    """Whether a provider serves one of the suffixed groups already."""
    return any(slot.suffix and each is provider for slot, each in zip(slots, chosen, strict=False))


def _take(
    taken: dict[tuple[str, str], int], provider: Provider, resources: Mapping[str, int]
) -> bool:
    """Take resources; False when the provider has not so much left."""
    for resource_class, amount in resources.items():
        key = (provider.id, resource_class)
        taken[key] = total = taken.get(key, 0) + amount
        if total > provider.room[resource_class]:
            return False
    return True


def _key(candidate: Candidate, request: Request) -> object:
    """By what candidates differ."""
    resources = frozenset(
        (provider, frozenset(each.items())) for provider, each in candidate.resources.items()
    )
    if not request.names_groups:
        return resources
    return resources, frozenset((s, frozenset(each)) for s, each in candidate.mappings.items())


def _in_turns(generators: Iterable[Iterator[Candidate]]) -> Iterator[Candidate]:
    """One of each, then one more of each, until none is left."""
    waiting: deque[Iterator[Candidate]] = deque()
    for each in generators:
        first = next(each, None)
        if first is not None:
            yield first
            if length_hint(each, 1):
                waiting.append(each)
    while waiting:
        turn = waiting.popleft()
        found = next(turn, None)
        if found is not None:
            yield found
            waiting.append(turn)
