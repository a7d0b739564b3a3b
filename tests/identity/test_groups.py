"""Groups."""

from tests.cloud import Local


def test_a_group_lives(local: Local) -> None:
    made = local.admin.post("/groups", {"group": {"name": "g1", "colour": "red"}})["group"]
    assert made["domain_id"] == "default"
    assert made["colour"] == "red"
    assert local.admin.get(f"/groups/{made['id']}")["group"] == made
    assert made in local.admin.get("/groups")["groups"]
    local.admin.post("/groups", {"group": {"name": "g1"}}, status=409)
    changed = local.admin.patch(f"/groups/{made['id']}", {"group": {"description": "d"}})["group"]
    assert changed == {**made, "description": "d"}
    local.demo.get(f"/groups/{made['id']}", status=403)
    local.admin.delete(f"/groups/{made['id']}")
    local.admin.get(f"/groups/{made['id']}", status=404)


def test_lists_come_in_pages(local: Local) -> None:
    for name in ("page-a", "page-b", "page-c"):
        local.admin.post("/groups", {"group": {"name": name}})
    first = local.admin.get("/groups?name__contains=page-&limit=2&sort_key=name")
    assert [group["name"] for group in first["groups"]] == ["page-a", "page-b"]
    following = first["links"]["next"].split("/identity/v3")[1]
    second = local.admin.get(following)
    assert [group["name"] for group in second["groups"]] == ["page-c"]
    assert second["links"]["next"] is None


def test_tokens_validate_and_are_revoked(local: Local) -> None:
    answer = local.login("demo", local.accounts["demo"]["password"])
    token = answer.headers["x-subject-token"]
    shown = local.admin.get("/auth/tokens", X_Subject_Token=token)["token"]
    assert shown == answer.body["token"]
    assert [role["name"] for role in shown["roles"]] == ["member", "reader"]
    assert local.admin.ask("DELETE", "/auth/tokens", X_Subject_Token=token).status == 204
    local.admin.get("/auth/tokens", status=404, X_Subject_Token=token)
    assert local.ask("GET", "/identity/v3/groups", token=token).status == 401
