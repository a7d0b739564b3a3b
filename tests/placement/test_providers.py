"""Resource providers: their life, their families, and what they have."""

from tests.placement.cloud import Placement, new_id


def test_a_provider_lives(placement: Placement) -> None:
    name, uuid = new_id(), new_id()
    made = placement.post("/resource_providers", {"name": name, "uuid": uuid.replace("-", "")})
    assert (made["uuid"], made["name"], made["generation"]) == (uuid, name, 0)
    assert made["root_provider_uuid"] == uuid
    path = f"/resource_providers/{uuid}"
    assert placement.get(path) == made
    assert placement.get(f"/resource_providers?name={name}")["resource_providers"] == [made]
    for body in ({"name": name}, {"name": new_id(), "uuid": uuid}):
        placement.refused(
            "POST", "/resource_providers", 409, "already exists", body=body,
            code="placement.duplicate_name",
        )  # fmt: skip
    renamed = placement.put(path, {"name": name + "-2"})
    assert renamed == {**made, "name": name + "-2"}
    other = placement.provider()
    placement.refused(
        "PUT", f"/resource_providers/{other}", 409, body={"name": name + "-2"},
        code="placement.duplicate_name",
    )  # fmt: skip
    placement.delete(path)
    placement.refused("GET", path, 404, f"No resource provider with uuid {uuid} found")
    placement.refused("DELETE", path, 404, "found for delete")


def test_bad_providers_are_refused(placement: Placement) -> None:
    for body in (
        {}, {"name": ""}, {"name": "x" * 201}, {"name": 5}, {"name": "x", "uuid": "no"},
        {"name": "x", "colour": "red"}, [], None,
    ):  # fmt: skip
        placement.refused("POST", "/resource_providers", 400, body=body)
    uuid = new_id()
    body = {"name": new_id(), "uuid": uuid, "parent_provider_uuid": uuid}
    placement.refused("POST", "/resource_providers", 400, "cannot be same as UUID", body=body)
    body = {"name": new_id(), "parent_provider_uuid": new_id()}
    placement.refused("POST", "/resource_providers", 400, "does not exist", body=body)
    for query in ("uuid=no", "spam=eggs", "in_tree=no", "member_of=no", "resources=VCPU",
                  "resources=VCPU:x", "resources=VCPU:0", "resources=NO_SUCH:1",
                  "required=NO_SUCH", "required=", "required=HW_NUMA_ROOT,",
                  "required=in:!HW_NUMA_ROOT"):  # fmt: skip
        placement.refused("GET", f"/resource_providers?{query}", 400)


def test_a_parent_stays_while_it_has_children(placement: Placement) -> None:
    parent = placement.provider()
    child = placement.provider(parent=parent)
    placement.refused(
        "DELETE", f"/resource_providers/{parent}", 409, "It has child resource providers",
        code="placement.resource_provider.cannot_delete_parent",
    )  # fmt: skip
    listed = placement.get(f"/resource_providers?in_tree={child}")["resource_providers"]
    assert {each["uuid"] for each in listed} == {parent, child}
    placement.delete(f"/resource_providers/{child}")
    placement.delete(f"/resource_providers/{parent}")


def test_a_provider_stays_while_something_is_allocated(placement: Placement) -> None:
    uuid, consumer = placement.provider(VCPU=4), new_id()
    placement.allocate(consumer, {uuid: {"VCPU": 1}})
    path = f"/resource_providers/{uuid}"
    placement.refused("DELETE", path, 409, code="placement.resource_provider.inuse")
    for wanted in ("inventories", "inventories/VCPU"):
        placement.refused(
            "DELETE", f"{path}/{wanted}", 409, "'VCPU'", code="placement.inventory.inuse"
        )
    placement.delete(f"/allocations/{consumer}")
    placement.delete(path)


def test_lists_are_filtered(placement: Placement) -> None:
    group, other = new_id(), new_id()
    one = placement.provider(traits=("HW_CPU_X86_SGX",), aggregates=(group,), VCPU=4)
    two = placement.provider(aggregates=(group, other), VCPU={"total": 4, "min_unit": 2})

    def listed(query: str) -> set[str]:
        found = placement.get(f"/resource_providers?{query}")["resource_providers"]
        return {each["uuid"] for each in found}

    assert listed(f"member_of={group}") == {one, two}
    assert listed(f"member_of=in:{group},{new_id()}") == {one, two}
    assert listed(f"member_of={group}&member_of=!{other}") == {one}
    assert listed(f"member_of={group}&required=HW_CPU_X86_SGX") == {one}
    assert listed(f"member_of={group}&required=!HW_CPU_X86_SGX") == {two}
    assert listed(f"member_of={group}&resources=VCPU:1") == {one}
    assert listed(f"member_of={group}&resources=VCPU:4") == {one, two}
    assert listed(f"member_of={group}&uuid={two}") == {two}


def test_inventories(placement: Placement) -> None:
    uuid = placement.provider()
    path = f"/resource_providers/{uuid}/inventories"
    full = {"total": 2048, "reserved": 512, "min_unit": 10, "max_unit": 1024, "step_size": 10,
            "allocation_ratio": 1.5}  # fmt: skip
    answer = placement.ask("POST", path, {"resource_class": "DISK_GB", **full})
    assert answer.status == 201
    assert answer.headers["location"].endswith(f"{path}/DISK_GB")
    assert answer.body == {"resource_provider_generation": 1, **full}
    assert placement.get(f"{path}/DISK_GB") == answer.body
    placement.refused("POST", path, 409, body={"resource_class": "DISK_GB", **full})
    placement.refused("POST", path, 400, "No such resource class",
                      body={"resource_class": "NO_SUCH", **full})  # fmt: skip
    changed = {"resource_provider_generation": 1, **full, "total": 4096}
    assert placement.put(f"{path}/DISK_GB", changed)["resource_provider_generation"] == 2
    placement.refused("PUT", f"{path}/DISK_GB", 409, "actual: 2, given: 1", body=changed,
                      code="placement.concurrent_update")  # fmt: skip
    changed["resource_provider_generation"] = 2
    placement.refused("PUT", f"{path}/VCPU", 400, "No inventory record", body=changed)
    wanted = {"resource_provider_generation": 2, "inventories": {"VCPU": {"total": 4}}}
    replaced = placement.put(path, wanted)
    assert replaced["inventories"]["VCPU"] == {
        "total": 4, "reserved": 0, "min_unit": 1, "max_unit": 2147483647, "step_size": 1,
        "allocation_ratio": 1.0,
    }  # fmt: skip
    assert placement.get(path) == replaced
    placement.refused("PUT", path, 409, body=wanted, code="placement.concurrent_update")
    unknown = {"resource_provider_generation": 3, "inventories": {"NO_SUCH": {"total": 4}}}
    placement.refused("PUT", path, 400, "Unknown resource class in inventory", body=unknown)
    placement.delete(f"{path}/VCPU")
    placement.refused("DELETE", f"{path}/VCPU", 404, "No inventory of class VCPU found for delete")
    placement.refused("GET", f"{path}/VCPU", 404, f"No inventory of class VCPU for {uuid}")
    wrong = {
        "total": (0, 2**31, 1.5), "reserved": (-1,), "min_unit": (0,), "max_unit": (0,),
        "step_size": (0,), "allocation_ratio": (3.5e38, -1), "colour": (1,),
    }  # fmt: skip
    for field, bad in [(field, bad) for field, each in wrong.items() for bad in each]:
        body = {"resource_class": "VCPU", "total": 4, field: bad}
        placement.refused("POST", path, 400, body=body)


def test_traits(placement: Placement) -> None:
    for name in ("TRAIT_X", "CUSTOM_ABC:1", "CUSTOM_" + "A" * 250):
        placement.refused("PUT", f"/traits/{name}", 400, "The trait is invalid")
    placement.put("/traits/CUSTOM_T1", status=201)
    answer = placement.ask("PUT", "/traits/CUSTOM_T1")
    assert answer.status == 204
    assert answer.headers["location"].endswith("/placement/traits/CUSTOM_T1")
    placement.get("/traits/CUSTOM_T1", status=204)
    placement.refused("GET", "/traits/NO_SUCH", 404)
    assert placement.get("/traits?name=in:CUSTOM_T1,HW_NUMA_ROOT,NO")["traits"] == [
        "CUSTOM_T1", "HW_NUMA_ROOT",
    ]  # fmt: skip
    assert placement.get("/traits?name=startswith:CUSTOM_T1")["traits"] == ["CUSTOM_T1"]
    for query in ("name=in_abc", "associated=xyz", "invalid=abc"):
        placement.refused("GET", f"/traits?{query}", 400)
    uuid = placement.provider()
    path = f"/resource_providers/{uuid}/traits"
    body = {"traits": ["CUSTOM_T1", "HW_CPU_X86_SGX"], "resource_provider_generation": 0}
    shown = placement.put(path, body)
    assert shown == {**body, "resource_provider_generation": 1} == placement.get(path)
    placement.refused("PUT", path, 409, body=body, code="placement.concurrent_update")
    unknown = {"traits": ["NO_SUCH"], "resource_provider_generation": 1}
    placement.refused("PUT", path, 400, "No such trait(s): NO_SUCH", body=unknown)
    assert "CUSTOM_T1" in placement.get("/traits?associated=true")["traits"]
    assert "CUSTOM_T1" not in placement.get("/traits?associated=false")["traits"]
    placement.refused("DELETE", "/traits/CUSTOM_T1", 409, "is in use by a resource provider")
    placement.refused("DELETE", "/traits/HW_NUMA_ROOT", 400, "Cannot delete standard trait")
    placement.delete(path)
    assert placement.get(path) == {"traits": [], "resource_provider_generation": 2}
    placement.delete("/traits/CUSTOM_T1")
    placement.refused("DELETE", "/traits/CUSTOM_T1", 404)


def test_resource_classes(placement: Placement) -> None:
    listed = [each["name"] for each in placement.get("/resource_classes")["resource_classes"]]
    assert listed[:3] == ["VCPU", "MEMORY_MB", "DISK_GB"]
    placement.post("/resource_classes", {"name": "CUSTOM_GOLD"}, status=201)
    placement.refused("POST", "/resource_classes", 409, body={"name": "CUSTOM_GOLD"})
    for name in ("GOLD", "CUSTOM_gold", "CUSTOM_" + "G" * 250):
        placement.refused("POST", "/resource_classes", 400, body={"name": name})
        placement.refused("PUT", f"/resource_classes/{name}", 400)
    shown = placement.get("/resource_classes/CUSTOM_GOLD")
    href = "/placement/resource_classes/CUSTOM_GOLD"
    assert shown == {"name": "CUSTOM_GOLD", "links": [{"rel": "self", "href": href}]}
    uuid, consumer = placement.provider(CUSTOM_GOLD=5), new_id()
    placement.allocate(consumer, {uuid: {"CUSTOM_GOLD": 2}})
    placement.refused("DELETE", "/resource_classes/CUSTOM_GOLD", 409, "in use in inventory")
    placement.put("/resource_classes/CUSTOM_GOLD", {"name": "CUSTOM_SILVER"}, "1.6")
    held = placement.get(f"/allocations/{consumer}")["allocations"][uuid]["resources"]
    assert held == {"CUSTOM_SILVER": 2}
    assert placement.served("resources=CUSTOM_SILVER:3") == {frozenset({(uuid, "CUSTOM_SILVER")})}
    placement.refused("GET", "/resource_classes/CUSTOM_GOLD", 404)
    placement.refused("DELETE", "/resource_classes/VCPU", 400, "Cannot delete standard")
    placement.refused("PUT", "/resource_classes/VCPU", 400, "Cannot update standard",
                      body={"name": "CUSTOM_X"}, version="1.6")  # fmt: skip
    placement.delete(f"/allocations/{consumer}")
    placement.delete(f"/resource_providers/{uuid}")
    placement.delete("/resource_classes/CUSTOM_SILVER")
    placement.refused("DELETE", "/resource_classes/CUSTOM_SILVER", 404)


def test_aggregates(placement: Placement) -> None:
    path = f"/resource_providers/{placement.provider()}/aggregates"
    assert placement.get(path) == {"aggregates": [], "resource_provider_generation": 0}
    groups = sorted((new_id(), new_id()))
    for bad in (["harry"], [groups[0], groups[0]], "x"):
        body = {"aggregates": bad, "resource_provider_generation": 0}
        placement.refused("PUT", path, 400, body=body)
    body = {"aggregates": groups, "resource_provider_generation": 0}
    shown = placement.put(path, body)
    assert shown == {**body, "resource_provider_generation": 1} == placement.get(path)
    placement.put(path, {"aggregates": [], "resource_provider_generation": 1})
    assert placement.get(path)["aggregates"] == []
    placement.refused("GET", f"/resource_providers/{new_id()}/aggregates", 404)
