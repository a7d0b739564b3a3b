"""Implied roles."""

from tests.cloud import As, Local
from tests.identity.stage import Stage


def test_a_rule_lives(local: Local) -> None:
    stage = Stage(local, "implied-life")
    prior, implied = stage.role(), stage.role()
    path = f"/roles/{prior}/implies/{implied}"
    made = local.admin.put(path, status=201)
    rule = made["role_inference"]
    assert rule["prior_role"]["id"] == prior
    assert rule["implies"] == {
        "id": implied,
        "name": local.admin.get(f"/roles/{implied}")["role"]["name"],
        "links": {"self": f"http://127.0.0.1:5000/identity/v3/roles/{implied}"},
    }
    assert made["links"] == {"self": f"http://127.0.0.1:5000/identity/v3{path}"}
    assert local.admin.put(path, status=201) == made
    assert local.admin.get(path) == made
    local.admin.head(path, status=204)
    local.admin.delete(path)
    for method in ("GET", "HEAD", "DELETE"):
        assert local.admin.ask(method, path).status == 404
    assert local.admin.ask("GET", path).message == f"{prior} does not imply {implied}."


def test_lists_hold_direct_rules_only(local: Local) -> None:
    stage = Stage(local, "implied-lists")
    top, middle, beside, bottom = (stage.role() for _ in range(4))
    for prior, implied in ((top, middle), (top, beside), (middle, bottom)):
        local.admin.put(f"/roles/{prior}/implies/{implied}", status=201)
    listed = local.admin.get(f"/roles/{top}/implies")["role_inference"]
    assert listed["prior_role"]["id"] == top
    assert {role["id"] for role in listed["implies"]} == {middle, beside}
    assert local.admin.get(f"/roles/{bottom}/implies")["role_inference"]["implies"] == []
    everything = local.admin.get("/role_inferences")["role_inferences"]
    rules = {
        each["prior_role"]["id"]: {role["id"] for role in each["implies"]} for each in everything
    }
    assert rules[top] == {middle, beside}
    assert rules[middle] == {bottom}
    assert rules[stage.roles["admin"]] == {stage.roles["manager"]}
    local.admin.delete(f"/roles/{middle}")
    assert local.admin.get(f"/roles/{top}/implies")["role_inference"]["implies"] == [
        {key: role[key] for key in ("id", "name", "links")}
        for role in [local.admin.get(f"/roles/{beside}")["role"]]
    ]


def test_what_may_imply_what(local: Local) -> None:
    stage, other = Stage(local, "implied-may"), Stage(local, "implied-may-other")
    everywhere, here = stage.role(), stage.role(domain=stage.domain)
    for implied in (stage.role(domain=stage.domain), stage.role(domain=other.domain), everywhere):
        local.admin.put(f"/roles/{here}/implies/{implied}", status=201)
    local.admin.put(f"/roles/{everywhere}/implies/{here}", status=403)
    local.admin.put(f"/roles/{everywhere}/implies/{stage.roles['admin']}", status=403)
    disguised = local.admin.post("/roles", {"role": {"name": "ADMIN"}})["role"]["id"]
    local.admin.put(f"/roles/{everywhere}/implies/{disguised}", status=403)
    local.admin.put(f"/roles/{everywhere}/implies/unknown", status=404)
    local.admin.put(f"/roles/unknown/implies/{everywhere}", status=404)
    local.admin.get("/roles/unknown/implies", status=404)
    local.admin.delete(f"/roles/{disguised}")


def test_tokens_carry_what_is_implied_even_in_a_circle(local: Local) -> None:
    stage = Stage(local, "implied-token")
    first, second, third = (stage.role() for _ in range(3))
    for prior, implied in ((first, second), (second, third), (third, first), (third, third)):
        local.admin.put(f"/roles/{prior}/implies/{implied}", status=201)
    user, project = stage.user(), stage.project()
    stage.give(second, f"users/{user}", f"projects/{project}")
    token = stage.token(user, project={"id": project})
    held = local.admin.get("/auth/tokens", X_Subject_Token=token)["token"]["roles"]
    assert {role["id"] for role in held} == {first, second, third}
    local.admin.delete(f"/roles/{second}/implies/{third}")
    held = local.admin.get("/auth/tokens", X_Subject_Token=token)["token"]["roles"]
    assert [role["id"] for role in held] == [second]


def test_a_role_of_a_domain_is_in_no_token_but_what_it_implies_is(local: Local) -> None:
    stage = Stage(local, "implied-domain")
    here, everywhere = stage.role(domain=stage.domain), stage.role()
    user, project = stage.user(), stage.project()
    stage.give(here, f"users/{user}", f"projects/{project}")
    assert stage.login(user, project={"id": project}).status == 401
    local.admin.put(f"/roles/{here}/implies/{everywhere}", status=201)
    held = stage.login(user, project={"id": project}).body["token"]["roles"]
    assert [role["id"] for role in held] == [everywhere]


def test_who_may_do_what_with_rules(local: Local) -> None:
    stage = Stage(local, "implied-policy")
    prior, implied = stage.role(), stage.role()
    path = f"/roles/{prior}/implies/{implied}"
    local.admin.put(path, status=201)
    system_reader = stage.acting("reader", "system")
    for each in (path, f"/roles/{prior}/implies", "/role_inferences"):
        system_reader.get(each)
    system_reader.head(path, status=204)
    refused = (
        stage.acting("manager", f"domains/{stage.domain}"),
        stage.acting("member", f"projects/{stage.project()}"),
    )
    for who in refused:
        for each in (path, f"/roles/{prior}/implies", "/role_inferences"):
            who.get(each, status=403)
    for who in (*refused, system_reader):
        who.put(path, status=403)
        who.delete(path, status=403)
    As(local, None).get("/role_inferences", status=401)
    local.admin.delete(path)
