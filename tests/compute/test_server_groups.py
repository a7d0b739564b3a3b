"""Server groups: their policies by version, and whose they are."""

from typing import Any

from tests.cloud import Local
from tests.compute import actors
from tests.compute.actors import Actor


def make(actor: Actor, name: str, status: int = 200, **attributes: Any) -> Any:
    body = {"server_group": {"name": name, **attributes}}
    answer = actor.post("/os-server-groups", body, status)
    return answer["server_group"] if status == 200 else answer


def test_a_group_by_version(local: Local) -> None:
    me = actors.newcomer(local, "group-versions")
    rules = {"max_server_per_host": 3}
    made = make(me, "strict", policy="anti-affinity", rules=rules)
    assert made == {
        "id": made["id"], "name": "strict", "policy": "anti-affinity", "rules": rules,
        "members": [], "project_id": me.project, "user_id": made["user_id"],
    }  # fmt: skip
    path = f"/os-server-groups/{made['id']}"
    assert me.get(path)["server_group"] == made
    middle = me.at("2.63").get(path)["server_group"]
    assert middle["policies"] == ["anti-affinity"]
    assert middle["metadata"] == {}
    assert me.at("2.12").get(path)["server_group"].keys() == {
        "id", "name", "policies", "members", "metadata"
    }  # fmt: skip
    old = make(me.at("2.1"), "old", policies=["affinity"])
    assert [each["id"] for each in me.get("/os-server-groups")["server_groups"]] == [
        made["id"], old["id"]
    ]  # fmt: skip
    assert len(me.get("/os-server-groups?limit=1&offset=1")["server_groups"]) == 1
    me.delete(path)
    me.delete(path, status=404)
    me.get(path, status=404)


def test_groups_that_cannot_be(local: Local) -> None:
    me = actors.newcomer(local, "group-errors")
    make(me, "x", status=400)
    make(me, "", status=400, policy="affinity")
    make(me, "x", status=400, policy="other")
    make(me, "x", status=400, policy="affinity", rules={"max_server_per_host": 1})
    make(me, "x", status=400, policy="anti-affinity", rules={"max_server_per_host": 0})
    make(me, "x", status=400, policy="anti-affinity", rules={"other": 1})
    make(me, "x", status=400, policies=["affinity"])
    old = me.at("2.14")
    for policies in ([], ["affinity", "anti-affinity"], ["soft-affinity"], ["other"]):
        make(old, "x", status=400, policies=policies)
    make(old, "x", status=400, policy="affinity")
    assert make(me.at("2.15"), "x", policies=["soft-affinity"])["policies"] == ["soft-affinity"]


def test_groups_belong_to_projects(local: Local) -> None:
    owner, stranger = actors.newcomer(local, "group-owner"), actors.newcomer(local, "group-other")
    reader = actors.newcomer(local, "group-reader", "reader", owner.project)
    admin = actors.admin(local)
    path = f"/os-server-groups/{make(owner, 'owned', policy='affinity')['id']}"
    stranger.get(path, status=404)
    stranger.delete(path, status=404)
    assert stranger.get("/os-server-groups?all_projects=1")["server_groups"] == []
    assert reader.get(path)["server_group"]["name"] == "owned"
    reader.delete(path, status=403)
    make(reader, "x", status=403, policy="affinity")
    everybodys = admin.get("/os-server-groups?all_projects=1&limit=1000")["server_groups"]
    assert "owned" in [each["name"] for each in everybodys]
    mine = admin.get("/os-server-groups")["server_groups"]
    assert "owned" not in [each["name"] for each in mine]
    admin.delete(path)


def test_there_are_not_too_many_groups(local: Local) -> None:
    me = actors.newcomer(local, "group-quota")
    actors.admin(local).put(f"/os-quota-sets/{me.project}", {"quota_set": {"server_groups": 1}})
    make(me, "first", policy="affinity")
    body = {"server_group": {"name": "second", "policy": "affinity"}}
    message = me.message("POST", "/os-server-groups", 403, body)
    assert message == "Quota exceeded, too many server groups."
