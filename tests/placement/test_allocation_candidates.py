"""Allocation candidates over HTTP: conversations as schedulers have them."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.cloud import Local
from tests.conftest import CHEAP, Clouds, Databases
from tests.placement.cloud import Placement, claim, new_id

SHARES = "MISC_SHARES_VIA_AGGREGATE"


@dataclass
class World:
    """Two hosts, one of them with NUMA nodes and cards; shared disks; a group of each."""

    placement: Placement
    flat: str
    nested: str
    nodes: tuple[str, str]
    cards: tuple[str, str]
    shared: str
    disk_group: str
    node_group: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[World]:
    with databases.fresh() as url:
        environ = {**CHEAP, "ONESTACK_CLOUD_DATABASE": url}
        cloud = Local(tmp_path_factory.mktemp("candidates"), environ)
        yield _world(Placement(cloud, cloud.token("admin")))
        cloud.close()


def _world(placement: Placement) -> World:
    disks, node = new_id(), new_id()
    flat = placement.provider(
        "flat", VCPU=8, MEMORY_MB=4096, DISK_GB=500, aggregates=(disks,), traits=("CUSTOM_FOO",)
    )
    nested = placement.provider("nested", aggregates=(disks,), traits=("CUSTOM_ROOT",))
    nodes = (
        placement.provider("node0", nested, ("HW_NUMA_ROOT",), VCPU=4, MEMORY_MB=2048),
        placement.provider(
            "node1", nested, ("HW_NUMA_ROOT", "CUSTOM_FOO"), (node,), VCPU=4, MEMORY_MB=2048
        ),
    )
    cards = (
        placement.provider("card0", nodes[0], SRIOV_NET_VF=4),
        placement.provider("card1", nodes[1], ("CUSTOM_FAST",), SRIOV_NET_VF=4),
    )
    shared = placement.provider("shared", None, (SHARES,), (disks,), DISK_GB=2000)
    return World(placement, flat, nested, nodes, cards, shared, disks, node)


def one(*parts: tuple[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(parts)


def test_disks_are_shared_with_whole_trees(world: World) -> None:
    flat, (node0, node1), shared = world.flat, world.nodes, world.shared
    assert world.placement.served("resources=VCPU:1,DISK_GB:10") == {
        one((flat, "VCPU"), (flat, "DISK_GB")),
        one((flat, "VCPU"), (shared, "DISK_GB")),
        one((node0, "VCPU"), (shared, "DISK_GB")),
        one((node1, "VCPU"), (shared, "DISK_GB")),
    }
    alone = world.placement.served("resources=DISK_GB:1000")
    assert alone == {one((shared, "DISK_GB"))}


def test_traits_are_had_together_but_forbidden_of_each(world: World) -> None:
    flat, (_, node1), shared = world.flat, world.nodes, world.shared
    found = world.placement.served("resources=VCPU:1,DISK_GB:10&required=CUSTOM_FOO")
    assert found == {
        one((flat, "VCPU"), (flat, "DISK_GB")),
        one((flat, "VCPU"), (shared, "DISK_GB")),
        one((node1, "VCPU"), (shared, "DISK_GB")),
    }
    assert world.placement.served("resources=VCPU:1&required=!CUSTOM_FOO") == {
        one((world.nodes[0], "VCPU"))
    }
    either = "required=in:CUSTOM_FOO,HW_NUMA_ROOT&required=!CUSTOM_FAST"
    assert len(world.placement.served(f"resources=VCPU:1&{either}")) == 3


def test_a_roots_aggregates_span_its_tree_for_the_group_without_suffix(world: World) -> None:
    everything = {one((each, "VCPU")) for each in (world.flat, *world.nodes)}
    of = world.placement.served
    assert of(f"resources=VCPU:1&member_of={world.disk_group}") == everything
    assert of(f"resources1=VCPU:1&member_of1={world.disk_group}") == {one((world.flat, "VCPU"))}
    assert of(f"resources=VCPU:1&member_of={world.node_group}") == {one((world.nodes[1], "VCPU"))}
    assert of(f"resources=VCPU:1&member_of=!{world.node_group}") == everything - {
        one((world.nodes[1], "VCPU"))
    }


def test_trees_and_roots_are_named(world: World) -> None:
    of, (node0, node1) = world.placement.served, world.nodes
    nested = {one((node0, "VCPU")), one((node1, "VCPU"))}
    assert of(f"resources=VCPU:1&in_tree={world.nested}") == nested
    assert of(f"resources=VCPU:1&in_tree={world.cards[0]}") == nested
    assert of(f"resources=VCPU:1&in_tree={new_id()}") == set()
    assert of("resources=VCPU:1&root_required=CUSTOM_ROOT") == nested
    assert of("resources=VCPU:1&root_required=!CUSTOM_ROOT") == {one((world.flat, "VCPU"))}
    local_disk = f"resources=VCPU:1&resources1=DISK_GB:1&in_tree1={world.shared}"
    assert len(of(local_disk)) == 3


def test_groups_are_served_by_one_provider_each(world: World) -> None:
    ask, (card0, card1) = world.placement.candidates, world.cards
    two = "resources_A=SRIOV_NET_VF:1&resources_B=SRIOV_NET_VF:1"
    apart = ask(f"{two}&group_policy=isolate")
    mapped = [(each["mappings"]["_A"], each["mappings"]["_B"]) for each in apart]
    assert sorted(mapped) == sorted([([card0], [card1]), ([card1], [card0])])
    anyhow = ask(f"{two}&group_policy=none")
    assert len(anyhow) == 4
    both = [each for each in anyhow if each["mappings"]["_A"] == each["mappings"]["_B"]]
    assert {
        held["resources"]["SRIOV_NET_VF"] for each in both for held in each["allocations"].values()
    } == {2}
    # Together they must fit too.
    three = "resources_A=SRIOV_NET_VF:3&resources_B=SRIOV_NET_VF:3&group_policy=none"
    assert len(ask(three)) == 2
    assert len(world.placement.candidates(f"{two}&group_policy=none", "1.33")) == 3


def test_groups_of_one_subtree(world: World) -> None:
    (node0, node1), (card0, card1) = world.nodes, world.cards
    query = "resources_CPU=VCPU:1&resources_NET=SRIOV_NET_VF:1&group_policy=none"
    assert len(world.placement.candidates(query)) == 4
    assert world.placement.served(f"{query}&same_subtree=_CPU,_NET") == {
        one((node0, "VCPU"), (card0, "SRIOV_NET_VF")),
        one((node1, "VCPU"), (card1, "SRIOV_NET_VF")),
    }
    placed = (
        "required_NODE=HW_NUMA_ROOT&resources_NET=SRIOV_NET_VF:1&required_NET=CUSTOM_FAST"
        "&same_subtree=_NODE,_NET&group_policy=none"
    )
    (found,) = world.placement.candidates(placed)
    assert found["mappings"] == {"_NODE": [node1], "_NET": [card1]}
    assert list(found["allocations"]) == [card1]


def test_summaries_show_the_families_of_those_who_take_part(world: World) -> None:
    path = f"/allocation_candidates?resources=VCPU:1&in_tree={world.nested}"
    family = {world.nested, *world.nodes, *world.cards}
    assert set(world.placement.get(path)["provider_summaries"]) == family
    assert set(world.placement.get(path + "&limit=1")["provider_summaries"]) == family
    assert len(world.placement.get(path + "&limit=1")["allocation_requests"]) == 1


BAD = (
    ("", "At least one request group"),
    ("resources=", "Badly formed resources parameter"),
    ("resources=VCPU:x", "expected positive integer amount"),
    ("resources=NO_SUCH:1", "Invalid resource class in resources parameter"),
    ("resources=VCPU:1&required=NO_SUCH", "No such trait(s): NO_SUCH"),
    ("resources=VCPU:1&required=HW_NUMA_ROOT,!HW_NUMA_ROOT", "Conflicting required and forbidden"),
    ("resources=VCPU:1&limit=0", "Invalid query string parameters"),
    ("resources=VCPU:1&limit=cow", "Invalid query string parameters"),
    ("resources=VCPU:1&member_of=no", "to contain valid UUID(s)"),
    ("resources=VCPU:1&in_tree=no", "Expected 'in_tree' parameter to be a format of uuid"),
    ("resources=VCPU:1&group_policy=bogus", "is not one of ['none', 'isolate']"),
    ("resources1=VCPU:1&resources2=VCPU:1", 'The "group_policy" parameter is required'),
    ("resources@=VCPU:1", "Invalid query string parameters"),
    (f"resources_{'x' * 64}=VCPU:1", "Invalid query string parameters"),
    ("resources=VCPU:1&required2=HW_NUMA_ROOT", "Resourceless suffixed group request"),
    ("required=HW_NUMA_ROOT&resources1=VCPU:1", "Found the following orphaned traits keys"),
    ("required1=HW_NUMA_ROOT", "There must be at least one resources"),
    ("resources_A=VCPU:1&same_subtree=A", "Real suffixes should be specified"),
    ("resources_A=VCPU:1&same_subtree=_A,", "Empty string (unsuffixed group)"),
    ("resources=VCPU:1&root_required=HW_NUMA_ROOT&root_required=HW_NUMA_ROOT", "only once"),
)


@pytest.mark.parametrize(("query", "said"), BAD)
def test_what_makes_no_sense_is_refused(placement: Placement, query: str, said: str) -> None:
    placement.refused("GET", f"/allocation_candidates?{query}", 400, said)


def test_a_candidate_can_be_claimed_as_it_is(another: Clouds) -> None:
    cloud = another()
    placement = Placement(cloud, cloud.token("admin"))
    uuid = placement.provider(VCPU=2, MEMORY_MB=1024)
    for _ in range(2):
        (found,) = placement.candidates("resources=VCPU:1,MEMORY_MB:512")
        body = claim({}) | found
        placement.put(f"/allocations/{new_id()}", body, status=204)
    assert placement.candidates("resources=VCPU:1,MEMORY_MB:512") == []
    assert placement.get(f"/resource_providers/{uuid}/usages")["usages"] == {
        "VCPU": 2, "MEMORY_MB": 1024,
    }  # fmt: skip
