"""Microversions: each edge from both sides, and how versions are negotiated."""

import pytest

from tests.cloud import Local
from tests.placement.cloud import Placement, claim, new_id

MISSING = "/resource_providers/b1d3b2ec-3a42-4bd3-86a5-0f6ac9a1c1de"

# An operation is not there before its version.
SINCE = (
    ("GET", "/resource_providers/{uuid}/aggregates", "1.0", "1.1"),
    ("GET", "/resource_classes", "1.1", "1.2"),
    ("GET", "/traits", "1.5", "1.6"),
    ("GET", "/traits/HW_NUMA_ROOT", "1.5", "1.6"),
    ("GET", "/resource_providers/{uuid}/traits", "1.5", "1.6"),
    ("GET", "/usages?project_id=p", "1.8", "1.9"),
    ("GET", "/allocation_candidates?resources=VCPU:1", "1.9", "1.10"),
)

# A parameter is refused before its version.
PARAMETERS = (
    ("/resource_providers?member_of={id}", "1.2", "1.3"),
    ("/resource_providers?resources=VCPU:1", "1.3", "1.4"),
    ("/resource_providers?in_tree={id}", "1.13", "1.14"),
    ("/resource_providers?required=HW_NUMA_ROOT", "1.17", "1.18"),
    ("/resource_providers?required=!HW_NUMA_ROOT", "1.21", "1.22"),
    ("/resource_providers?member_of={id}&member_of={id}", "1.23", "1.24"),
    ("/resource_providers?member_of=!{id}", "1.31", "1.32"),
    ("/resource_providers?required=in:HW_NUMA_ROOT,HW_CPU_X86_SSE", "1.38", "1.39"),
    ("/allocation_candidates?resources=VCPU:1&limit=1", "1.15", "1.16"),
    ("/allocation_candidates?resources=VCPU:1&required=HW_NUMA_ROOT", "1.16", "1.17"),
    ("/allocation_candidates?resources=VCPU:1&member_of={id}", "1.20", "1.21"),
    ("/allocation_candidates?resources=VCPU:1&required=!HW_NUMA_ROOT", "1.21", "1.22"),
    ("/allocation_candidates?resources=VCPU:1&member_of={id}&member_of={id}", "1.23", "1.24"),
    ("/allocation_candidates?resources1=VCPU:1", "1.24", "1.25"),
    ("/allocation_candidates?resources=VCPU:1&group_policy=none", "1.24", "1.25"),
    ("/allocation_candidates?resources=VCPU:1&in_tree={id}", "1.30", "1.31"),
    ("/allocation_candidates?resources1=VCPU:1&in_tree1={id}", "1.30", "1.31"),
    ("/allocation_candidates?resources=VCPU:1&member_of=!in:{id}", "1.31", "1.32"),
    ("/allocation_candidates?resources_A=VCPU:1", "1.32", "1.33"),
    ("/allocation_candidates?resources=VCPU:1&root_required=HW_NUMA_ROOT", "1.34", "1.35"),
    ("/allocation_candidates?resources_A=VCPU:1&same_subtree=_A", "1.35", "1.36"),
    ("/allocation_candidates?resources=VCPU:1&required=in:HW_NUMA_ROOT", "1.38", "1.39"),
    ("/usages?project_id=p&consumer_type=INSTANCE", "1.37", "1.38"),
)


@pytest.mark.parametrize(("method", "path", "before", "first"), SINCE)
def test_an_operation_begins_with_its_version(
    placement: Placement, method: str, path: str, before: str, first: str
) -> None:
    path = path.format(uuid=placement.provider())
    placement.refused(method, path, 404, version=before)
    assert placement.ask(method, path, version=first).status in (200, 204)


@pytest.mark.parametrize(("path", "before", "first"), PARAMETERS)
def test_a_parameter_begins_with_its_version(
    placement: Placement, path: str, before: str, first: str
) -> None:
    path = path.format(id=new_id())
    placement.refused("GET", path, 400, version=before)
    placement.get(path, version=first)


def test_the_version_document_needs_no_token(local: Local) -> None:
    for path in ("/", ""):
        answer = Placement(local, None).ask("GET", path)
        assert answer.status == 200
        assert answer.body["versions"] == [
            {
                "id": "v1.0", "min_version": "1.0", "max_version": "1.39", "status": "CURRENT",
                "links": [{"rel": "self", "href": ""}],
            }
        ]  # fmt: skip
    assert Placement(local, None).ask("GET", "/resource_providers").status == 401


def test_versions_are_negotiated(placement: Placement) -> None:
    answer = placement.ask("GET", "/resource_providers", version="latest")
    assert answer.headers["openstack-api-version"] == "placement 1.39"
    assert "OpenStack-API-Version" in answer.headers["vary"]
    unnamed = placement.local.ask("GET", "/placement/resource_providers", token=placement.token)
    assert unnamed.headers["openstack-api-version"] == "placement 1.0"
    for version in ("1.40", "0.9", "2.0"):
        answer = placement.ask("GET", "/resource_providers", version=version)
        assert answer.status == 406
        error = answer.body["errors"][0]
        assert error["detail"] == f"Unacceptable version header: {version}"
        assert (error["min_version"], error["max_version"]) == ("1.0", "1.39")
    placement.refused("GET", "/resource_providers", 400, version="pony.horse")


def test_errors_carry_a_code_since_1_23(placement: Placement) -> None:
    old = placement.ask("GET", MISSING, version="1.22")
    new = placement.ask("GET", MISSING, version="1.23")
    assert old.status == new.status == 404
    error = old.body["errors"][0]
    assert error.keys() == {"status", "title", "detail", "request_id"}
    assert error["request_id"] == old.headers["x-openstack-request-id"]
    assert new.body["errors"][0]["code"] == "placement.undefined_code"


def test_paths_that_are_not_there_answer_in_the_same_envelope(placement: Placement) -> None:
    placement.refused("GET", "/barnabas", 404, "could not be found")
    answer = placement.ask("DELETE", "/resource_providers")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert answer.body["errors"][0]["title"] == "Method Not Allowed"


def test_answers_say_how_fresh_they_are_since_1_15(placement: Placement) -> None:
    uuid = placement.provider(VCPU=1)
    own = f"/resource_providers/{uuid}"
    nouns = ("inventories", "inventories/VCPU", "usages", "aggregates", "traits", "allocations")
    paths = [
        "/", "/resource_providers", own, "/traits", "/traits/HW_NUMA_ROOT", "/resource_classes",
        "/resource_classes/VCPU", "/usages?project_id=p", f"/allocations/{new_id()}",
        "/allocation_candidates?resources=VCPU:1", *(f"{own}/{each}" for each in nouns),
    ]  # fmt: skip
    for path in paths:
        old = placement.ask("GET", path, version="1.14").headers
        new = placement.ask("GET", path, version="1.15").headers
        assert "cache-control" not in old, path
        assert "last-modified" not in old, path
        assert new["cache-control"] == "no-cache", path
        assert new["last-modified"].endswith(" GMT"), path


def test_the_body_of_a_new_provider_came_with_1_20(placement: Placement) -> None:
    old = placement.ask("POST", "/resource_providers", {"name": new_id()}, "1.19")
    assert (old.status, old.content) == (201, b"")
    assert "/placement/resource_providers/" in old.headers["location"]
    new = placement.ask("POST", "/resource_providers", {"name": new_id()}, "1.20")
    assert new.status == 200
    assert new.headers["location"].endswith(new.body["uuid"])


def test_links_came_one_after_another(placement: Placement) -> None:
    uuid = placement.provider()
    expected = {
        "1.0": {"self", "inventories", "usages"},
        "1.1": {"self", "inventories", "usages", "aggregates"},
        "1.5": {"self", "inventories", "usages", "aggregates"},
        "1.6": {"self", "inventories", "usages", "aggregates", "traits"},
        "1.10": {"self", "inventories", "usages", "aggregates", "traits"},
        "1.11": {"self", "inventories", "usages", "aggregates", "traits", "allocations"},
    }
    for version, names in expected.items():
        shown = placement.get(f"/resource_providers/{uuid}", version)
        assert {each["rel"] for each in shown["links"]} == names
        listed = placement.get(f"/resource_providers?uuid={uuid}", version)["resource_providers"]
        assert listed == [shown]


def test_providers_have_families_since_1_14(placement: Placement) -> None:
    uuid = placement.provider()
    assert placement.get(f"/resource_providers/{uuid}", "1.13").keys() == {
        "uuid", "name", "generation", "links",
    }  # fmt: skip
    shown = placement.get(f"/resource_providers/{uuid}", "1.14")
    assert (shown["root_provider_uuid"], shown["parent_provider_uuid"]) == (uuid, None)
    body = {"name": new_id(), "parent_provider_uuid": uuid}
    placement.refused("POST", "/resource_providers", 400, body=body, version="1.13")
    placement.post("/resource_providers", body, "1.14", status=201)


def test_delete_of_all_inventories_came_with_1_5(placement: Placement) -> None:
    path = f"/resource_providers/{placement.provider(VCPU=1)}/inventories"
    placement.refused("DELETE", path, 405, version="1.4")
    placement.delete(path, "1.5")


def test_a_class_is_made_by_put_since_1_7(placement: Placement) -> None:
    placement.post("/resource_classes", {"name": "CUSTOM_EDGE_A"}, "1.2", status=201)
    renamed = placement.put("/resource_classes/CUSTOM_EDGE_A", {"name": "CUSTOM_EDGE_B"}, "1.6")
    assert renamed["name"] == "CUSTOM_EDGE_B"
    placement.refused("PUT", "/resource_classes/CUSTOM_EDGE_B", 400, version="1.6")
    placement.put("/resource_classes/CUSTOM_EDGE_C", version="1.7", status=201)
    answer = placement.ask("PUT", "/resource_classes/CUSTOM_EDGE_C", version="1.7")
    assert answer.status == 204
    assert answer.headers["location"].endswith("/placement/resource_classes/CUSTOM_EDGE_C")


def test_allocations_took_another_form_with_1_12(placement: Placement) -> None:
    uuid, consumer = placement.provider(VCPU=10), new_id()
    path = f"/allocations/{consumer}"
    listed = {"allocations": [{"resource_provider": {"uuid": uuid}, "resources": {"VCPU": 1}}]}
    keyed = {"allocations": {uuid: {"resources": {"VCPU": 2}}}}
    owner = {"project_id": "p", "user_id": "u"}
    placement.put(path, listed, "1.7", status=204)
    placement.refused("PUT", path, 400, body={**listed, **owner}, version="1.7")
    placement.refused("PUT", path, 400, "'project_id' is a required", body=listed, version="1.8")
    placement.put(path, {**listed, **owner}, "1.8", status=204)
    placement.put(path, {**listed, **owner}, "1.11", status=204)
    placement.refused("PUT", path, 400, body={**keyed, **owner}, version="1.11")
    placement.refused("PUT", path, 400, body={**listed, **owner}, version="1.12")
    placement.put(path, {**keyed, **owner}, "1.12", status=204)
    assert placement.get(path, "1.11").keys() == {"allocations"}
    assert placement.get(path, "1.12").keys() == {"allocations", "project_id", "user_id"}


def test_several_consumers_came_with_1_13(placement: Placement) -> None:
    uuid = placement.provider(VCPU=10)
    one = {"allocations": {uuid: {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u"}
    placement.refused("POST", "/allocations", 404, body={new_id(): one}, version="1.12")
    placement.post("/allocations", {new_id(): one, new_id(): one}, "1.13", status=204)
    assert placement.get(f"/resource_providers/{uuid}/usages")["usages"] == {"VCPU": 2}


def test_aggregates_have_a_generation_since_1_19(placement: Placement) -> None:
    path = f"/resource_providers/{placement.provider()}/aggregates"
    group = new_id()
    new = {"aggregates": [group], "resource_provider_generation": 0}
    placement.refused("PUT", path, 400, body=new, version="1.18")
    assert placement.put(path, [group], "1.18") == {"aggregates": [group]}
    placement.refused("PUT", path, 400, body=[group], version="1.19")
    assert placement.put(path, new, "1.19") == {
        "aggregates": [group], "resource_provider_generation": 1,
    }  # fmt: skip
    placement.refused("PUT", path, 409, body=new, code="placement.concurrent_update")


def test_all_may_be_reserved_since_1_26(placement: Placement) -> None:
    path = f"/resource_providers/{placement.provider()}/inventories"
    full = {"resource_class": "VCPU", "total": 4, "reserved": 4}
    placement.refused(
        "POST", path, 400, "greater than or equal to total", body=full, version="1.25"
    )
    placement.post(path, full, "1.26", status=201)
    more = {"resource_class": "DISK_GB", "total": 4, "reserved": 5}
    placement.refused("POST", path, 400, "greater than total", body=more, version="1.26")


def test_consumers_have_generations_since_1_28(placement: Placement) -> None:
    uuid, consumer = placement.provider(VCPU=10), new_id()
    path = f"/allocations/{consumer}"
    body = {"allocations": {uuid: {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u"}
    with_generation = {**body, "consumer_generation": None}
    placement.refused("PUT", path, 400, body=with_generation, version="1.27")
    placement.refused("PUT", path, 400, "'consumer_generation'", body=body, version="1.28")
    placement.put(path, body, "1.27", status=204)
    assert "consumer_generation" not in placement.get(path, "1.27")
    assert placement.get(path, "1.28")["consumer_generation"] == 1
    of_provider = f"/resource_providers/{uuid}/allocations"
    assert "consumer_generation" not in placement.get(of_provider, "1.27")["allocations"][consumer]
    assert placement.get(of_provider, "1.28")["allocations"][consumer]["consumer_generation"] == 1
    nothing = {**body, "allocations": {}}
    placement.refused("PUT", path, 400, body=nothing, version="1.27")
    placement.put(path, {**nothing, "consumer_generation": 1}, "1.28", status=204)
    assert placement.get(path) == {"allocations": {}}


def test_the_reshaper_came_with_1_30(placement: Placement, local: Local) -> None:
    body = {"inventories": {}, "allocations": {}}
    placement.refused("POST", "/reshaper", 404, body=body, version="1.29")
    placement.refused("POST", "/reshaper", 403, body=body, version="1.30")
    assert placement.ask("GET", "/reshaper").status == 405


def test_mappings_are_taken_since_1_34(placement: Placement) -> None:
    uuid = placement.provider(VCPU=10)
    body = {
        "allocations": {uuid: {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u",
        "consumer_generation": None, "mappings": {"": [uuid]},
    }  # fmt: skip
    path = f"/allocations/{new_id()}"
    placement.refused("PUT", path, 400, "Additional properties", body=body, version="1.33")
    placement.put(path, body, "1.34", status=204)
    for mappings in ({}, {"": []}, {"!": [uuid]}, {"a": "b"}):
        placement.refused("PUT", path, 400, body={**body, "mappings": mappings}, version="1.34")


def test_consumers_have_types_since_1_38(placement: Placement) -> None:
    uuid, consumer = placement.provider(VCPU=10), new_id()
    path, body = f"/allocations/{consumer}", claim({uuid: {"VCPU": 1}})
    placement.refused("PUT", path, 400, body=body, version="1.37")
    untyped = {name: each for name, each in body.items() if name != "consumer_type"}
    placement.refused("PUT", path, 400, "'consumer_type'", body=untyped, version="1.38")
    placement.put(path, untyped, "1.37", status=204)
    assert "consumer_type" not in placement.get(path, "1.37")
    assert placement.get(path, "1.38")["consumer_type"] == "unknown"
    placement.put(path, {**body, "consumer_generation": 1}, "1.38", status=204)
    assert placement.get(path, "1.38")["consumer_type"] == "INSTANCE"
    for kind in ("instance", "", "A-B", "X" * 256):
        placement.refused("PUT", path, 400, body={**body, "consumer_type": kind})


def test_candidates_are_shown_as_each_version_knows_them(placement: Placement) -> None:
    assert placement.ask("PUT", "/resource_classes/CUSTOM_SHOWN").status in (201, 204)
    uuid = placement.provider(traits=("CUSTOM_SHOWN",), CUSTOM_SHOWN=4, VCPU=8)
    child = placement.provider(parent=uuid)

    def shown(version: str) -> tuple[object, object]:
        found = placement.get("/allocation_candidates?resources=CUSTOM_SHOWN:2", version)
        (one,) = found["allocation_requests"]
        return one, found["provider_summaries"]

    wanted = {"CUSTOM_SHOWN": {"capacity": 4, "used": 0}}
    both = {**wanted, "VCPU": {"capacity": 8, "used": 0}}
    traits = ["CUSTOM_SHOWN"]
    listed = {
        "allocations": [{"resource_provider": {"uuid": uuid}, "resources": {"CUSTOM_SHOWN": 2}}]
    }
    keyed = {"allocations": {uuid: {"resources": {"CUSTOM_SHOWN": 2}}}}
    family = {
        uuid: {"resources": both, "traits": traits, "parent_provider_uuid": None,
               "root_provider_uuid": uuid},
        child: {"resources": {}, "traits": [], "parent_provider_uuid": uuid,
                "root_provider_uuid": uuid},
    }  # fmt: skip
    assert shown("1.10") == shown("1.11") == (listed, {uuid: {"resources": wanted}})
    assert shown("1.12") == shown("1.16") == (keyed, {uuid: {"resources": wanted}})
    assert (
        shown("1.17") == shown("1.26") == (keyed, {uuid: {"resources": wanted, "traits": traits}})
    )
    assert shown("1.27") == shown("1.28") == (keyed, {uuid: {"resources": both, "traits": traits}})
    assert shown("1.29") == shown("1.33") == (keyed, family)
    assert shown("1.34") == shown("1.39") == ({**keyed, "mappings": {"": [uuid]}}, family)


def test_candidates_span_a_tree_since_1_29(placement: Placement) -> None:
    for name in ("CUSTOM_TREE_TOP", "CUSTOM_TREE_LEAF"):
        assert placement.ask("PUT", f"/resource_classes/{name}").status in (201, 204)
    root = placement.provider(CUSTOM_TREE_TOP=1)
    placement.provider(parent=root, CUSTOM_TREE_LEAF=1)
    both = "resources=CUSTOM_TREE_TOP:1,CUSTOM_TREE_LEAF:1"
    assert placement.candidates(both, "1.28") == []
    assert len(placement.candidates(both, "1.29")) == 1
    assert len(placement.candidates("resources=CUSTOM_TREE_LEAF:1", "1.28")) == 1


def test_parents_change_since_1_37(placement: Placement) -> None:
    one, other = placement.provider(), placement.provider()
    child = placement.provider(parent=one)
    grandchild = placement.provider(parent=child)
    path = f"/resource_providers/{child}"
    for parent in (other, None):
        body = {"name": new_id(), "parent_provider_uuid": parent}
        placement.refused("PUT", path, 400, "not currently allowed", body=body, version="1.36")
        moved = placement.put(path, body, "1.37")
        assert moved["parent_provider_uuid"] == parent
        assert moved["root_provider_uuid"] == (parent or child)
        below = placement.get(f"/resource_providers/{grandchild}")
        assert below["root_provider_uuid"] == (parent or child)
    for loop in (child, grandchild):
        body = {"name": new_id(), "parent_provider_uuid": loop}
        placement.refused("PUT", path, 400, "creating loop in the provider tree", body=body)


def test_required_may_be_repeated_since_1_39(placement: Placement) -> None:
    uuid = placement.provider(traits=("HW_CPU_X86_SGX", "HW_CPU_X86_SHA"))
    query = f"/resource_providers?uuid={uuid}&required=HW_CPU_X86_VMX&required=HW_CPU_X86_SGX"
    assert len(placement.get(query, "1.38")["resource_providers"]) == 1
    assert placement.get(query, "1.39")["resource_providers"] == []
    either = f"/resource_providers?uuid={uuid}&required=in:HW_CPU_X86_VMX,HW_CPU_X86_SHA"
    assert len(placement.get(either)["resource_providers"]) == 1
