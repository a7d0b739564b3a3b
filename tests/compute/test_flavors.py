"""Flavours: their shapes by version, who sees which, and what they ask of hosts."""

from typing import Any

import pytest

from tests.cloud import Local
from tests.compute import actors
from tests.compute.actors import Actor

OLD = {"OS-FLV-DISABLED:disabled", "disk", "OS-FLV-EXT-DATA:ephemeral", "id", "links", "name",
       "os-flavor-access:is_public", "ram", "swap", "vcpus", "rxtx_factor"}  # fmt: skip


def make(admin: Actor, name: str, status: int = 200, **attributes: Any) -> Any:
    body = {"name": name, "ram": 64, "vcpus": 1, "disk": 1, **attributes}
    answer = admin.post("/flavors", {"flavor": body}, status)
    return answer["flavor"] if status == 200 else answer


def names(actor: Actor, query: str = "") -> list[str]:
    return [each["name"] for each in actor.get(f"/flavors{query}")["flavors"]]


def test_a_flavor_by_version(local: Local) -> None:
    admin = actors.admin(local)
    made = make(admin, "by-version", description="words", swap=0)
    path = f"/flavors/{made['id']}"
    old = admin.at("2.1").get(path)["flavor"]
    assert old.keys() == OLD
    assert old["swap"] == ""
    assert old["rxtx_factor"] == 1.0
    assert admin.at("2.55").get(path)["flavor"].keys() == OLD | {"description"}
    assert admin.at("2.61").get(path)["flavor"]["extra_specs"] == {}
    assert admin.at("2.74").get(path)["flavor"]["swap"] == ""
    assert admin.at("2.75").get(path)["flavor"]["swap"] == 0
    new = admin.get(path)["flavor"]
    dropped = {"rxtx_factor", "OS-FLV-DISABLED:disabled"}
    assert new.keys() == (OLD | {"description", "extra_specs"}) - dropped
    assert new["links"][0]["href"].endswith(f"/compute/v2.1{path}")
    listed = admin.at("2.54").get("/flavors")["flavors"][0]
    assert listed.keys() == {"id", "name", "links"}


def test_flavors_are_made_with_all_that_they_have(local: Local) -> None:
    admin = actors.admin(local)
    made = make(
        admin.at("2.1"), "whole", id="whole-id", ram="128", vcpus="2", disk="3", swap="512",
        rxtx_factor="1.5", **{"OS-FLV-EXT-DATA:ephemeral": 4, "os-flavor-access:is_public": "no"},
    )  # fmt: skip
    assert (made["id"], made["ram"], made["vcpus"], made["disk"]) == ("whole-id", 128, 2, 3)
    assert (made["swap"], made["rxtx_factor"], made["OS-FLV-EXT-DATA:ephemeral"]) == (512, 1.5, 4)
    assert made["os-flavor-access:is_public"] is False
    body = {"flavor": {"name": "whole", "ram": 1, "vcpus": 1, "disk": 1}}
    assert "already exists" in admin.message("POST", "/flavors", 409, body)
    body["flavor"] |= {"name": "other", "id": "whole-id"}
    assert "ID whole-id already exists" in admin.message("POST", "/flavors", 409, body)
    assert len(make(admin, "automatic", id="auto")["id"]) == 36
    admin.delete("/flavors/whole-id", status=202)
    admin.get("/flavors/whole-id", status=404)
    admin.delete("/flavors/whole-id", status=404)


@pytest.mark.parametrize("wrong", [
    {"ram": 0}, {"ram": -1}, {"vcpus": 0}, {"disk": -1}, {"ram": 2**31}, {"ram": "x"}, {"ram": 1.5},
    {"name": ""}, {"name": " x"}, {"name": "x" * 256}, {"id": "a/b"}, {"id": " a"}, {"swap": -1},
    {"unknown": 1}, {"os-flavor-access:is_public": "perhaps"}, {"rxtx_factor": 1},
    {"description": 1},
])  # fmt: skip
def test_flavors_that_cannot_be(local: Local, wrong: dict[str, Any]) -> None:
    attributes = {"name": "wrong", **wrong}
    make(actors.admin(local), status=400, **attributes)


def test_who_makes_flavors(local: Local) -> None:
    demo = actors.demo(local)
    make(demo, "no", status=403)
    message = demo.message("DELETE", "/flavors/1", 403)
    assert message == "Policy doesn't allow os_compute_api:os-flavor-manage:delete to be performed."
    demo.put("/flavors/1", {"flavor": {"description": "x"}}, status=403)
    nobody = actors.Actor(local, None)
    nobody.get("/flavors", status=401)


def test_a_flavor_is_described_anew(local: Local) -> None:
    admin = actors.admin(local)
    path = f"/flavors/{make(admin, 'described')['id']}"
    assert admin.put(path, {"flavor": {"description": "new"}})["flavor"]["description"] == "new"
    admin.put(path, {"flavor": {"description": "new", "ram": 1}}, status=400)
    admin.put(path, {"flavor": {"description": "x" * 65536}}, status=400)
    admin.at("2.54").put(path, {"flavor": {"description": "new"}}, status=404)
    assert admin.put(path, {"flavor": {"description": None}})["flavor"]["description"] is None


def test_lists_are_filtered_sorted_and_cut(local: Local) -> None:
    admin = actors.admin(local)
    for number in (1, 2, 3):
        make(admin, f"sorted-{number}", id=f"sorted-{4 - number}", ram=70_000 + number, disk=number)
    wanted = "?minRam=70001&minDisk=1"
    assert names(admin, wanted) == ["sorted-3", "sorted-2", "sorted-1"]
    assert names(admin, f"{wanted}&sort_key=name") == ["sorted-1", "sorted-2", "sorted-3"]
    assert names(admin, f"{wanted}&sort_key=memory_mb&sort_dir=desc&limit=2") == [
        "sorted-3", "sorted-2",
    ]  # fmt: skip
    page = admin.get(f"/flavors/detail{wanted}&limit=2")
    assert [each["id"] for each in page["flavors"]] == ["sorted-1", "sorted-2"]
    assert "marker=sorted-2" in page["flavors_links"][0]["href"]
    rest = admin.get(f"/flavors/detail{wanted}&limit=2&marker=sorted-2")
    assert [each["id"] for each in rest["flavors"]] == ["sorted-3"]
    assert "flavors_links" not in rest
    assert names(admin, "?minRam=70001&minDisk=3") == ["sorted-3"]
    for query in ("limit=-1", "limit=x", "marker=nothing", "minRam=x", "sort_key=extra",
                  "sort_dir=up", "minDisk=x", "is_public=perhaps"):  # fmt: skip
        admin.get(f"/flavors?{query}", status=400)


def test_a_private_flavor_is_for_the_projects_that_were_named(local: Local) -> None:
    admin, owner = actors.admin(local), actors.newcomer(local, "private-flavor")
    stranger = actors.newcomer(local, "private-stranger")
    flavor = make(admin, "private", **{"os-flavor-access:is_public": False})
    path = f"/flavors/{flavor['id']}"
    owner.get(path, status=404)
    tenant = {"tenant": owner.project}
    added = admin.post(f"{path}/action", {"addTenantAccess": tenant})
    assert added == {"flavor_access": [{"flavor_id": flavor["id"], "tenant_id": owner.project}]}
    assert admin.get(f"{path}/os-flavor-access") == added
    admin.post(f"{path}/action", {"addTenantAccess": tenant}, status=409)
    assert owner.get(path)["flavor"]["name"] == "private"
    assert "private" in names(owner)
    assert "private" not in names(stranger)
    assert "private" not in names(admin)
    assert "private" in names(admin, "?is_public=none")
    assert "private" in names(admin, "?is_public=false")
    assert "m1.tiny" not in names(admin, "?is_public=false")
    assert "private" not in names(stranger, "?is_public=none")
    owner.post(f"{path}/action", {"removeTenantAccess": tenant}, status=403)
    owner.get(f"{path}/os-flavor-access", status=403)
    removed = admin.post(f"{path}/action", {"removeTenantAccess": tenant})
    assert removed == {"flavor_access": []}
    owner.get(path, status=404)
    admin.post(f"{path}/action", {"removeTenantAccess": tenant}, status=404)
    admin.post(f"{path}/action", {"other": tenant}, status=400)
    admin.post(f"{path}/action", {"addTenantAccess": {}}, status=400)
    admin.get("/flavors/1/os-flavor-access", status=404)
    admin.post("/flavors/1/action", {"addTenantAccess": tenant}, status=409)
    admin.at("2.6").post("/flavors/1/action", {"addTenantAccess": tenant})
    admin.post("/flavors/none/action", {"addTenantAccess": tenant}, status=404)


def test_extra_specs(local: Local) -> None:
    admin, demo = actors.admin(local), actors.demo(local)
    flavor = make(admin, "extra")
    path = f"/flavors/{flavor['id']}/os-extra_specs"
    specs = {"hw:numa_nodes": "1", "quota": "2"}
    assert admin.post(path, {"extra_specs": specs}) == {"extra_specs": specs}
    assert demo.get(path) == {"extra_specs": specs}
    assert demo.get(f"/flavors/{flavor['id']}")["flavor"]["extra_specs"] == specs
    listed = {each["id"]: each for each in demo.get("/flavors/detail")["flavors"]}
    assert listed[flavor["id"]]["extra_specs"] == specs
    assert listed["1"]["extra_specs"] == {}
    assert demo.get(f"{path}/quota") == {"quota": "2"}
    assert admin.put(f"{path}/quota", {"quota": "3"}) == {"quota": "3"}
    admin.put(f"{path}/quota", {"other": "3"}, status=400)
    admin.put(f"{path}/quota", {"quota": "3", "other": "4"}, status=400)
    admin.delete(f"{path}/quota", status=200)
    admin.delete(f"{path}/quota", status=404)
    admin.get(f"{path}/quota", status=404)
    assert admin.get(path) == {"extra_specs": {"hw:numa_nodes": "1"}}
    for wrong in ({"a/b": "1"}, {"": "1"}, {"a": "x" * 256}, {"a": None}, {"x" * 256: "1"}):
        admin.post(path, {"extra_specs": wrong}, status=400)
    demo.post(path, {"extra_specs": specs}, status=403)
    demo.put(f"{path}/quota", {"quota": "3"}, status=403)
    demo.delete(f"{path}/quota", status=403)
    admin.get("/flavors/none/os-extra_specs", status=404)
