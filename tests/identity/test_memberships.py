"""Who is in which group, who may say so, and what a user reaches."""

from typing import Any

import pytest

from tests.cloud import As, Local
from tests.identity.people import being, make_domain, make_user, persona, role_id


def make_group(local: Local, name: str, **attributes: Any) -> dict[str, Any]:
    body = {"name": name, "domain_id": "default", **attributes}
    made: dict[str, Any] = local.admin.post("/groups", {"group": body})["group"]
    return made


def test_a_member_comes_and_goes(local: Local) -> None:
    admin, group, user = local.admin, make_group(local, "m-life"), make_user(local, "m-life")
    path = f"/groups/{group['id']}/users/{user['id']}"
    admin.head(path, status=404)
    admin.put(path)
    admin.put(path)  # once more is no harm
    admin.head(path, status=204)
    admin.get(path, status=204)
    assert admin.get(f"/groups/{group['id']}/users")["users"] == [user]
    mine = admin.get(f"/users/{user['id']}/groups")["groups"]
    assert mine == [{**group, "membership_expires_at": None}]
    admin.delete(path)
    gone = admin.ask("DELETE", path)
    assert gone.status == 404
    assert gone.message == f"User '{user['id']}' not found in group '{group['id']}'"
    assert admin.get(f"/groups/{group['id']}/users")["users"] == []


def test_unknown_users_and_groups(local: Local) -> None:
    group, user = make_group(local, "m-unknown"), make_user(local, "m-unknown")
    nobody = "0" * 32
    for method in ("PUT", "HEAD", "DELETE"):
        assert local.admin.ask(method, f"/groups/{group['id']}/users/{nobody}").status == 404
        assert local.admin.ask(method, f"/groups/{nobody}/users/{user['id']}").status == 404
    for path in (f"/groups/{nobody}/users", f"/users/{nobody}/groups", f"/users/{nobody}/projects"):
        local.admin.get(path, status=404)


def test_members_are_filtered(local: Local) -> None:
    group = make_group(local, "m-filter")
    on, off = make_user(local, "m-on"), make_user(local, "m-off", enabled=False)
    for user in (on, off):
        local.admin.put(f"/groups/{group['id']}/users/{user['id']}")
    path = f"/groups/{group['id']}/users"
    assert local.admin.get(f"{path}?enabled=False")["users"] == [off]
    assert local.admin.get(f"{path}?name=m-on")["users"] == [on]
    assert local.admin.get(f"{path}?password_expires_at=gt:2020-01-01T00:00:00Z")["users"] == []
    local.admin.get(f"{path}?password_expires_at=whenever", status=400)
    first = local.admin.get(f"{path}?limit=1&sort_key=name")
    assert (first["users"], first["links"]["next"] is None) == ([off], False)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"name": ""},
        {"name": " "},
        {"name": "a\x7fb"},
        {"name": "x" * 256},
        {"name": "m-bad", "description": 1},
        {"name": "m-bad", "domain_id": ""},
    ],
)
def test_bad_groups_are_refused(local: Local, attributes: dict[str, Any]) -> None:
    local.admin.post("/groups", {"group": attributes}, status=400)


def test_a_group_stays_in_its_domain(local: Local) -> None:
    group = make_group(local, "m-fixed", description=None, project_id="p")
    assert (group["description"], group["project_id"]) == ("", "p")
    path = f"/groups/{group['id']}"
    local.admin.patch(path, {"group": {"domain_id": "elsewhere"}}, status=400)
    assert local.admin.patch(path, {"group": {"domain_id": "default"}})["group"] == group
    other = make_group(local, "m-other")
    local.admin.patch(f"/groups/{other['id']}", {"group": {"name": "m-fixed"}}, status=409)


def test_ordinary_users_know_their_own_groups_only(local: Local) -> None:
    me, other = make_user(local, "m-me"), make_user(local, "m-not-me")
    group = make_group(local, "m-mine")
    local.admin.put(f"/groups/{group['id']}/users/{me['id']}")
    mine = being(local, me)
    assert [g["id"] for g in mine.get(f"/users/{me['id']}/groups")["groups"]] == [group["id"]]
    mine.get(f"/users/{other['id']}/groups", status=403)
    mine.get("/groups", status=403)
    mine.get(f"/groups/{group['id']}", status=403)
    mine.get(f"/groups/{group['id']}/users", status=403)
    for method in ("PUT", "HEAD", "DELETE"):
        path = f"/groups/{group['id']}/users/{me['id']}"
        assert mine.ask(method, path).status == 403
        assert As(local, None).ask(method, path).status == 401


def test_people_of_a_domain_manage_its_groups_only(local: Local) -> None:
    domain = make_domain(local, "m-domain")
    reader = persona(local, "m-reader", "reader", domain)
    manager = persona(local, "m-manager", "manager", domain)
    outside, stranger = make_group(local, "m-outside"), make_user(local, "m-stranger")
    inside = manager.post("/groups", {"group": {"name": "m-inside"}})["group"]
    user = manager.post("/users", {"user": {"name": "m-member"}})["user"]
    path = f"/groups/{inside['id']}/users/{user['id']}"
    assert inside["domain_id"] == domain
    reader.put(path, status=403)
    manager.put(path)
    reader.head(path, status=204)
    assert reader.get(f"/groups/{inside['id']}/users")["users"] == [user]
    reader.delete(path, status=403)
    for somebody in (reader, manager, persona(local, "m-admin", "admin", domain)):
        assert somebody.get("/groups")["groups"] == [inside]
        assert somebody.get("/groups?domain_id=default")["groups"] == []
    for somebody in (reader, manager):
        somebody.get(f"/groups/{outside['id']}", status=403)
        somebody.get(f"/groups/{'0' * 32}", status=403)
        somebody.put(f"/groups/{inside['id']}/users/{stranger['id']}", status=403)
        somebody.put(f"/groups/{outside['id']}/users/{user['id']}", status=403)
        somebody.delete(f"/groups/{outside['id']}", status=403)
    manager.delete(path)
    manager.delete(f"/groups/{inside['id']}")


def test_rights_through_a_group_end_with_membership(local: Local) -> None:
    user, group = make_user(local, "m-rights"), make_group(local, "m-rights")
    project = local.admin.post("/projects", {"project": {"name": "m-rights"}})["project"]
    member = role_id(local, "member")
    local.admin.put(f"/projects/{project['id']}/groups/{group['id']}/roles/{member}")
    path = f"/groups/{group['id']}/users/{user['id']}"
    local.admin.put(path)
    scope = {"project": {"id": project["id"]}}
    token = being(local, user, scope=scope)
    assert [p["id"] for p in token.get("/auth/projects")["projects"]] == [project["id"]]
    local.admin.delete(path)
    token.get("/auth/projects", status=401)
    local.admin.put(path)
    token.get("/auth/projects", status=401)  # a new membership revives no old token
    fresh = being(local, user, scope=scope)
    local.admin.delete(f"/groups/{group['id']}")
    fresh.get("/auth/projects", status=401)


def test_the_projects_of_a_user(local: Local) -> None:
    user = make_user(local, "m-projects")
    member = role_id(local, "member")
    projects = [
        local.admin.post("/projects", {"project": {"name": f"m-project-{n}"}})["project"]
        for n in range(2)
    ]
    local.admin.put(f"/projects/{projects[0]['id']}/users/{user['id']}/roles/{member}")
    path = f"/users/{user['id']}/projects"
    assert local.admin.get(path)["projects"] == [projects[0]]
    assert being(local, user).get(path)["projects"] == [projects[0]]
    assert local.admin.get(f"{path}?name=m-project-1")["projects"] == []
    local.admin.patch(f"/users/{user['id']}", {"user": {"enabled": False}})
    assert local.admin.get(path)["projects"] == [projects[0]]
