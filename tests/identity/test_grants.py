"""Grants: roles given on projects, domains and the system."""

from itertools import product

import pytest

from onestack.core.db import Database, counted
from onestack.identity.assignments import effective
from onestack.identity.projects.record import find
from tests.cloud import As, Local
from tests.identity.stage import Stage

ACTORS = ("users", "groups")
TARGETS = ("projects", "domains", "system")


def _actor(stage: Stage, kind: str) -> str:
    return f"{kind}/{stage.user() if kind == 'users' else stage.group()}"


def _target(stage: Stage, kind: str) -> str:
    return {
        "projects": lambda: f"projects/{stage.project()}",
        "domains": lambda: f"domains/{stage.domain}",
        "system": lambda: "system",
    }[kind]()


@pytest.mark.parametrize(("target", "actor"), list(product(TARGETS, ACTORS)))
def test_a_grant_lives(local: Local, target: str, actor: str) -> None:
    stage = Stage(local, f"grant-{target}-{actor}")
    role = stage.role()
    place = f"/{_target(stage, target)}/{_actor(stage, actor)}/roles"
    assert local.admin.get(place)["roles"] == []
    for _ in range(2):
        local.admin.put(f"{place}/{role}")
    local.admin.get(f"{place}/{role}", status=204)
    local.admin.head(f"{place}/{role}", status=204)
    listed = local.admin.get(place)
    assert listed["roles"] == [local.admin.get(f"/roles/{role}")["role"]]
    assert listed["links"]["self"].endswith(place)
    local.admin.head(place)
    other = stage.role()
    local.admin.get(f"{place}/{other}", status=404)
    local.admin.delete(f"{place}/{other}", status=404)
    local.admin.delete(f"{place}/{role}")
    for method in ("GET", "HEAD", "DELETE"):
        assert local.admin.ask(method, f"{place}/{role}").status == 404
    assert local.admin.get(place)["roles"] == []


@pytest.mark.parametrize(("target", "actor"), list(product(("projects", "domains"), ACTORS)))
def test_an_inherited_grant_is_another_grant(local: Local, target: str, actor: str) -> None:
    stage = Stage(local, f"grant-inherited-{target}-{actor}")
    role, place = stage.role(), f"{_target(stage, target)}/{_actor(stage, actor)}/roles"
    inherited = f"/OS-INHERIT/{place}/{role}/inherited_to_projects"
    for _ in range(2):
        local.admin.put(inherited)
    local.admin.get(inherited, status=204)
    local.admin.head(inherited, status=204)
    local.admin.get(f"/{place}/{role}", status=404)
    assert local.admin.get(f"/{place}")["roles"] == []
    listing = f"/OS-INHERIT/{place}/inherited_to_projects"
    if target == "domains":
        assert [each["id"] for each in local.admin.get(listing)["roles"]] == [role]
    local.admin.delete(inherited)
    local.admin.delete(inherited, status=404)
    if target == "domains":
        assert local.admin.get(listing)["roles"] == []


def test_what_is_unknown_is_not_found(local: Local) -> None:
    stage = Stage(local, "grant-unknown")
    role, user, project = stage.role(), stage.user(), stage.project()
    group = stage.group()
    for target, actor, wanted in (
        (f"projects/{project}", f"users/{user}", "nothing"),
        (f"projects/{project}", "users/nobody", role),
        (f"projects/{project}", "groups/nobody", role),
        (f"projects/{project}", f"users/{group}", role),
        ("projects/nowhere", f"users/{user}", role),
        ("domains/nowhere", f"users/{user}", role),
        (f"domains/{project}", f"users/{user}", role),
        ("system", "users/nobody", role),
        ("system", "groups/nobody", role),
        ("system", f"users/{user}", "nothing"),
    ):
        for method in ("PUT", "GET", "HEAD", "DELETE"):
            answer = local.admin.ask(method, f"/{target}/{actor}/roles/{wanted}")
            assert answer.status == 404, (method, target, actor, answer)
    missing = local.admin.ask("DELETE", f"/projects/{project}/users/{user}/roles/{role}").message
    assert missing == (
        f"Could not find role assignment with role: {role}, user or group: {user}, "
        f"project, domain, or system: {project}."
    )


def test_roles_of_a_domain_stay_within_it(local: Local) -> None:
    stage, other = Stage(local, "grant-of-domain"), Stage(local, "grant-of-domain-other")
    role, user = stage.role(domain=stage.domain), stage.user()
    stage.give(role, f"users/{user}", f"projects/{stage.project()}")
    local.admin.put(f"/projects/{other.project()}/users/{user}/roles/{role}", status=403)
    local.admin.put(f"/system/users/{user}/roles/{role}", status=400)
    local.admin.put(f"/system/groups/{stage.group()}/roles/{role}", status=400)


@pytest.mark.parametrize("actor", ACTORS)
def test_taking_a_grant_back_voids_tokens_for_good(local: Local, actor: str) -> None:
    stage = Stage(local, f"grant-tokens-{actor}")
    user = stage.user()
    who = f"users/{user}" if actor == "users" else f"groups/{stage.group(user)}"
    project, elsewhere = stage.project(), stage.project()
    stage.give("reader", f"users/{user}", f"projects/{elsewhere}")
    scopes = {
        f"projects/{project}": {"project": {"id": project}},
        f"domains/{stage.domain}": {"domain": {"id": stage.domain}},
        "system": {"system": {"all": True}},
    }
    for target, scope in scopes.items():
        path = stage.give("member", who, target)
        token = stage.token(user, **scope)
        local.admin.get("/auth/tokens", X_Subject_Token=token)
        local.admin.delete(path)
        assert local.ask("GET", "/identity/v3/auth/catalog", token=token).status == 401
        assert stage.login(user, **scope).status == 401
        stage.give("member", who, target)
        local.admin.get("/auth/tokens", status=404, X_Subject_Token=token)
        stage.token(user, **scope)
    bystander = stage.token(user, project={"id": elsewhere})
    local.admin.delete(f"/projects/{project}/{who}/roles/{stage.roles['member']}")
    local.admin.get("/auth/tokens", X_Subject_Token=bystander)


def test_a_user_that_is_gone_leaves_nothing_behind(local: Local) -> None:
    stage = Stage(local, "grant-gone")
    user, project = stage.user(), stage.project()
    path = stage.give("member", f"users/{user}", f"projects/{project}")
    local.admin.delete(f"/users/{user}")
    local.admin.get(path, status=404)
    local.admin.delete(path, status=404)
    assert local.admin.get(f"/role_assignments?user.id={user}")["role_assignments"] == []


@pytest.mark.parametrize("persona", ["admin", "manager"])
def test_grants_of_domain_managers(local: Local, persona: str) -> None:
    stage, other = Stage(local, f"grant-{persona}"), Stage(local, f"grant-{persona}-other")
    who = stage.acting(persona, f"domains/{stage.domain}")
    user, group = f"users/{stage.user()}", f"groups/{stage.group()}"
    project, domain = f"projects/{stage.project()}", f"domains/{stage.domain}"
    for actor, target in product((user, group), (project, domain)):
        for name in ("manager", "member", "reader"):
            path = f"/{target}/{actor}/roles/{stage.roles[name]}"
            inherited = f"/OS-INHERIT{path}/inherited_to_projects"
            for each in (path, inherited):
                who.put(each)
                who.get(each, status=204)
                who.delete(each)
        who.get(f"/{target}/{actor}/roles")
    elsewhere = (
        (f"users/{other.user()}", project),
        (user, f"projects/{other.project()}"),
        (user, f"domains/{other.domain}"),
        (f"groups/{other.group()}", domain),
    )
    # A domain's administrator holds the role "admin", which the shared rule admin_required trusts
    # everywhere: only its scope keeps it from the system.
    for actor, target in elsewhere if persona == "manager" else ():
        who.put(f"/{target}/{actor}/roles/{stage.roles['reader']}", status=403)
        who.get(f"/{target}/{actor}/roles", status=403)
        stage.give("reader", actor, target)
        who.delete(f"/{target}/{actor}/roles/{stage.roles['reader']}", status=403)
    who.put(f"/system/{user}/roles/{stage.roles['reader']}", status=403)
    who.get(f"/system/{user}/roles", status=403)


def test_a_manager_cannot_give_or_take_more_than_its_own_rights(local: Local) -> None:
    stage = Stage(local, "grant-escalation")
    manager = stage.acting("manager", f"domains/{stage.domain}")
    user, project = f"users/{stage.user()}", f"projects/{stage.project()}"
    for role in (stage.roles["admin"], stage.roles["service"], stage.role()):
        for target in (project, f"domains/{stage.domain}"):
            path = f"/{target}/{user}/roles/{role}"
            for each in (path, f"/OS-INHERIT{path}/inherited_to_projects"):
                manager.put(each, status=403)
                local.admin.put(each)
                manager.delete(each, status=403)


def test_who_else_may_deal_with_grants(local: Local) -> None:
    stage, other = Stage(local, "grant-policy"), Stage(local, "grant-policy-other")
    user, project = f"users/{stage.user()}", f"projects/{stage.project()}"
    path = stage.give("reader", user, project)
    on_system = stage.give("reader", user, "system")
    system_reader = stage.acting("reader", "system")
    domain_reader = stage.acting("reader", f"domains/{stage.domain}")
    for who in (system_reader, domain_reader):
        who.get(path, status=204)
        who.get(f"/{project}/{user}/roles")
    system_reader.get(on_system, status=204)
    system_reader.get(f"/system/{user}/roles")
    domain_reader.get(on_system, status=403)
    refused = (
        stage.acting("member", project),
        stage.acting("manager", project),
        stage.acting("reader", project),
        other.acting("reader", f"domains/{other.domain}"),
        other.acting("manager", f"domains/{other.domain}"),
    )
    for who in refused:
        for each in (path, on_system, f"/{project}/{user}/roles", f"/system/{user}/roles"):
            who.get(each, status=403)
    for who in (*refused, system_reader, domain_reader):
        for each in (path, on_system):
            who.put(each, status=403)
            who.delete(each, status=403)
    for each in (path, on_system):
        assert As(local, None).ask("PUT", each).status == 401
        assert As(local, None).ask("DELETE", each).status == 401
        local.admin.get(each, status=204)


def test_an_assignment_on_a_domain_is_none_on_the_project_that_it_is(local: Local) -> None:
    stage = Stage(local, "grant-domain-project")
    user = stage.user()
    stage.give("admin", f"users/{user}", f"domains/{stage.domain}")
    assert stage.login(user, domain={"id": stage.domain}).status == 201
    assert stage.login(user, project={"id": stage.domain}).status == 401


def test_roles_are_loaded_by_one_statement(local: Local) -> None:
    stage = Stage(local, "grant-statements")
    user, parent = stage.user(), None
    group = stage.group(user)
    for _ in range(4):
        parent = stage.project(parent)
    assert parent is not None
    stage.give("manager", f"groups/{group}", f"domains/{stage.domain}", inherited=True)
    with local.cloud.get(Database).transaction(write=False) as session:
        project = find(session, parent)
        with counted() as statements:
            roles = effective.on_project(session, user, project)
            on_domain = effective.on_domain(session, user, stage.domain)
            on_system = effective.on_system(session, user)
    assert [name for _, name in roles] == ["manager", "member", "reader"]
    assert on_domain == on_system == ()
    assert len(statements) == 3
