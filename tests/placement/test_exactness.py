"""Allocations under concurrency: never more than there is, and every snapshot true."""

import random
from concurrent.futures import ThreadPoolExecutor

from onestack import placement
from onestack.core.db import Database, counted
from onestack.core.errors import Conflict
from onestack.placement.candidates import Group, Request
from onestack.placement.forest import Forest, Provider
from tests.placement.cloud import Placement, claim, new_id

THREADS = 8


def test_threads_never_take_more_than_there_is(own: Placement) -> None:
    database = own.local.cloud.get(Database)
    stock = {
        own.provider(VCPU={"total": 10, "reserved": 1, "allocation_ratio": 1.5}): 13
        for _ in range(3)
    }
    consumers = [new_id() for _ in range(20)]

    def worker(seed: int) -> tuple[int, int]:
        chance = random.Random(seed)
        taken = refused = 0
        for _ in range(40):
            consumer, provider = chance.choice(consumers), chance.choice(list(stock))
            amounts = {provider: {"VCPU": chance.randint(1, 5)}}
            try:
                with database.transaction() as session:
                    if chance.random() < 0.2:
                        placement.release(session, consumer)
                        continue
                    placement.replace(
                        session, [placement.Claim(consumer_id=consumer, amounts=amounts)]
                    )
                taken += 1
            except Conflict:
                refused += 1
        return taken, refused

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(worker, range(THREADS)))
    assert all(taken for taken, _ in results)
    assert sum(refused for _, refused in results) > 0
    held = dict.fromkeys(stock, 0)
    for consumer in consumers:
        for provider, each in own.get(f"/allocations/{consumer}")["allocations"].items():
            held[provider] += each["resources"]["VCPU"]
    for provider, capacity in stock.items():
        used = own.get(f"/resource_providers/{provider}/usages")["usages"]["VCPU"]
        assert used == held[provider] <= capacity
    # Nothing is half there: a consumer without allocations is no consumer.
    assert own.get("/usages?project_id=00000000-0000-0000-0000-000000000000")["usages"].get(
        "unknown", {"VCPU": 0}
    )["VCPU"] == sum(held.values())


def test_one_of_two_who_want_the_last_gets_it(own: Placement) -> None:
    database = own.local.cloud.get(Database)
    provider = own.provider(VGPU=1)

    def take(consumer: str) -> bool:
        wanted = placement.Claim(consumer_id=consumer, amounts={provider: {"VGPU": 1}})
        try:
            with database.transaction() as session:
                placement.replace(session, [wanted])
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(take, [new_id() for _ in range(40)])) == 1


def test_one_of_many_who_are_first_is_it(own: Placement) -> None:
    """A consumer generation of null lets one of several concurrent writers through."""
    database = own.local.cloud.get(Database)
    provider, consumer = own.provider(VCPU=100), new_id()

    def first(_: int) -> bool:
        wanted = placement.Claim(
            consumer_id=consumer, amounts={provider: {"VCPU": 1}}, generation=None
        )
        try:
            with database.transaction() as session:
                placement.replace(session, [wanted])
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(first, range(20))) == 1


def test_a_refused_claim_leaves_no_trace(own: Placement) -> None:
    provider, consumer = own.provider(VCPU=4), new_id()
    own.allocate(consumer, {provider: {"VCPU": 3}})
    before = own.get(f"/resource_providers/{provider}/allocations")
    both = {
        consumer: claim({provider: {"VCPU": 1}}, consumer_generation=1),
        new_id(): claim({provider: {"VCPU": 4}}),
    }
    own.refused("POST", "/allocations", 409, "exceed the capacity", body=both)
    assert own.get(f"/resource_providers/{provider}/allocations") == before


def test_the_snapshot_is_what_is_in_the_database(own: Placement) -> None:
    """After any change, the snapshot that was brought up to date is like one built anew."""
    chance = random.Random(7)
    kept = own.local.cloud.get(placement.Snapshot)
    database = own.local.cloud.get(Database)
    providers: list[str] = []
    for _ in range(120):
        _change(own, chance, providers)
        with kept.forest() as updated, placement.Snapshot(database).forest() as built:
            assert _contents(updated) == _contents(built)
            for wanted in ({"VCPU": 1}, {"VCPU": 1, "DISK_GB": 1}):
                request = Request({"": Group(wanted)})
                found, expected = (
                    {str(sorted(each.resources.items())) for each in placement.search(f, request)}
                    for f in (updated, built)
                )
                assert found == expected


def test_after_a_claim_only_what_is_in_use_is_read(own: Placement) -> None:
    kept = own.local.cloud.get(placement.Snapshot)
    provider = own.provider(VCPU=4, traits=("HW_NUMA_ROOT",), aggregates=(GROUPS[0],))
    with kept.forest() as forest:
        assert forest.providers[provider].room == {"VCPU": 4}
    own.allocate(new_id(), {provider: {"VCPU": 3}})
    with counted() as statements, kept.forest() as forest:
        found = forest.providers[provider]
    assert (found.room, found.traits, found.aggregates) == (
        {"VCPU": 1}, {"HW_NUMA_ROOT"}, {GROUPS[0]},
    )  # fmt: skip
    assert len(statements) <= 4, statements


def _change(own: Placement, chance: random.Random, providers: list[str]) -> None:
    """One change of any kind; what the state of things forbids is refused, and fine."""
    kind = chance.choice(("make", "stock", "traits", "groups", "allocate", "move", "delete"))
    if kind == "make" or not providers:
        parent = chance.choice([None, *providers])
        providers.append(own.provider(parent=parent, VCPU=chance.randint(1, 4)))
        return
    uuid = chance.choice(providers)
    path = f"/resource_providers/{uuid}"
    generation = {"resource_provider_generation": own.get(path)["generation"]}
    if kind == "stock":
        stock = {name: {"total": chance.randint(1, 9)} for name in ("VCPU", "DISK_GB")}
        own.ask("PUT", f"{path}/inventories", {**generation, "inventories": stock})
    elif kind == "traits":
        names = chance.sample(["MISC_SHARES_VIA_AGGREGATE", "HW_NUMA_ROOT"], chance.randint(0, 2))
        own.ask("PUT", f"{path}/traits", {**generation, "traits": names})
    elif kind == "groups":
        groups = chance.sample(GROUPS, chance.randint(0, 2))
        own.ask("PUT", f"{path}/aggregates", {**generation, "aggregates": groups})
    elif kind == "allocate":
        own.ask("PUT", f"/allocations/{new_id()}", claim({uuid: {"VCPU": 1}}))
    elif kind == "move":
        parent = chance.choice([None, *providers])
        own.ask("PUT", path, {"name": new_id(), "parent_provider_uuid": parent})
    elif own.ask("DELETE", path).status == 204:
        providers.remove(uuid)


GROUPS = [new_id(), new_id()]


def _contents(forest: Forest) -> dict[str, tuple[object, ...]]:
    assert {id_ for tree in forest.trees.values() for id_ in tree} == set(forest.providers)
    return {id_: _everything(each) for id_, each in forest.providers.items()}


def _everything(provider: Provider) -> tuple[object, ...]:
    return (
        provider.name, provider.parent_id, provider.root_id, provider.generation, provider.stock,
        provider.room, provider.traits, provider.aggregates,
    )  # fmt: skip
