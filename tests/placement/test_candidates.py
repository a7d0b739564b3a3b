"""The search against a model of what a candidate is, which tries every combination."""

from collections.abc import Iterator
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from onestack.placement.candidates import Candidate, Group, Request, Wanted, search
from onestack.placement.forest import Forest, Provider, Stock

SHARES = "MISC_SHARES_VIA_AGGREGATE"
CLASSES = ("VCPU", "DISK_GB")
TRAITS = ("FAST", "SAFE", SHARES)
AGGREGATES = ("a", "b")
SUFFIXES = ("", "_A", "_B", "_C")


def stocks() -> st.SearchStrategy[Stock]:
    """Little of everything, so that what several groups take together matters."""
    one = st.sampled_from((1, 1, 1, 1, 2))
    return st.builds(
        Stock, total=st.integers(1, 5), reserved=st.sampled_from((0, 0, 1)), min_unit=one,
        max_unit=st.integers(2, 6), step_size=one, allocation_ratio=st.sampled_from((1.0, 1.5)),
        used=st.sampled_from((0, 0, 0, 1)),
    )  # fmt: skip


def sets(of: tuple[str, ...], most: int = 2) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(of), max_size=most)


@st.composite
def forests(draw: st.DrawFn) -> Forest:
    """Up to six providers, each a root or somebody's child."""
    made: list[Provider] = []
    for number in range(draw(st.integers(1, 6))):
        parent = draw(st.sampled_from([None, *made, *made]))
        made.append(
            Provider(
                f"p{number}", f"p{number}",
                parent.id if parent else None, parent.root_id if parent else f"p{number}",
                stock=draw(st.dictionaries(st.sampled_from(CLASSES), stocks(), max_size=3)),
                traits=draw(sets(TRAITS)), aggregates=draw(sets(AGGREGATES)),
            )
        )  # fmt: skip
    return Forest(made)


def wanted(of: tuple[str, ...]) -> st.SearchStrategy[Wanted]:
    some = st.frozensets(st.sampled_from(of), min_size=1, max_size=2)
    return st.one_of(
        *[st.just(Wanted())] * 4,
        st.builds(Wanted, st.lists(some, max_size=2).map(tuple), sets(of, 1)),
    )


def resources(least: int) -> st.SearchStrategy[dict[str, int]]:
    names = st.sampled_from(CLASSES)
    return st.dictionaries(names, st.integers(1, 2), min_size=least, max_size=2)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    suffixes = draw(st.sets(st.sampled_from(SUFFIXES), min_size=1, max_size=3))
    placed = sorted(suffixes - {""})
    subtree = draw(st.booleans()) and len(placed) > 1
    tree = st.one_of(*[st.none()] * 5, st.sampled_from(["p0", "p1", "nobody"]))
    groups = {
        suffix: Group(
            draw(resources(0 if subtree and suffix == "_B" else 1)),
            draw(wanted(TRAITS)), draw(wanted(AGGREGATES)), draw(tree),
        )
        for suffix in sorted(suffixes)
    }  # fmt: skip
    if not any(group.resources for group in groups.values()):
        groups["_A"] = Group({"VCPU": 1})
    return Request(
        groups=groups,
        is_isolated=draw(st.booleans()),
        root_traits=draw(wanted(TRAITS)),
        same_subtrees=(frozenset(placed),) if subtree else (),
        is_nested=draw(st.booleans()),
        names_groups=draw(st.booleans()),
    )


@settings(max_examples=200, deadline=None)
@given(forests(), requests())
def test_the_search_finds_what_the_model_finds(forest: Forest, request: Request) -> None:
    found = [shape(each, request) for each in search(forest, request)]
    assert len(set(found)) == len(found), "something was found twice"
    assert set(found) == {shape(each, request) for each in model(forest, request)}


@settings(max_examples=50, deadline=None)
@given(forests(), requests(), st.integers(1, 3))
def test_a_limit_cuts_and_changes_nothing_else(
    forest: Forest, request: Request, limit: int
) -> None:
    everything = list(search(forest, request))
    limited = replace(request, limit=limit)
    assert list(search(forest, limited)) == everything[:limit]


@settings(max_examples=60, deadline=None)
@given(forests(), forests(), requests())
def test_providers_that_are_replaced_leave_nothing_behind(
    before: Forest, after: Forest, request: Request
) -> None:
    for provider in after.providers.values():
        before.put(provider)
    kept = [
        each for each in before.providers.values()
        if all(id_ in before.providers for id_ in (each.root_id, each.parent_id or each.root_id))
    ]  # fmt: skip
    rebuilt = Forest(kept)
    assert len(kept) == len(before.providers)
    found = {shape(each, request) for each in search(before, request)}
    assert found == {shape(each, request) for each in search(rebuilt, request)}


def test_trees_take_turns() -> None:
    """A limit gives candidates of many trees before it gives many of one."""
    providers = []
    for root in ("x", "y"):
        providers.append(Provider(root))
        providers += [
            Provider(f"{root}{n}", "", root, root, stock={"VGPU": Stock(1)}) for n in range(3)
        ]
    request = Request({"": Group({"VGPU": 1})}, limit=2)
    taken = [next(iter(each.resources))[0] for each in search(Forest(providers), request)]
    assert sorted(taken) == ["x", "y"]


def test_a_search_ends_where_there_are_too_many_combinations() -> None:
    children = [Provider(f"c{n}", "", "r", "r", stock={"VGPU": Stock(10)}) for n in range(10)]
    groups = {f"_{n}": Group({"VGPU": 1}) for n in range(10)}
    found = list(search(Forest([Provider("r"), *children]), Request(groups)))
    assert 10_000 < len(found) < 100_000


def model(forest: Forest, request: Request) -> Iterator[Candidate]:
    """Each combination of providers for each tree, judged by the rules one after another."""
    parts = [
        (suffix, {name: amount})
        for suffix, group in request.groups.items() if not suffix
        for name, amount in group.resources.items()
    ]  # fmt: skip
    parts += [(suffix, dict(group.resources)) for suffix, group in request.groups.items() if suffix]
    for root in forest.trees:
        tree = forest.trees[root]
        reached = {each for provider in tree.values() for each in provider.aggregates}
        pool = list(tree.values()) + [
            each for each in forest.providers.values()
            if SHARES in each.traits and each.id not in tree and each.aggregates & reached
        ]  # fmt: skip
        if not accepts(request.root_traits, forest.providers[root].traits):
            continue
        for chosen in product(pool, repeat=len(parts)):
            picked = list(zip(parts, chosen, strict=True))
            if is_candidate(forest, request, picked):
                yield candidate(request, picked)


Picked = list[tuple[tuple[str, dict[str, int]], Provider]]


def is_candidate(forest: Forest, request: Request, picked: Picked) -> bool:
    total: dict[tuple[str, str], int] = {}
    for (suffix, amounts), provider in picked:
        if not may_serve(forest, request.groups[suffix], suffix, amounts, provider):
            return False
        for name, amount in amounts.items():
            total[provider.id, name] = total.get((provider.id, name), 0) + amount
    for (id_, name), amount in total.items():
        stock = forest.providers[id_].stock[name]
        if amount > stock.max_unit or stock.used + amount > stock.capacity:
            return False
    served = {
        suffix: [provider for (each, _), provider in picked if each == suffix]
        for suffix in request.groups
    }
    together = {trait for each in served.get("", []) for trait in each.traits}
    if "" in served and any(not each & together for each in request.groups[""].traits.any_of):
        return False
    placed = [provider.id for (suffix, _), provider in picked if suffix]
    if request.is_isolated and len(set(placed)) < len(placed):
        return False
    for suffixes in request.same_subtrees:
        members = [each for suffix in suffixes for each in served[suffix]]
        if not any(all(each.id in line(forest, other) for other in members) for each in members):
            return False
    givers = {id_ for id_, _ in total}
    roots = [forest.providers[id_].root_id for id_ in givers]
    return request.is_nested or len(set(roots)) == len(roots)


def may_serve(
    forest: Forest, group: Group, suffix: str, amounts: dict[str, int], provider: Provider
) -> bool:
    for name, amount in amounts.items():
        stock = provider.stock.get(name)
        if stock is None or stock.used + amount > stock.capacity:
            return False
        if not stock.min_unit <= amount <= stock.max_unit or amount % stock.step_size:
            return False
    if group.in_tree is not None:
        named = forest.providers.get(group.in_tree)
        if named is None or named.root_id != provider.root_id:
            return False
    if suffix:
        return accepts(group.traits, provider.traits) and accepts(
            group.aggregates, provider.aggregates
        )
    spanned = provider.aggregates | forest.providers[provider.root_id].aggregates
    return not group.traits.forbidden & provider.traits and accepts(group.aggregates, spanned)


def accepts(asked: Wanted, held: frozenset[str]) -> bool:
    return all(each & held for each in asked.any_of) and not asked.forbidden & held


def line(forest: Forest, provider: Provider) -> set[str]:
    """A provider and its ancestors."""
    found = {provider.id}
    while provider.parent_id is not None:
        provider = forest.providers[provider.parent_id]
        found.add(provider.id)
    return found


def candidate(request: Request, picked: Picked) -> Candidate:
    resources: dict[str, dict[str, int]] = {}
    mappings: dict[str, tuple[str, ...]] = dict.fromkeys(request.groups, ())
    for (suffix, amounts), provider in picked:
        mappings[suffix] = (*mappings[suffix], provider.id)
        for name, amount in amounts.items():
            held = resources.setdefault(provider.id, {})
            held[name] = held.get(name, 0) + amount
    return Candidate(resources, mappings)


def shape(found: Candidate, request: Request) -> object:
    """A candidate without the order of its parts."""
    resources = frozenset((id_, frozenset(held.items())) for id_, held in found.resources.items())
    mappings = frozenset((suffix, frozenset(ids)) for suffix, ids in found.mappings.items())
    return (resources, mappings) if request.names_groups else resources
