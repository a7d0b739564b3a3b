"""The scheduler by itself: what each filter refuses, how hosts are weighed, and what never is."""

import random
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from onestack.compute.filters import KNOWN, NECESSARY, matches
from onestack.compute.scheduler import (
    Group,
    Host,
    Option,
    RequestSpec,
    Rules,
    choose,
    verdicts,
    weigh,
)

EVERYTHING = Rules({**NECESSARY, **KNOWN}, {"ram": 1.0})


def spec(**asked: Any) -> RequestSpec:
    wanted = {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}
    known: dict[str, Any] = {
        "server_id": "s", "project_id": "p", "user_id": "u", "vcpus": 1, "memory_mb": 512,
        "disk_gb": 1, "resources": wanted, **asked,
    }  # fmt: skip
    return RequestSpec(**known)


def option(name: str = "h", room: Mapping[str, int] | None = None, **known: Any) -> Option:
    host_fields = ("zone", "architecture", "hypervisor_type", "said", "capabilities")
    of_host = {key: known.pop(key) for key in host_fields if key in known}
    host = Host(name, f"node-{name}", **{"zone": "nova", **of_host})
    return Option(host, room or {"VCPU": 8, "MEMORY_MB": 8192, "DISK_GB": 100}, **known)


def said(**values: str) -> dict[str, frozenset[str]]:
    return {key: frozenset(value.split(",")) for key, value in values.items()}


GROUP = Group(id="g", policy="anti-affinity", members={"h": 1})
CASES: list[tuple[str, RequestSpec, Option, Option]] = [
    # the filter, what is asked, a host that it refuses, and one that it does not
    ("ComputeFilter", spec(), option(trouble="is down"), option()),
    ("AvailabilityZoneFilter", spec(zone="z"), option(), option(zone="z")),
    ("RequestedHost", spec(host="other"), option(), option("other")),
    ("RequestedHost", spec(avoid=frozenset({"h"})), option(), option("other")),
    ("placement", spec(), option(room={"VCPU": 0, "MEMORY_MB": 512, "DISK_GB": 1}), option()),
    ("placement", spec(required=(frozenset({"T"}),)), option(), option(traits=frozenset({"T"}))),
    ("placement", spec(forbidden=frozenset({"T"})), option(traits=frozenset({"T"})), option()),
    ("RamFilter", spec(), option(room={"VCPU": 1, "MEMORY_MB": 511, "DISK_GB": 1}), option()),
    ("CoreFilter", spec(), option(room={"MEMORY_MB": 512, "DISK_GB": 1}), option()),
    ("DiskFilter", spec(), option(room={"VCPU": 1, "MEMORY_MB": 512}), option()),
    (
        "ComputeCapabilitiesFilter", spec(extra_specs={"capabilities:cpu_info:model": "s== Xeon"}),
        option(capabilities={"cpu_info": {"model": "Atom"}}),
        option(capabilities={"cpu_info": {"model": "Xeon"}}),
    ),
    (
        "ComputeCapabilitiesFilter", spec(extra_specs={"vcpus_total": ">= 8"}),
        option(capabilities={}), option(capabilities={"vcpus_total": 8}),
    ),
    (
        "ImagePropertiesFilter", spec(image_properties={"hw_architecture": "aarch64"}),
        option(), option(architecture="aarch64"),
    ),
    (
        "ImagePropertiesFilter", spec(image_properties={"img_hv_type": "kvm"}),
        option(hypervisor_type="fake"), option(hypervisor_type="QEMU"),
    ),
    (
        "ServerGroupAffinityFilter", spec(group=replace(GROUP, policy="affinity")),
        option("other"), option("h"),
    ),
    ("ServerGroupAntiAffinityFilter", spec(group=GROUP), option("h"), option("other")),
    (
        "ServerGroupAntiAffinityFilter",
        spec(group=replace(GROUP, most_per_host=2, members={"h": 2, "i": 1})),
        option("h"), option("i"),
    ),
    ("SameHostFilter", spec(same_host=frozenset({"h"})), option("other"), option("h")),
    ("SameHostFilter", spec(same_host=frozenset()), option("other"), option("h")),
    ("DifferentHostFilter", spec(different_host=frozenset({"h"})), option("h"), option("other")),
    (
        "AggregateInstanceExtraSpecsFilter",
        spec(extra_specs={"aggregate_instance_extra_specs:ssd": "true"}),
        option(said=said(ssd="false")), option(said=said(ssd="true,false")),
    ),
    (
        "AggregateMultiTenancyIsolation", spec(),
        option(said=said(filter_tenant_id="q,r")), option(said=said(filter_tenant_id="q,p")),
    ),
    (
        "AggregateImagePropertiesIsolation", spec(image_properties={"os_distro": "debian"}),
        option(said=said(os_distro="windows")), option(said=said(os_distro="debian")),
    ),
    ("NumInstancesFilter", spec(), option(servers=50), option(servers=49)),
    ("IoOpsFilter", spec(), option(busy=8), option(busy=7)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "asked", "bad", "good"), CASES, ids=[case[0] for case in CASES])
def test_a_filter(name: str, asked: RequestSpec, bad: Option, good: Option) -> None:
    judge = (NECESSARY | KNOWN)[name]
    assert judge.concerns(asked)
    assert judge.refuses(bad, asked)
    if asked.same_host != frozenset():
        assert judge.refuses(good, asked) is None


def test_each_filter_has_a_case() -> None:
    assert {case[0] for case in CASES} == NECESSARY.keys() | KNOWN.keys()


def test_an_empty_affinity_group_may_begin_anywhere() -> None:
    group = Group(id="g", policy="affinity")
    assert KNOWN["ServerGroupAffinityFilter"].refuses(option(), spec(group=group)) is None


@pytest.mark.parametrize(("held", "wanted", "is_match"), [
    ("8", ">= 8", True), ("7", ">= 8", False), ("8", "= 8", True), ("9", "= 8", True),
    ("8", "== 8.0", True), ("8", "!= 8", False), ("7", "<= 8", True),
    ("x", ">= 8", False), ("abc", "s== abc", True), ("abc", "s!= abc", False),
    ("b", "s> a", True), ("b", "s< a", False), ("b", "s>= b", True), ("b", "s<= a", False),
    ("aes mmx", "<in> aes", True), ("mmx", "<in> aes", False),
    ("aes mmx sse", "<all-in> aes sse", True), ("aes", "<all-in> aes sse", False),
    ("b", "<or> a <or> b", True), ("c", "<or> a <or> b", False), ("abc", "abc", True),
    ("abc", "ab", False),
])  # fmt: skip
def test_the_language_of_extra_specs(held: str, wanted: str, is_match: bool) -> None:
    assert matches(held, wanted) is is_match


def test_weighers_pull_in_either_direction() -> None:
    roomy = option("roomy", {"VCPU": 8, "MEMORY_MB": 8000, "DISK_GB": 10})
    tight = option("tight", {"VCPU": 4, "MEMORY_MB": 4000, "DISK_GB": 10})
    assert weigh(spec(), [roomy, tight], {"ram": 1, "cpu": 2, "disk": 5}) == [3, 0]
    assert weigh(spec(), [roomy, tight], {"ram": -1, "cpu": 0}) == [-1, 0]
    failing = weigh(spec(), [roomy._replace(failures=3), tight], {"ram": 1, "build_failure": 1000})
    assert failing == [1, 1000]
    assert weigh(spec(), [roomy._replace(busy=3), tight], {"io_ops": -1}) == [-1, 0]
    soft = Group(id="g", policy="soft-affinity", members={"tight": 2})
    options = [roomy, tight._replace(members=2)]
    both = {"soft_affinity": 1, "soft_anti_affinity": 1}
    assert weigh(spec(group=soft), options, both) == [0, 1]
    soft = replace(soft, policy="soft-anti-affinity")
    assert weigh(spec(group=soft), options, both) == [1, 0]


def test_one_of_the_best_is_chosen_by_chance() -> None:
    options = [
        option(f"h{n}", {"VCPU": 8, "MEMORY_MB": 1000 * n, "DISK_GB": 9}) for n in range(1, 9)
    ]
    chance = random.Random(1)
    first = {choose(spec(), options, EVERYTHING, chance).ranked[0].host.name for _ in range(50)}
    assert first == {"h8"}
    subset = replace(EVERYTHING, subset_size=3)
    first = {choose(spec(), options, subset, chance).ranked[0].host.name for _ in range(200)}
    assert first == {"h8", "h7", "h6"}
    equals = [option(f"e{n}") for n in range(3)]
    first = {choose(spec(), equals, EVERYTHING, chance).ranked[0].host.name for _ in range(100)}
    assert first == {"e0", "e1", "e2"}


@pytest.mark.parametrize("seed", range(200))
def test_never_a_host_that_anything_speaks_against(seed: int) -> None:
    """Whatever is asked of whichever hosts: who is chosen has room and no refusal."""
    chance = random.Random(seed)
    options = [_any_option(chance, f"h{n}") for n in range(20)]
    asked = _any_spec(chance)
    decision = choose(asked, options, EVERYTHING, chance)
    against = {each[0].host for each in verdicts(asked, options, EVERYTHING) if each}
    chosen = {each.host.name for each in decision.ranked}
    assert chosen.isdisjoint(against)
    assert chosen | against == {each.host.name for each in options}
    for each in decision.ranked:
        assert all(each.room.get(name, 0) >= n for name, n in asked.resources.items())
    assert {each.host for each in decision.refusals} == against


def _any_option(chance: random.Random, name: str) -> Option:
    return option(
        name,
        {"VCPU": chance.randrange(4), "MEMORY_MB": chance.randrange(2048), "DISK_GB": 5},
        trouble=chance.choice(["", "", "", "is down"]),
        zone=chance.choice(["nova", "z"]),
        architecture=chance.choice(["x86_64", "aarch64"]),
        said=chance.choice([{}, said(filter_tenant_id="p"), said(filter_tenant_id="q")]),
        busy=chance.randrange(10),
    )


def _any_spec(chance: random.Random) -> RequestSpec:
    return spec(
        resources={"VCPU": 1 + chance.randrange(3), "MEMORY_MB": 512, "DISK_GB": 1},
        zone=chance.choice([None, "nova", "z"]),
        image_properties=chance.choice([{}, {"hw_architecture": "x86_64"}]),
        avoid=frozenset(chance.sample(["h0", "h1", "h2"], chance.randrange(3))),
        group=chance.choice([None, GROUP, replace(GROUP, policy="affinity")]),
    )
