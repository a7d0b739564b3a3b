"""Roles."""

from typing import Any

import pytest

from tests.cloud import As, Local
from tests.identity.stage import Stage


def test_a_role_lives(local: Local) -> None:
    admin = local.admin
    made = admin.post("/roles", {"role": {"name": "lived", "colour": "red"}})["role"]
    assert made == {
        "id": made["id"],
        "name": "lived",
        "description": None,
        "domain_id": None,
        "options": {},
        "colour": "red",
        "links": {"self": f"http://127.0.0.1:5000/identity/v3/roles/{made['id']}"},
    }
    assert admin.get(f"/roles/{made['id']}")["role"] == made
    assert made in admin.get("/roles")["roles"]
    assert admin.get("/roles?name=lived")["roles"] == [made]
    changed = admin.patch(f"/roles/{made['id']}", {"role": {"name": "relived", "floor": 2}})["role"]
    assert changed == {**made, "name": "relived", "floor": 2}
    admin.delete(f"/roles/{made['id']}")
    assert admin.ask("GET", f"/roles/{made['id']}").message == f"Could not find role: {made['id']}."
    admin.patch(f"/roles/{made['id']}", {"role": {"name": "x"}}, status=404)
    admin.delete(f"/roles/{made['id']}", status=404)


def test_names_are_unique_within_the_cloud_and_within_a_domain(local: Local) -> None:
    stage = Stage(local, "role-names")
    other = Stage(local, "role-names-other").domain
    body: dict[str, Any] = {"name": "role-named"}
    for domain in (None, stage.domain, other):
        local.admin.post("/roles", {"role": {**body, "domain_id": domain}})
        local.admin.post("/roles", {"role": {**body, "domain_id": domain}}, status=409)
    taken = stage.role()
    local.admin.patch(f"/roles/{taken}", {"role": {"name": "role-named"}}, status=409)


def test_roles_of_a_domain_are_listed_for_it_only(local: Local) -> None:
    stage = Stage(local, "role-domain")
    body = {"role": {"name": "of-domain", "domain_id": stage.domain}}
    made = local.admin.post("/roles", body)["role"]
    assert made["domain_id"] == stage.domain
    assert local.admin.get(f"/roles?domain_id={stage.domain}")["roles"] == [made]
    assert made not in local.admin.get("/roles")["roles"]
    assert all(role["domain_id"] is None for role in local.admin.get("/roles")["roles"])
    local.admin.patch(f"/roles/{made['id']}", {"role": {"domain_id": None}}, status=400)
    local.admin.patch(f"/roles/{made['id']}", {"role": {"domain_id": stage.domain}})
    local.admin.post("/roles", {"role": {"name": "lost", "domain_id": "nowhere"}}, status=404)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"name": ""},
        {"name": "   "},
        {"name": "x" * 256},
        {"name": "line\nbreak"},
        {"name": "line\n"},
        {"name": None},
        {"name": 7},
        {"name": "n", "description": 7},
        {"name": "n", "description": "x" * 65536},
        {"name": "n", "domain_id": 7},
        {"name": "n", "domain_id": ""},
        {"name": "n", "options": {"immutable": "yes"}},
        {"name": "n", "options": {"unknown": True}},
        {"name": "n", "options": []},
    ],
)
def test_wrong_roles_are_refused(local: Local, wrong: dict[str, Any]) -> None:
    local.admin.post("/roles", {"role": wrong}, status=400)


def test_an_immutable_role_stays_until_it_is_made_mutable(local: Local) -> None:
    admin = local.admin
    body = {"name": "immutable", "options": {"immutable": True}}
    role_id = admin.post("/roles", {"role": body})["role"]["id"]
    admin.patch(f"/roles/{role_id}", {"role": {"name": "changed"}}, status=403)
    both = {"name": "changed", "options": {"immutable": False}}
    admin.patch(f"/roles/{role_id}", {"role": both}, status=403)
    refused = admin.ask("DELETE", f"/roles/{role_id}")
    assert refused.status == 403
    assert "immutable" in refused.message
    admin.patch(f"/roles/{role_id}", {"role": {"options": {"immutable": None}}})
    assert admin.get(f"/roles/{role_id}")["role"]["options"] == {}
    admin.delete(f"/roles/{role_id}")


def test_the_first_roles_cannot_be_deleted(local: Local) -> None:
    roles = {role["name"]: role for role in local.admin.get("/roles")["roles"]}
    for name in ("admin", "manager", "member", "reader", "service"):
        assert roles[name]["options"] == {"immutable": True}
        local.admin.delete(f"/roles/{roles[name]['id']}", status=403)


def test_who_may_do_what_with_roles(local: Local) -> None:
    stage = Stage(local, "role-policy")
    role, of_domain = stage.role(), stage.role(domain=stage.domain)
    project, member = f"projects/{stage.project()}", stage.roles["member"]
    admin = stage.acting("admin", project)
    system_reader = stage.acting("reader", "system")
    manager = stage.acting("manager", f"domains/{stage.domain}")
    domain_admin = stage.acting("admin", f"domains/{stage.domain}")
    refused = [
        stage.acting("reader", project),
        stage.acting("member", project),
        stage.acting("reader", f"domains/{stage.domain}"),
    ]
    for who in (admin, system_reader):
        for path in (f"/roles/{role}", f"/roles/{of_domain}", "/roles"):
            who.get(path)
        who.get(f"/roles?domain_id={stage.domain}")
    manager.get("/roles")
    manager.get(f"/roles/{member}")
    manager.get(f"/roles/{role}", status=403)
    manager.get(f"/roles/{stage.roles['admin']}", status=403)
    for who in refused:
        who.get("/roles", status=403)
        who.get(f"/roles/{member}", status=403)
        who.get("/roles/unknown", status=403)
    for who in (*refused, manager, system_reader, domain_admin):
        who.post("/roles", {"role": {"name": "mine"}}, status=403)
        who.post("/roles", {"role": {"name": "mine", "domain_id": stage.domain}}, status=403)
        who.patch(f"/roles/{role}", {"role": {"name": "mine"}}, status=403)
        who.delete(f"/roles/{role}", status=403)
        who.delete(f"/roles/{of_domain}", status=403)
    anonymous = As(local, None)
    anonymous.get("/roles", status=401)
    anonymous.delete(f"/roles/{role}", status=401)
    admin.delete(f"/roles/{of_domain}")
    admin.delete(f"/roles/{role}")


def test_deleting_a_role_takes_its_grants_and_voids_tokens(local: Local) -> None:
    stage = Stage(local, "role-deleted")
    user, project, role = stage.user(), stage.project(), stage.role()
    member = stage.user()
    group = stage.group(member)
    stage.give(role, f"users/{user}", f"projects/{project}")
    stage.give(role, f"groups/{group}", f"projects/{project}")
    tokens = [stage.token(each, project={"id": project}) for each in (user, member)]
    local.admin.delete(f"/roles/{role}")
    stage.give("reader", f"users/{user}", f"projects/{project}")
    stage.give("reader", f"groups/{group}", f"projects/{project}")
    for token in tokens:
        local.admin.get("/auth/tokens", status=404, X_Subject_Token=token)
    found = local.admin.get(f"/role_assignments?scope.project.id={project}")["role_assignments"]
    assert {each["role"]["id"] for each in found} == {stage.roles["reader"]}


def test_deleting_a_domain_takes_its_roles(local: Local) -> None:
    stage = Stage(local, "role-domain-gone")
    role = stage.role(domain=stage.domain)
    local.admin.patch(f"/domains/{stage.domain}", {"domain": {"enabled": False}})
    local.admin.delete(f"/domains/{stage.domain}")
    local.admin.get(f"/roles/{role}", status=404)
