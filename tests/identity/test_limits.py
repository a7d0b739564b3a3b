"""Registered limits and limits, in both models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import Local
from tests.conftest import CHEAP


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Local]:
    cloud = Local(tmp_path, {**CHEAP, "ONESTACK_IDENTITY_LIMIT_MODEL": "strict_two_level"})
    yield cloud
    cloud.close()


def _registered(local: Local, name: str, default: int = 10) -> dict[str, Any]:
    service = local.admin.post("/services", {"service": {"type": f"limited-{name}"}})["service"]
    body = [{"service_id": service["id"], "resource_name": name, "default_limit": default}]
    made = local.admin.post("/registered_limits", {"registered_limits": body})
    found: dict[str, Any] = made["registered_limits"][0]
    return found


def _limit(local: Local, registered: dict[str, Any], limit: int, **owner: Any) -> Any:
    body = {
        "service_id": registered["service_id"],
        "resource_name": registered["resource_name"],
        "resource_limit": limit,
        **owner,
    }
    return local.admin.ask("POST", "/limits", {"limits": [body]})


def _project(local: Local, name: str, **more: Any) -> str:
    made = local.admin.post("/projects", {"project": {"name": name, **more}})
    project_id: str = made["project"]["id"]
    return project_id


def test_a_registered_limit_lives(local: Local) -> None:
    made = _registered(local, "cores")
    path = f"/registered_limits/{made['id']}"
    assert local.demo.get(path)["registered_limit"] == made
    found = local.demo.get("/registered_limits?resource_name=cores")["registered_limits"]
    assert found == [made]
    changed = local.admin.patch(path, {"registered_limit": {"default_limit": 7}})
    assert changed["registered_limit"] == {**made, "default_limit": 7}
    body = [{k: made[k] for k in ("service_id", "resource_name", "default_limit")}]
    local.admin.post("/registered_limits", {"registered_limits": body}, status=409)
    local.demo.post("/registered_limits", {"registered_limits": body}, status=403)
    local.admin.delete(path)
    local.admin.get(path, status=404)


def test_all_or_none_are_made(local: Local) -> None:
    made = _registered(local, "atomic")
    good = {"service_id": made["service_id"], "resource_name": "fine", "default_limit": 1}
    bad = {"service_id": "missing", "resource_name": "bad", "default_limit": 1}
    local.admin.post("/registered_limits", {"registered_limits": [good, bad]}, status=404)
    assert local.admin.get("/registered_limits?resource_name=fine")["registered_limits"] == []
    for wrong in ({**good, "default_limit": "1"}, {**good, "default_limit": 2**40}, {}):
        local.admin.post("/registered_limits", {"registered_limits": [wrong]}, status=400)
    local.admin.post("/registered_limits", {"registered_limits": []}, status=400)


def test_a_limit_lives(local: Local) -> None:
    registered = _registered(local, "ram")
    project_id = _project(local, "limited")
    answer = _limit(local, registered, 5, project_id=project_id)
    assert answer.status == 201, answer
    limit = answer.body["limits"][0]
    assert (limit["project_id"], limit["domain_id"]) == (project_id, None)
    assert _limit(local, registered, 5, project_id=project_id).status == 409
    path = f"/limits/{limit['id']}"
    local.demo.get(path, status=403)
    assert local.demo.get("/limits")["limits"] == []
    assert local.admin.get(f"/limits?project_id={project_id}")["limits"] == [limit]
    assert local.admin.get("/limits?resource_name=ram")["limits"] == [limit]
    assert local.admin.get(f"/limits?domain_id={project_id}")["limits"] == []
    changed = local.admin.patch(path, {"limit": {"resource_limit": -1, "description": "all"}})
    assert changed["limit"] == {**limit, "resource_limit": -1, "description": "all"}
    in_use = f"/registered_limits/{registered['id']}"
    local.admin.delete(in_use, status=403)
    local.admin.patch(in_use, {"registered_limit": {"resource_name": "other"}}, status=403)
    local.admin.delete(path)
    local.admin.delete(in_use)


def test_wrong_limits_are_refused(local: Local) -> None:
    registered = _registered(local, "disk")
    project_id = _project(local, "refused-limits")
    unknown = {**registered, "resource_name": "nothing"}
    assert _limit(local, unknown, 1, project_id=project_id).status == 403
    assert _limit(local, registered, 1).status == 400
    both = {"project_id": project_id, "domain_id": "default"}
    assert _limit(local, registered, 1, **both).status == 400
    assert _limit(local, registered, 1, project_id="missing").status == 404
    assert _limit(local, registered, -2, project_id=project_id).status == 400
    assert _limit(local, registered, 1, domain_id="default").status == 201


def test_members_see_their_own_limits(local: Local) -> None:
    registered = _registered(local, "ports")
    token = local.admin.get("/auth/tokens", X_Subject_Token=local.token("demo"))["token"]
    answer = _limit(local, registered, 3, project_id=token["project"]["id"])
    limit = answer.body["limits"][0]
    assert limit in local.demo.get("/limits")["limits"]
    assert local.demo.get(f"/limits/{limit['id']}")["limit"] == limit
    local.demo.patch(f"/limits/{limit['id']}", {"limit": {"resource_limit": 9}}, status=403)


def test_the_flat_model_binds_nothing(local: Local) -> None:
    assert local.demo.get("/limits/model")["model"]["name"] == "flat"
    registered = _registered(local, "flat")
    project_id = _project(local, "flat-limits")
    assert _limit(local, registered, 1, domain_id="default").status == 201
    assert _limit(local, registered, 100, project_id=project_id).status == 201


def test_the_strict_model_binds_two_levels(strict: Local) -> None:
    assert strict.admin.get("/limits/model")["model"]["name"] == "strict_two_level"
    registered = _registered(strict, "servers", default=10)
    first, second = _project(strict, "first"), _project(strict, "second")
    assert _limit(strict, registered, 11, project_id=first).status == 403
    assert _limit(strict, registered, -1, project_id=first).status == 403
    assert _limit(strict, registered, 8, project_id=first).status == 201
    assert _limit(strict, registered, 7, domain_id="default").status == 403
    domain = _limit(strict, registered, 20, domain_id="default")
    assert domain.status == 201, domain
    assert _limit(strict, registered, 20, project_id=second).status == 201
    path = f"/limits/{domain.body['limits'][0]['id']}"
    strict.admin.patch(path, {"limit": {"resource_limit": 19}}, status=403)
    strict.admin.patch(path, {"limit": {"resource_limit": -1}})
