"""Lists of role assignments."""

from typing import Any

import pytest

from tests.cloud import As, Local
from tests.identity.stage import Stage

BASE = "http://127.0.0.1:5000/identity/v3"


def _listed(who: As, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = who.get(f"/role_assignments?{query}")["role_assignments"]
    return found


def _grant(entry: dict[str, Any]) -> str:
    return str(entry["links"]["assignment"])


def test_assignments_are_listed_as_they_were_made(local: Local) -> None:
    stage = Stage(local, "listed")
    role, user, group = stage.role(), stage.user(), stage.group()
    project = stage.project()
    by_project = stage.give(role, f"users/{user}", f"projects/{project}")
    by_domain = stage.give(role, f"groups/{group}", f"domains/{stage.domain}")
    inherited = stage.give(role, f"users/{user}", f"domains/{stage.domain}", inherited=True)
    by_system = stage.give(role, f"users/{user}", "system")
    on_project = {
        "role": {"id": role},
        "user": {"id": user},
        "scope": {"project": {"id": project}},
        "links": {"assignment": BASE + by_project},
    }
    on_domain = {
        "role": {"id": role},
        "group": {"id": group},
        "scope": {"domain": {"id": stage.domain}},
        "links": {"assignment": BASE + by_domain},
    }
    below_domain = {
        "role": {"id": role},
        "user": {"id": user},
        "scope": {"domain": {"id": stage.domain}, "OS-INHERIT:inherited_to": "projects"},
        "links": {"assignment": BASE + inherited},
    }
    on_system = {
        "role": {"id": role},
        "user": {"id": user},
        "scope": {"system": {"all": True}},
        "links": {"assignment": BASE + by_system},
    }
    domain = f"scope.domain.id={stage.domain}"
    for query, expected in {
        f"role.id={role}": [on_project, on_domain, below_domain, on_system],
        f"user.id={user}": [on_project, below_domain, on_system],
        f"group.id={group}": [on_domain],
        f"scope.project.id={project}": [on_project],
        domain: [on_domain, below_domain],
        f"{domain}&scope.OS-INHERIT:inherited_to=projects": [below_domain],
        f"{domain}&scope.OS-INHERIT:inherited_to=": [on_domain],
        f"role.id={role}&scope.OS-INHERIT:inherited_to=projects": [below_domain],
        f"user.id={user}&scope.system=all": [on_system],
        f"user.id={user}&effective=0&scope.system=all": [on_system],
        "user.id=nobody": [],
        "scope.project.id=nowhere": [],
    }.items():
        found = _listed(local.admin, query)
        found.sort(key=_grant)
        assert found == sorted(expected, key=_grant), query


def test_names_come_when_asked_for(local: Local) -> None:
    stage = Stage(local, "names")
    role, user, group = stage.role(domain=stage.domain), stage.user(), stage.group()
    project = stage.project()
    stage.give(role, f"users/{user}", f"projects/{project}")
    stage.give("reader", f"groups/{group}", f"domains/{stage.domain}")

    def named(kind: str, thing_id: str) -> dict[str, Any]:
        shown = local.admin.get(f"/{kind}s/{thing_id}")[kind]
        return {"id": thing_id, "name": shown["name"]}

    domain = named("domain", stage.domain)
    (one,) = _listed(local.admin, f"user.id={user}&include_names")
    assert one["user"] == {**named("user", user), "domain": domain}
    assert one["scope"] == {"project": {**named("project", project), "domain": domain}}
    assert one["role"] == {**named("role", role), "domain": domain}
    (other,) = _listed(local.admin, f"group.id={group}&include_names=1")
    assert other["group"] == {**named("group", group), "domain": domain}
    assert other["scope"] == {"domain": domain}
    assert other["role"] == {"id": stage.roles["reader"], "name": "reader"}
    (plain,) = _listed(local.admin, f"user.id={user}&include_names=0")
    assert plain["user"] == {"id": user}


@pytest.mark.parametrize(
    "query",
    [
        "scope.domain.id=d&scope.project.id=p",
        "scope.domain.id=d&scope.system=all",
        "scope.project.id=p&scope.system=all",
        "user.id=u&group.id=g",
        "effective&group.id=g",
        "effective&scope.domain.id=d&scope.OS-INHERIT:inherited_to=projects",
        "include_subtree",
        "include_subtree=true&scope.domain.id=d",
        "user.id=",
        f"role.id={'x' * 65}",
    ],
)
def test_contradictions_are_refused(local: Local, query: str) -> None:
    local.admin.get(f"/role_assignments?{query}", status=400)


def test_a_tree_that_is_unknown_is_not_found(local: Local) -> None:
    local.admin.get("/role_assignments?include_subtree&scope.project.id=nowhere", status=404)
    local.admin.get("/role_assignments?effective&scope.project.id=nowhere", status=404)


def test_effective_lists_say_where_each_entry_comes_from(local: Local) -> None:
    stage = Stage(local, "effective")
    prior, implied, last = (stage.role() for _ in range(3))
    for one, other in ((prior, implied), (implied, last)):
        local.admin.put(f"/roles/{one}/implies/{other}", status=201)
    user = stage.user()
    group = stage.group(user)
    project = stage.project()
    path = stage.give(prior, f"groups/{group}", f"projects/{project}")
    common = {"user": {"id": user}, "scope": {"project": {"id": project}}}
    links = {"assignment": BASE + path, "membership": f"{BASE}/groups/{group}/users/{user}"}
    expected = [
        {**common, "role": {"id": prior}, "links": links},
        {
            **common,
            "role": {"id": implied},
            "links": {**links, "prior_role": f"{BASE}/roles/{prior}/implies/{implied}"},
        },
        {
            **common,
            "role": {"id": last},
            "links": {**links, "prior_role": f"{BASE}/roles/{implied}/implies/{last}"},
        },
    ]
    for query in (f"user.id={user}", f"scope.project.id={project}"):
        assert _listed(local.admin, f"{query}&effective") == expected
        for link in {url for each in expected for url in each["links"].values()}:
            assert local.admin.ask("GET", link.removeprefix(BASE)).status in (200, 204)
    by_role = _listed(local.admin, f"user.id={user}&role.id={last}&effective=true")
    assert by_role == expected[2:]
    local.admin.delete(f"/groups/{group}/users/{user}")
    assert _listed(local.admin, f"scope.project.id={project}&effective") == []


def test_effective_lists_on_the_system(local: Local) -> None:
    stage = Stage(local, "effective-system")
    user, other = stage.user(), stage.user()
    group = stage.group(other)
    stage.give("member", f"users/{user}", "system")
    stage.give("reader", f"groups/{group}", "system")
    for who, names in ((user, ("member", "reader")), (other, ("reader",))):
        found = _listed(local.admin, f"user.id={who}&scope.system=all&effective&include_names")
        assert [each["role"]["name"] for each in found] == list(names)
        assert all(each["scope"] == {"system": {"all": True}} for each in found)
        token = stage.token(who, system={"all": True})
        held = local.admin.get("/auth/tokens", X_Subject_Token=token)["token"]["roles"]
        assert [role["name"] for role in held] == list(names)


def test_roles_of_a_domain_are_not_effective(local: Local) -> None:
    stage = Stage(local, "effective-domain")
    role, user, project = stage.role(domain=stage.domain), stage.user(), stage.project()
    stage.give(role, f"users/{user}", f"projects/{project}")
    query = f"user.id={user}&scope.project.id={project}"
    assert [each["role"]["id"] for each in _listed(local.admin, query)] == [role]
    assert _listed(local.admin, f"{query}&effective") == []


def test_a_circle_of_rules_ends(local: Local) -> None:
    stage = Stage(local, "effective-circle")
    roles = [stage.role() for _ in range(3)]
    for one, other in zip(roles, [*roles[1:], roles[0]], strict=True):
        local.admin.put(f"/roles/{one}/implies/{other}", status=201)
    user = stage.user()
    stage.give(roles[1], f"users/{user}", f"domains/{stage.domain}")
    found = _listed(local.admin, f"user.id={user}&effective")
    assert [each["role"]["id"] for each in found] == [roles[1], roles[2], roles[0]]


def test_who_may_list_what(local: Local) -> None:
    stage, other = Stage(local, "list-policy"), Stage(local, "list-policy-other")
    user, project, top = stage.user(), stage.project(), f"domains/{stage.domain}"
    stage.give("reader", f"users/{user}", f"projects/{project}")
    stage.give("reader", f"users/{user}", f"projects/{other.project()}")
    stage.give("reader", f"users/{user}", "system")
    stage.give("reader", f"users/{user}", top, inherited=True)
    everything = f"user.id={user}"
    for who in (local.admin, stage.acting("reader", "system")):
        assert len(_listed(who, everything)) == 4
        assert len(_listed(who, f"{everything}&effective")) == 4
        who.get(f"/role_assignments?include_subtree&scope.project.id={project}")
    for persona in ("reader", "admin"):
        who = stage.acting(persona, top)
        assert {str(each["scope"]) for each in _listed(who, everything)} == {
            str({"project": {"id": project}}),
            str({"domain": {"id": stage.domain}, "OS-INHERIT:inherited_to": "projects"}),
        }
        effective = _listed(who, f"{everything}&effective")
        assert {each["scope"]["project"]["id"] for each in effective} == {project}
        assert _listed(who, f"{everything}&scope.system=all") == []
        who.get(f"/role_assignments?include_subtree&scope.project.id={project}")
    outsider = other.acting("reader", f"domains/{other.domain}")
    outsider.get(f"/role_assignments?include_subtree&scope.project.id={project}", status=403)
    assert _listed(outsider, f"scope.project.id={project}") == []
    for who in (
        stage.acting("reader", f"projects/{project}"),
        stage.acting("member", f"projects/{project}"),
        stage.acting("manager", f"projects/{project}"),
    ):
        who.get("/role_assignments", status=403)
        who.get(f"/role_assignments?user.id={user}", status=403)
        who.get(f"/role_assignments?include_subtree&scope.project.id={project}", status=403)
    As(local, None).get("/role_assignments", status=401)
