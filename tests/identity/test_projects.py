"""Projects: their lives, the tree, and who may do what."""

from typing import Any

import pytest

from tests.cloud import As, Local
from tests.identity.places import make, make_domain, member, names, sign_in


def test_a_project_lives(local: Local) -> None:
    admin = local.admin
    made = make(admin, " p-life ", colour="red", tags=["b", "a"])
    assert made == {
        "id": made["id"],
        "name": "p-life",
        "domain_id": "default",
        "parent_id": "default",
        "is_domain": False,
        "enabled": True,
        "description": "",
        "tags": ["a", "b"],
        "options": {},
        "colour": "red",
        "links": {"self": f"http://127.0.0.1:5000/identity/v3/projects/{made['id']}"},
    }
    path = f"/projects/{made['id']}"
    assert admin.get(path)["project"] == made
    assert made in admin.get("/projects")["projects"]
    changes = {"description": "d", "size": 7, "name": "p-life-2", "tags": ["c"]}
    changed = admin.patch(path, {"project": changes})["project"]
    assert changed == {**made, **changes}
    assert admin.get(path)["project"] == changed
    assert admin.patch(path, {"project": {"description": None}})["project"]["description"] is None
    admin.delete(path)
    admin.get(path, status=404)
    admin.delete(path, status=404)
    admin.patch(path, {"project": {"name": "x"}}, status=404)


def test_names_are_unique_in_a_domain(local: Local) -> None:
    admin = local.admin
    domain = make_domain(local, "p-unique")
    first = make(admin, "p-same")
    make(admin, "p-same", status=409)
    make(admin, "p-same", domain_id=domain["id"])
    other = make(admin, "p-other")
    admin.patch(f"/projects/{other['id']}", {"project": {"name": "p-same"}}, status=409)
    make(admin, "p-same", status=409, parent_id=first["id"])


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"name": "   "},
        {"name": "\u3000"},
        {"name": "x" * 65},
        {"name": "a\nb"},
        {"name": 7},
        {},
        {"name": "bad-project", "enabled": "yes"},
        {"name": "bad-project", "description": 1},
        {"name": "bad-project", "domain_id": "none-such"},
        {"name": "bad-project", "domain_id": "x" * 65},
        {"name": "bad-project", "parent_id": "none-such"},
        {"name": "bad-project", "options": {"unknown": True}},
        {"name": "bad-project", "options": {"immutable": "yes"}},
        {"name": "bad-project", "options": []},
        {"name": "bad-project", "tags": "red"},
        {"name": "bad-project", "tags": ["a", "a"]},
        {"name": "bad-project", "tags": ["a", " a"]},
        {"name": "bad-project", "tags": ["a,b"]},
        {"name": "bad-project", "tags": ["a/b"]},
        {"name": "bad-project", "tags": [" "]},
        {"name": "bad-project", "tags": ["x" * 256]},
        {"name": "bad-project", "tags": [str(n) for n in range(81)]},
        {"name": "bad-project", "is_domain": True, "domain_id": "default"},
        {"name": "bad-project", "is_domain": True, "parent_id": "default"},
    ],
)
def test_bad_projects_are_refused(local: Local, body: Any) -> None:
    local.admin.post("/projects", {"project": body}, status=400)
    assert local.admin.get("/projects?name=bad-project")["projects"] == []
    assert local.admin.get("/domains?name=bad-project")["domains"] == []


def test_where_a_project_stands_does_not_change(local: Local) -> None:
    admin = local.admin
    project, other = make(admin, "p-place"), make(admin, "p-place-2")
    path = f"/projects/{project['id']}"
    same = {key: project[key] for key in ("id", "domain_id", "parent_id", "is_domain")}
    assert admin.patch(path, {"project": same})["project"] == project
    admin.patch(path, {"project": {"id": other["id"]}}, status=400)
    admin.patch(path, {"project": {"domain_id": "else"}}, status=400)
    admin.patch(path, {"project": {"domain_id": None}}, status=400)
    admin.patch(path, {"project": {"is_domain": True}}, status=400)
    admin.patch(path, {"project": {"parent_id": other["id"]}}, status=403)
    assert admin.get(path)["project"] == project


def test_a_project_that_names_no_domain_is_its_parents(local: Local) -> None:
    domain = make_domain(local, "p-home")
    top = make(local.admin, "p-home-top", domain_id=domain["id"], parent_id=None)
    child = make(local.admin, "p-home-child", domain_id=None, parent_id=top["id"])
    assert (child["domain_id"], child["parent_id"]) == (domain["id"], top["id"])
    assert make(local.admin, "p-home-root", domain_id=None)["domain_id"] == "default"


def test_a_tree_has_five_levels_and_stays_in_its_domain(local: Local) -> None:
    admin = local.admin
    domain = make_domain(local, "p-tree")
    made: list[Any] = []
    for level in range(5):
        parent_id = made[-1]["id"] if made else domain["id"]
        made.append(make(admin, f"p-tree-{level}", domain_id=domain["id"], parent_id=parent_id))
    top, leaf = made[0], made[-1]
    deep = make(admin, "p-tree-5", 403, domain_id=domain["id"], parent_id=leaf["id"])
    assert deep == f"Max hierarchy depth reached for {leaf['id']} branch."
    make(admin, "p-tree-x", 400, domain_id="default", parent_id=top["id"])
    make(admin, "p-tree-x", 400, domain_id="default", parent_id=domain["id"])

    ids = [project["id"] for project in made]
    assert admin.get(f"/projects?parent_id={ids[0]}")["projects"] == [made[1]]
    shown = admin.get(f"/projects/{ids[2]}?parents_as_ids&subtree_as_ids")["project"]
    assert shown["parents"] == {ids[1]: {ids[0]: {domain["id"]: None}}}
    assert shown["subtree"] == {ids[3]: {ids[4]: None}}
    assert admin.get(f"/projects/{ids[4]}?subtree_as_ids=1")["project"]["subtree"] is None
    plain = admin.get(f"/projects/{ids[2]}?parents_as_ids=false")["project"]
    assert plain == made[2]
    for kind in ("parents", "subtree"):
        admin.get(f"/projects/{ids[2]}?{kind}_as_ids&{kind}_as_list", status=400)

    assert "leaf" in admin.delete(f"/projects/{ids[3]}", status=403)["error"]["message"]
    admin.delete(f"/projects/{ids[4]}")
    admin.delete(f"/projects/{ids[3]}")


def test_lists_of_the_tree_hold_what_the_caller_has_a_role_on(local: Local) -> None:
    admin = local.admin
    domain = make_domain(local, "p-seen")
    top = make(admin, "p-seen-top", domain_id=domain["id"])
    middle = make(admin, "p-seen-middle", parent_id=top["id"])
    leaf = make(admin, "p-seen-leaf", parent_id=middle["id"], colour="red")
    user = member(local, domain["id"], "p-seen-user", "member", project=middle["id"])
    path = f"/projects/{middle['id']}?parents_as_list&subtree_as_list"
    shown = user.get(path)["project"]
    assert (shown["parents"], shown["subtree"]) == ([], [])

    user_id = admin.get("/users?name=p-seen-user")["users"][0]["id"]
    role_id = admin.get("/roles?name=reader")["roles"][0]["id"]
    inherited = f"users/{user_id}/roles/{role_id}/inherited_to_projects"
    admin.put(f"/OS-INHERIT/domains/{domain['id']}/{inherited}")
    shown = sign_in(local, user_id, {"project": {"id": middle["id"]}}).get(path)["project"]
    assert shown["parents"] == [{"project": top}]
    assert shown["subtree"] == [{"project": leaf}]


def test_what_is_below_something_disabled(local: Local) -> None:
    admin = local.admin
    top = make(admin, "p-off-top")
    child = make(admin, "p-off-child", parent_id=top["id"])

    def switch(project: Any, enabled: bool, status: int = 200) -> None:
        admin.patch(f"/projects/{project['id']}", {"project": {"enabled": enabled}}, status=status)

    switch(top, False, status=403)
    switch(child, False)
    switch(top, False)
    switch(child, True, status=403)
    make(admin, "p-off-new", 400, parent_id=top["id"])
    switch(top, True)
    switch(child, True)
    assert names(admin.get("/projects?enabled=False&name__contains=p-off")) == []
    switch(child, False)
    assert names(admin.get("/projects?enabled=False&name__contains=p-off")) == ["p-off-child"]


def test_a_project_may_act_as_a_domain(local: Local) -> None:
    admin = local.admin
    made = make(admin, "p-domain", is_domain=True, domain_id=None, tags=["t"])
    assert (made["domain_id"], made["parent_id"], made["is_domain"]) == (None, None, True)
    assert made in admin.get("/projects?is_domain=True")["projects"]
    assert made["id"] not in [p["id"] for p in admin.get("/projects")["projects"]]
    domain = admin.get(f"/domains/{made['id']}")["domain"]
    assert domain in admin.get("/domains")["domains"]
    assert (domain["name"], domain["tags"]) == ("p-domain", ["t"])
    assert "is_domain" not in domain
    child = make(admin, "p-domain-child", domain_id=made["id"])
    path = f"/projects/{made['id']}"
    assert admin.get(f"{path}?subtree_as_ids")["project"]["subtree"] == {child["id"]: None}
    admin.delete(path, status=403)
    # A domain is disabled together with whatever it holds.
    admin.patch(path, {"project": {"enabled": False}})
    admin.delete(path)
    admin.get(f"/domains/{made['id']}", status=404)
    admin.get(f"/projects/{child['id']}", status=404)


def test_an_immutable_project_refuses_change(local: Local) -> None:
    admin = local.admin
    made = make(admin, "p-stone", options={"immutable": True})
    path = f"/projects/{made['id']}"
    assert made["options"] == {"immutable": True}
    for body in ({"name": "x"}, {"x": 1}, {"options": {}}, {"options": {"immutable": True}}):
        admin.patch(path, {"project": body}, status=403)
    both = {"options": {"immutable": False}, "name": "x"}
    admin.patch(path, {"project": both}, status=403)
    admin.delete(path, status=403)
    admin.put(f"{path}/tags/t", {}, status=403)
    admin.put(f"{path}/tags", {"tags": []}, status=403)
    admin.delete(f"{path}/tags", status=403)
    admin.delete(f"{path}/tags/t", status=403)
    assert admin.get(path)["project"] == made
    changed = admin.patch(path, {"project": {"options": {"immutable": None}}})["project"]
    assert changed["options"] == {}
    admin.delete(path)


def test_deleting_a_project_takes_its_roles_along(local: Local) -> None:
    admin = local.admin
    project = make(admin, "p-gone")
    user = member(local, "default", "p-gone-user", "member", project=project["id"])
    user_id = admin.get("/users?name=p-gone-user")["users"][0]["id"]
    default = {"user": {"default_project_id": project["id"]}}
    admin.patch(f"/users/{user_id}", default)
    user.get(f"/projects/{project['id']}")
    admin.delete(f"/projects/{project['id']}")
    user.get("/auth/tokens", status=401)
    assert admin.get(f"/role_assignments?user.id={user_id}")["role_assignments"] == []
    shown = admin.get(f"/users/{user_id}")["user"]
    assert shown.get("default_project_id") is None


def test_who_may_do_what(local: Local) -> None:
    admin = local.admin
    domain, other = make_domain(local, "who-project"), make_domain(local, "who-project-2")
    project = make(admin, "who-project-own", domain_id=domain["id"])
    sister = make(admin, "who-project-sister", domain_id=domain["id"])
    foreign = make(admin, "who-project-foreign", domain_id=other["id"])
    own, theirs = f"/projects/{project['id']}", f"/projects/{foreign['id']}"
    body = {"project": {"description": "x"}}

    user = member(local, domain["id"], "who-project-member", "member", project=project["id"])
    user.get(own)
    user.get(f"/projects/{sister['id']}", status=403)
    user.get("/projects/no-such-project", status=403)
    user.get("/projects", status=403)
    user.patch(own, body, status=403)
    user.delete(own, status=403)
    make(user, "who-project-new", status=403)

    reader = member(local, domain["id"], "who-project-reader", "reader", domain=domain["id"])
    assert sorted(names(reader.get("/projects"))) == ["who-project-own", "who-project-sister"]
    assert names(reader.get(f"/projects?domain_id={other['id']}")) == []
    assert names(reader.get("/projects?is_domain=True")) == []
    reader.get(f"/projects/{sister['id']}")
    reader.get(theirs, status=403)
    reader.patch(own, body, status=403)
    make(reader, "who-project-new", status=403)

    manager = member(local, domain["id"], "who-project-manager", "manager", domain=domain["id"])
    created = make(manager, "who-project-new")
    assert created["domain_id"] == domain["id"]
    manager.patch(f"/projects/{created['id']}", body)
    manager.put(f"/projects/{created['id']}/tags/t", {}, status=201)
    manager.delete(f"/projects/{created['id']}")
    make(manager, "who-project-new", status=403, domain_id=other["id"])
    make(manager, "who-project-new", status=403, parent_id=foreign["id"])
    make(manager, "who-project-new", status=403, is_domain=True)
    manager.patch(theirs, body, status=403)
    manager.delete(theirs, status=403)

    # Even an administrator's token for one domain lists that domain only.
    boss = member(local, domain["id"], "who-project-admin", "admin", domain=domain["id"])
    assert sorted(names(boss.get("/projects"))) == ["who-project-own", "who-project-sister"]

    system = As(local, local.token("admin", {"system": {"all": True}}))
    assert "who-project-foreign" in names(system.get("/projects"))
    nobody = As(local, None)
    nobody.get("/projects", status=401)
    nobody.get(own, status=401)
    nobody.post("/projects", {"project": {"name": "p-x"}}, status=401)
    nobody.patch(own, body, status=401)
    nobody.delete(own, status=401)


def test_lists_filter_sort_and_page(local: Local) -> None:
    admin = local.admin
    domain = make_domain(local, "p-list")
    made = {name: make(admin, name, domain_id=domain["id"]) for name in ("p-l-b", "p-l-a", "p-l-c")}
    mine = f"/projects?domain_id={domain['id']}"
    assert names(admin.get(f"{mine}&sort_key=name")) == ["p-l-a", "p-l-b", "p-l-c"]
    assert admin.get(f"{mine}&name=p-l-b")["projects"] == [made["p-l-b"]]
    first = admin.get(f"{mine}&sort_key=name&limit=2")
    assert names(first) == ["p-l-a", "p-l-b"]
    assert names(admin.get(first["links"]["next"].split("/identity/v3")[1])) == ["p-l-c"]
    assert names(admin.get("/projects?name=P-L-B")) == []
    admin.get("/projects?enabled=perhaps", status=400)
    admin.get("/projects?is_domain=2", status=400)
    assert names(admin.get(f"{mine}&name__istartswith=P-L-A")) == ["p-l-a"]
    assert len(names(admin.get(f"{mine}&labels__contains=x&extra__contains=x"))) == 3
    admin.get("/projects?sort_key=extra", status=400)
    admin.get("/projects?sort_key=labels", status=400)
