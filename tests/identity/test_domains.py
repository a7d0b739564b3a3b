"""Domains: their lives, what they hold, and who may know them."""

from typing import Any

import pytest

from tests.cloud import As, Local
from tests.identity.places import make, make_domain, member


def test_a_domain_lives(local: Local) -> None:
    admin = local.admin
    body = {"name": " d-life ", "colour": "red", "is_domain": False, "parent_id": "x", "id": "y"}
    made = admin.post("/domains", {"domain": body})["domain"]
    assert made == {
        "id": made["id"],
        "name": "d-life",
        "enabled": True,
        "description": "",
        "tags": [],
        "options": {},
        "colour": "red",
        "links": {"self": f"http://127.0.0.1:5000/identity/v3/domains/{made['id']}"},
    }
    path = f"/domains/{made['id']}"
    assert admin.get(path)["domain"] == made
    assert made in admin.get("/domains")["domains"]
    assert admin.get("/domains?name=d-life")["domains"] == [made]
    admin.post("/domains", {"domain": {"name": "d-life"}}, status=409)
    changes = {"name": "d-life-2", "description": "d", "enabled": False, "tags": ["t"]}
    changed = admin.patch(path, {"domain": changes})["domain"]
    assert changed == {**made, **changes}
    assert admin.get("/domains?enabled=False&name=d-life-2")["domains"] == [changed]
    assert admin.get("/domains?enabled=True&name=d-life-2")["domains"] == []
    other = make_domain(local, "d-life-3")
    admin.patch(f"/domains/{other['id']}", {"domain": {"name": "d-life-2"}}, status=409)
    admin.patch(path, {"domain": {}}, status=400)
    admin.delete(path)
    admin.get(path, status=404)
    admin.patch(path, {"domain": {"name": "x"}}, status=404)
    message = admin.delete(path, status=404)["error"]["message"]
    assert message == f"Could not find domain: {made['id']}."


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": " "},
        {"name": "x" * 65},
        {"name": "a\tb"},
        {"name": 1},
        {"name": "d-bad", "enabled": "True"},
        {"name": "d-bad", "description": []},
        {"name": "d-bad", "options": {"unknown": 1}},
        {"name": "d-bad", "explicit_domain_id": "short"},
        {"name": "d-bad", "explicit_domain_id": "Z" * 32},
        {"name": "d-bad", "explicit_domain_id": 7},
    ],
)
def test_bad_domains_are_refused(local: Local, body: Any) -> None:
    local.admin.post("/domains", {"domain": body}, status=400)
    assert local.admin.get("/domains?name=d-bad")["domains"] == []


def test_the_id_of_a_domain_may_be_chosen(local: Local) -> None:
    admin = local.admin
    body = {"name": "d-chosen", "explicit_domain_id": "0123456789abcdef" * 2}
    made = admin.post("/domains", {"domain": body})["domain"]
    assert made["id"] == "0123456789abcdef" * 2
    assert "explicit_domain_id" not in made
    admin.post("/domains", {"domain": {**body, "name": "d-chosen-2"}}, status=409)


def test_a_domain_is_no_project_and_a_project_no_domain(local: Local) -> None:
    project = make(local.admin, "d-not")
    for method in ("GET", "DELETE"):
        assert local.admin.ask(method, f"/domains/{project['id']}").status == 404
    local.admin.patch(f"/domains/{project['id']}", {"domain": {"name": "x"}}, status=404)
    assert project["id"] not in [d["id"] for d in local.admin.get("/domains")["domains"]]


def test_an_immutable_domain_refuses_change(local: Local) -> None:
    admin = local.admin
    body = {"name": "d-stone", "enabled": False, "options": {"immutable": True}}
    made = admin.post("/domains", {"domain": body})["domain"]
    path = f"/domains/{made['id']}"
    message = admin.delete(path, status=403)["error"]["message"]
    assert message.startswith("Unable to delete immutable domain resource")
    admin.patch(path, {"domain": {"enabled": True}}, status=403)
    admin.patch(path.replace("domains", "projects"), {"project": {"name": "x"}}, status=403)
    admin.delete(path.replace("domains", "projects"), status=403)
    assert admin.get(path)["domain"] == made
    assert admin.patch(path, {"domain": {"options": {"immutable": False}}})["domain"][
        "options"
    ] == {"immutable": False}
    admin.delete(path)


def test_deleting_a_domain_deletes_all_that_it_holds(local: Local) -> None:
    admin = local.admin
    domain = make_domain(local, "d-gone")
    path, inside = f"/domains/{domain['id']}", {"domain_id": domain["id"]}
    top = make(admin, "d-gone-top", **inside)
    leaf = make(admin, "d-gone-leaf", parent_id=top["id"])
    user = member(local, domain["id"], "d-gone-user", "member", project=leaf["id"])
    guest = member(local, "default", "d-gone-guest", "member", project=leaf["id"])
    user_id = admin.get("/users?name=d-gone-user")["users"][0]["id"]
    guest_id = admin.get("/users?name=d-gone-guest")["users"][0]["id"]
    admin.patch(f"/users/{guest_id}", {"user": {"default_project_id": leaf["id"]}})
    group = admin.post("/groups", {"group": {"name": "d-gone-g", **inside}})["group"]
    admin.put(f"/groups/{group['id']}/users/{user_id}")
    admin.put(f"/groups/{group['id']}/users/{guest_id}")
    role = admin.post("/roles", {"role": {"name": "d-gone-role", **inside}})["role"]
    admin.put(f"{path}/users/{user_id}/roles/{role['id']}")
    admin.put(f"{path}/config", {"config": {"identity": {"driver": "sql"}}}, status=201)

    assert "disable" in admin.delete(path, status=403)["error"]["message"]
    admin.patch(path, {"domain": {"enabled": False}})
    admin.delete(path)
    gone = [
        path,
        f"{path}/config",
        f"/projects/{top['id']}",
        f"/projects/{leaf['id']}",
        f"/users/{user_id}",
        f"/groups/{group['id']}",
        f"/roles/{role['id']}",
    ]
    for each in gone:
        admin.get(each, status=404)
    user.get("/auth/tokens", status=401)
    guest.get("/auth/tokens", status=401)
    assert admin.get(f"/role_assignments?user.id={guest_id}")["role_assignments"] == []
    assert admin.get(f"/users/{guest_id}")["user"].get("default_project_id") is None
    make_domain(local, "d-gone")


def test_an_immutable_project_keeps_its_domain(local: Local) -> None:
    admin = local.admin
    domain = make_domain(local, "d-kept")
    project = make(admin, "d-kept-p", domain_id=domain["id"], options={"immutable": True})
    admin.patch(f"/domains/{domain['id']}", {"domain": {"enabled": False}})
    admin.delete(f"/domains/{domain['id']}", status=403)
    assert admin.get(f"/projects/{project['id']}")["project"] == project


def test_the_default_domain_stays(fresh: Local) -> None:
    system = As(fresh, fresh.token("admin", {"system": {"all": True}}))
    assert system.delete("/domains/default", status=403)["error"]["code"] == 403
    assert system.get("/domains/default")["domain"]["name"] == "Default"


def test_who_may_do_what(local: Local) -> None:
    admin = local.admin
    domain, other = make_domain(local, "d-who"), make_domain(local, "d-who-2")
    project = make(admin, "d-who-p", domain_id=domain["id"])
    path, theirs = f"/domains/{domain['id']}", f"/domains/{other['id']}"
    body = {"domain": {"description": "x"}}
    new = {"domain": {"name": "d-who-new"}}

    user = member(local, domain["id"], "d-who-member", "member", project=project["id"])
    assert user.get(path)["domain"] == domain
    user.get(theirs, status=403)
    user.get("/domains/no-such-domain", status=403)
    user.get("/domains", status=403)
    reader = member(local, domain["id"], "d-who-reader", "reader", domain=domain["id"])
    assert reader.get("/domains")["domains"] == [domain]
    reader.get(path)
    reader.get(theirs, status=403)
    manager = member(local, domain["id"], "d-who-manager", "manager", domain=domain["id"])
    boss = member(local, domain["id"], "d-who-admin", "admin", domain=domain["id"])
    assert boss.get("/domains")["domains"] == [domain]
    for who in (user, reader, manager, boss):
        who.post("/domains", new, status=403)
        who.patch(path, body, status=403)
        who.delete(path, status=403)
    nobody = As(local, None)
    for method, route in (("GET", path), ("GET", "/domains"), ("DELETE", path)):
        assert nobody.ask(method, route).status == 401
    assert nobody.ask("POST", "/domains", new).status == 401
    assert nobody.ask("PATCH", path, body).status == 401
    system = As(local, local.token("admin", {"system": {"all": True}}))
    assert {domain["id"], other["id"]} <= {d["id"] for d in system.get("/domains")["domains"]}
    local.demo.get("/domains/default")
