"""Regions, services, endpoints, what filters show of them, and the catalogue."""

from typing import Any

import pytest

from tests.cloud import Local


def _service(local: Local, kind: str) -> dict[str, Any]:
    made: dict[str, Any] = local.admin.post("/services", {"service": {"type": kind, "name": kind}})
    return made["service"]


def _endpoint(local: Local, service_id: str, **more: Any) -> dict[str, Any]:
    body = {
        "service_id": service_id,
        "interface": "public",
        "url": "http://x/%(tenant_id)s",
        **more,
    }
    made: dict[str, Any] = local.admin.post("/endpoints", {"endpoint": body})
    return made["endpoint"]


def test_regions_form_a_tree(local: Local) -> None:
    top = local.admin.post("/regions", {"region": {"description": "top"}})["region"]
    body = {"region": {"parent_region_id": top["id"], "floor": 3}}
    below = local.admin.put("/regions/below", body, status=201)["region"]
    assert below["parent_region_id"] == top["id"]
    assert below["floor"] == 3
    found = local.admin.get(f"/regions?parent_region_id={top['id']}")["regions"]
    assert found == [below]
    circle = {"region": {"parent_region_id": "below"}}
    local.admin.patch(f"/regions/{top['id']}", circle, status=400)
    local.admin.delete(f"/regions/{top['id']}", status=409)
    local.admin.put("/regions/below", body, status=409)
    local.admin.delete("/regions/below")
    local.admin.delete(f"/regions/{top['id']}")
    local.admin.get(f"/regions/{top['id']}", status=404)


def test_a_service_takes_its_endpoints_along(local: Local) -> None:
    service = _service(local, "gone")
    endpoint = _endpoint(local, service["id"], region="elsewhere")
    assert endpoint["region_id"] == endpoint["region"] == "elsewhere"
    assert local.admin.get("/regions/elsewhere")["region"]["id"] == "elsewhere"
    local.admin.delete("/regions/elsewhere", status=403)
    local.admin.delete(f"/services/{service['id']}")
    local.admin.get(f"/endpoints/{endpoint['id']}", status=404)
    local.admin.delete("/regions/elsewhere")


@pytest.mark.parametrize(
    "wrong",
    [
        {"enabled": "False"},
        {"interface": "sideways"},
        {"url": "http://x/%(password)s"},
        {"region_id": "nowhere"},
        {"service_id": "nothing"},
        {"url": ""},
    ],
)
def test_wrong_endpoints_are_refused(local: Local, wrong: dict[str, Any]) -> None:
    service = _service(local, "refusing")
    body = {"service_id": service["id"], "interface": "public", "url": "http://x", **wrong}
    answer = local.admin.ask("POST", "/endpoints", {"endpoint": body})
    assert answer.status in (400, 404), answer
    assert local.admin.get(f"/endpoints?service_id={service['id']}")["endpoints"] == []


def test_the_catalogue_names_what_is_enabled(local: Local) -> None:
    service = _service(local, "catalogued")
    endpoint = _endpoint(local, service["id"], region="RegionOne")
    project_id = local.admin.get("/auth/tokens", X_Subject_Token=local.token("demo"))["token"][
        "project"
    ]["id"]

    def entry() -> Any:
        token = local.admin.get("/auth/tokens", X_Subject_Token=local.token("demo"))["token"]
        return next((e for e in token["catalog"] if e["type"] == "catalogued"), None)

    assert entry()["endpoints"][0]["url"] == f"http://x/{project_id}"
    local.admin.patch(f"/endpoints/{endpoint['id']}", {"endpoint": {"enabled": False}})
    assert entry()["endpoints"] == []
    local.admin.patch(f"/services/{service['id']}", {"service": {"enabled": False}})
    assert entry() is None


def test_filters_limit_what_a_project_sees(fresh: Local) -> None:
    service = _service(fresh, "filtered")
    endpoint = _endpoint(fresh, service["id"], region="RegionOne")
    token = fresh.admin.get("/auth/tokens", X_Subject_Token=fresh.token("demo"))["token"]
    project_id = token["project"]["id"]
    path = f"/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint['id']}"
    fresh.admin.get(path, status=404)
    fresh.admin.put(path)
    fresh.admin.head(path, status=204)

    def types() -> set[str]:
        shown = fresh.admin.get("/auth/tokens", X_Subject_Token=fresh.token("demo"))["token"]
        return {entry["type"] for entry in shown["catalog"]}

    assert types() == {"filtered"}
    (identity,) = fresh.admin.get("/services?type=identity")["services"]
    filters = {"interface": "internal", "service_id": identity["id"]}
    group = fresh.admin.post(
        "/OS-EP-FILTER/endpoint_groups",
        {"endpoint_group": {"name": "all of identity", "filters": filters}},
    )["endpoint_group"]
    association = f"/OS-EP-FILTER/endpoint_groups/{group['id']}/projects/{project_id}"
    fresh.admin.put(association)
    assert fresh.admin.get(association)["project"]["id"] == project_id
    assert types() == {"filtered", "identity"}
    listed = fresh.admin.get(f"/OS-EP-FILTER/projects/{project_id}/endpoint_groups")
    assert [each["id"] for each in listed["endpoint_groups"]] == [group["id"]]
    shown = fresh.admin.get(f"/OS-EP-FILTER/projects/{project_id}/endpoints")["endpoints"]
    assert {each["interface"] for each in shown} == {"public", "internal"}
    fresh.admin.delete(association)
    fresh.admin.delete(path)
    fresh.admin.delete(path, status=404)
    assert types() > {"filtered", "identity"}


def test_endpoint_groups_refuse_unknown_filters(local: Local) -> None:
    body = {"endpoint_group": {"name": "x", "filters": {"colour": "red"}}}
    local.admin.post("/OS-EP-FILTER/endpoint_groups", body, status=400)


def test_an_endpoint_goes_by_the_nearest_policy(local: Local) -> None:
    local.admin.put("/regions/p-top", {"region": {}}, status=201)
    local.admin.put("/regions/p-low", {"region": {"parent_region_id": "p-top"}}, status=201)
    service = _service(local, "governed")
    endpoint = _endpoint(local, service["id"], region_id="p-low")
    made = [
        local.admin.post("/policies", {"policy": {"blob": "{}", "type": "text/x"}})["policy"]["id"]
        for _ in range(3)
    ]
    mine = f"/endpoints/{endpoint['id']}/OS-ENDPOINT-POLICY/policy"
    local.admin.get(mine, status=404)
    places = [f"services/{service['id']}", f"services/{service['id']}/regions/p-top",
              f"endpoints/{endpoint['id']}"]  # fmt: skip
    for policy_id, place in zip(made, places, strict=True):
        path = f"/policies/{policy_id}/OS-ENDPOINT-POLICY/{place}"
        local.admin.get(path, status=404)
        local.admin.put(path)
        local.admin.get(path, status=204)
        assert local.admin.get(mine)["policy"]["id"] == policy_id
    listed = local.admin.get(f"/policies/{made[2]}/OS-ENDPOINT-POLICY/endpoints")["endpoints"]
    assert [each["id"] for each in listed] == [endpoint["id"]]
    local.admin.delete(f"/policies/{made[2]}")
    assert local.admin.get(mine)["policy"]["id"] == made[1]


def test_members_read_regions_but_not_services(local: Local) -> None:
    local.demo.get("/regions")
    local.demo.get("/services", status=403)
    local.demo.post("/regions", {"region": {}}, status=403)
    assert local.ask("GET", "/identity/v3/regions").status == 401


def test_one_endpoint_is_shown_and_deleted(local: Local) -> None:
    service = _service(local, "single")
    assert local.admin.get(f"/services/{service['id']}")["service"] == service
    endpoint = _endpoint(local, service["id"])
    path = f"/endpoints/{endpoint['id']}"
    assert local.admin.get(path)["endpoint"] == endpoint
    local.admin.delete(path)
    local.admin.get(path, status=404)


def test_a_region_changes(local: Local) -> None:
    region = local.admin.post("/regions", {"region": {"description": "a"}})["region"]
    path = f"/regions/{region['id']}"
    changed = local.admin.patch(path, {"region": {"description": "b", "tier": 2}})["region"]
    assert changed == {**region, "description": "b", "tier": 2}
    local.admin.delete(path)


def test_an_endpoint_group_lives(local: Local) -> None:
    service = _service(local, "grouped")
    endpoint = _endpoint(local, service["id"])
    body = {"endpoint_group": {"name": "g", "filters": {"service_id": service["id"]}}}
    group = local.admin.post("/OS-EP-FILTER/endpoint_groups", body)["endpoint_group"]
    path = f"/OS-EP-FILTER/endpoint_groups/{group['id']}"
    assert local.admin.get(path)["endpoint_group"] == group
    assert local.admin.get(f"{path}/endpoints")["endpoints"] == [endpoint]
    project = local.admin.get("/projects?name=demo")["projects"][0]
    local.admin.put(f"{path}/projects/{project['id']}")
    shown = local.admin.get(f"{path}/projects")["projects"]
    assert [each["id"] for each in shown] == [project["id"]]
    local.admin.delete(f"{path}/projects/{project['id']}")
    local.admin.get(f"{path}/projects/{project['id']}", status=404)
    change = {"endpoint_group": {"description": "d", "filters": {"interface": "admin"}}}
    changed = local.admin.patch(path, change)["endpoint_group"]
    assert changed == {**group, "description": "d", "filters": {"interface": "admin"}}
    assert endpoint not in local.admin.get(f"{path}/endpoints")["endpoints"]
    local.admin.delete(path)
    local.admin.get(path, status=404)


def test_an_endpoint_names_the_projects_it_is_shown_to(local: Local) -> None:
    endpoint = _endpoint(local, _service(local, "shown")["id"])
    made = local.admin.post("/projects", {"project": {"name": "sees one endpoint"}})["project"]
    association = f"/OS-EP-FILTER/projects/{made['id']}/endpoints/{endpoint['id']}"
    local.admin.put(association)
    local.admin.get(association, status=204)
    found = local.admin.get(f"/OS-EP-FILTER/endpoints/{endpoint['id']}/projects")["projects"]
    assert [each["id"] for each in found] == [made["id"]]


def test_a_policy_is_changed_and_let_go(local: Local) -> None:
    service = _service(local, "letting")
    endpoint = _endpoint(local, service["id"], region="RegionOne")
    body = {"policy": {"blob": "{}", "type": "text/x", "origin": "here"}}
    policy = local.admin.post("/policies", body)["policy"]
    path = f"/policies/{policy['id']}"
    assert local.admin.get(path)["policy"] == policy
    changed = local.admin.patch(path, {"policy": {"blob": "[]", "type": "text/y"}})["policy"]
    assert changed == {**policy, "blob": "[]", "type": "text/y"}
    assert changed in local.admin.get("/policies?type=text/y")["policies"]
    for place in (
        f"endpoints/{endpoint['id']}",
        f"services/{service['id']}",
        f"services/{service['id']}/regions/RegionOne",
    ):
        association = f"{path}/OS-ENDPOINT-POLICY/{place}"
        local.admin.delete(association, status=404)
        local.admin.put(association)
        local.admin.head(association, status=204)
        local.admin.delete(association)
        local.admin.get(association, status=404)
