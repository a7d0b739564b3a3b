"""Logins that an identity provider vouches for, and what they may do here."""

from typing import Any

from tests.cloud import As, Local
from tests.identity.federation.conftest import Trusting
from tests.identity.federation.partners import (
    ANYBODY,
    Partner,
    authenticate,
    holder,
    rescope,
    shown,
    vouched,
)
from tests.identity.stage import Stage


def test_an_unscoped_token_says_where_its_user_comes_from(trusting: Local) -> None:
    partner = Partner(trusting, "whence", protocol="saml2")
    answer = partner.sign_in(Remote_User="jane")
    assert answer.status == 201, answer
    token = answer.body["token"]
    assert token["methods"] == ["saml2"]
    assert token["user"]["name"] == "jane"
    assert token["user"]["domain"] == {"id": partner.domain_id, "name": "whence"}
    assert token["user"]["OS-FEDERATION"] == {
        "identity_provider": {"id": "whence"},
        "protocol": {"id": "saml2"},
        "groups": [],
    }
    assert not {"project", "domain", "roles", "catalog"} & token.keys()
    header = answer.headers["x-subject-token"]
    assert shown(trusting, header) == token
    user = trusting.admin.get(f"/users/{token['user']['id']}")["user"]
    assert (user["name"], user["domain_id"]) == ("jane", partner.domain_id)
    assert user["federated"] == [
        {"idp_id": "whence", "protocols": [{"protocol_id": "saml2", "unique_id": "jane"}]}
    ]


def test_one_person_is_one_user(trusting: Local) -> None:
    partner = Partner(trusting, "one", [rule(user={"id": "{0}", "name": "{1}"})])
    first, again, other = (
        partner.sign_in(method, Remote_User=uid, Nick=name).body["token"]["user"]
        for method, uid, name in (("POST", "u1", "Jane"), ("GET", "u1", "Joan"), ("GET", "u2", "J"))
    )
    assert first["id"] == again["id"] != other["id"]
    assert len(first["id"]) == 64
    assert again["name"] == "Joan"


def rule(*more: str, **local: Any) -> dict[str, Any]:
    """A rule that captures the user's name, its nickname, and more attributes."""
    remote = [{"type": name} for name in ("REMOTE_USER", "NICK", *more)]
    return {"remote": remote, "local": [local]}


def test_ids_do_not_depend_on_the_cloud(make_trusting: Trusting) -> None:
    ids = {
        Partner(cloud, "same").sign_in(Remote_User="jane").body["token"]["user"]["id"]
        for cloud in (make_trusting(), make_trusting())
    }
    assert len(ids) == 1


def test_names_that_are_taken_are_told_apart(trusting: Local) -> None:
    domain = Stage(trusting, "crowded").domain
    body = {"user": {"name": "jane", "domain_id": domain}}
    native = trusting.admin.post("/users", body)["user"]["id"]
    partner = Partner(trusting, "crowd", domain_id=domain)
    user = partner.sign_in(Remote_User="jane").body["token"]["user"]
    assert user["id"] != native
    assert user["name"] == "jane (crowd/mapped)"


def test_names_may_be_in_any_script(trusting: Local) -> None:
    partner = Partner(trusting, "script")
    answer = partner.sign_in(Remote_User="李 Žižek 😀")
    assert answer.body["token"]["user"]["name"] == "李 Žižek 😀"


def test_groups_of_the_mapping_give_their_roles(trusting: Local) -> None:
    stage = Stage(trusting, "grouped")
    project = stage.project()
    group = stage.group()
    stage.give("member", f"groups/{group}", f"projects/{project}")
    name = trusting.admin.get(f"/groups/{group}")["group"]["name"]
    partner = Partner(
        trusting,
        "grouped",
        [
            rule(user={"name": "{0}"}, group={"id": group}),
            rule(groups=f"{name};no such group", domain={"id": stage.domain}),
            rule("EXTRA", group_ids="{2}"),
        ],
    )
    token = partner.token(Remote_User="jane", Nick="j", Extra="no-such-id")
    assert shown(trusting, token)["user"]["OS-FEDERATION"]["groups"] == [{"id": group}]
    jane = holder(trusting, token)
    for path in ("/auth/projects", "/OS-FEDERATION/projects"):
        assert [each["id"] for each in jane.get(path)["projects"]] == [project]
    assert jane.get("/OS-FEDERATION/domains")["domains"] == []

    answer = rescope(trusting, token, {"project": {"id": project}})
    assert answer.status == 201, answer
    scoped = answer.body["token"]
    assert [each["name"] for each in scoped["roles"]] == ["member", "reader"]
    assert set(scoped["methods"]) == {"mapped", "token"}
    assert scoped["user"]["OS-FEDERATION"]["groups"] == [{"id": group}]
    header = answer.headers["x-subject-token"]
    trusting.admin.delete(f"/groups/{group}")
    shown(trusting, header, status=404)
    assert rescope(trusting, token, {"project": {"id": project}}).status == 401


def test_projects_of_the_mapping_are_made_and_given(trusting: Local) -> None:
    stage = Stage(trusting, "provided")
    projects = [
        {"name": "work of {1}", "roles": [{"name": "member"}]},
        {"name": "shared", "roles": [{"name": "reader"}], "domain": {"id": stage.domain}},
    ]
    partner = Partner(trusting, "provided", [rule(user={"name": "{0}"}, projects=projects)])
    token = partner.token(Remote_User="jane", Nick="j")
    found = holder(trusting, token).get("/auth/projects")["projects"]
    assert {(each["name"], each["domain_id"], each["parent_id"]) for each in found} == {
        ("work of j", partner.domain_id, partner.domain_id),
        ("shared", stage.domain, stage.domain),
    }
    wanted = {"project": {"name": "work of j", "domain": {"id": partner.domain_id}}}
    answer = rescope(trusting, token, wanted)
    assert [each["name"] for each in answer.body["token"]["roles"]] == ["member", "reader"]
    partner.token(Remote_User="joe", Nick="j")
    path = f"/projects?domain_id={partner.domain_id}"
    assert len(trusting.admin.get(path)["projects"]) == 1
    user = shown(trusting, token)["user"]["id"]
    given = trusting.admin.get(f"/role_assignments?user.id={user}")["role_assignments"]
    assert len(given) == 2


def test_a_mapping_that_cannot_be_followed_lets_nobody_in(trusting: Local) -> None:
    user = {"name": "{0}"}
    unfollowed: tuple[dict[str, Any], ...] = (
        {"user": user, "projects": [{"name": "p", "roles": [{"name": "no such role"}]}]},
        {"user": user, "projects": [{"name": "{1}", "roles": [{"name": "member"}]}]},
        {"user": {"name": "{0}", "domain": {"name": "no such domain"}}},
        {"user": {"name": "{0}", "type": "local", "domain": {"id": "default"}}},
        {"user": {"id": "{0}", "type": "local"}},
        {"user": {"name": "{1}"}},
        {"user": {"name": "{0}", "email": "{1}"}},
        {"user": {"name": "{0}\a"}},
    )
    for number, local in enumerate(unfollowed):
        partner = Partner(trusting, f"unfollowed-{number}", [rule(**local)])
        answer = partner.sign_in(Remote_User="jane", Nick="x" * 300)
        assert answer.status == 401, (local, answer)
        users = trusting.admin.get(f"/users?domain_id={partner.domain_id}")["users"]
        assert users == []


def test_an_assertion_that_no_rule_fits_lets_nobody_in(trusting: Local) -> None:
    rules = [
        {
            "remote": [{"type": "REMOTE_USER"}, {"type": "GROUPS", "any_one_of": ["staff"]}],
            "local": [{"user": {"name": "{0}"}}],
        }
    ]
    partner = Partner(trusting, "unfit", rules)
    for attributes in ({}, {"Remote_User": "jane"}, {"Remote_User": "jane", "Groups": "guests"}):
        answer = partner.sign_in(**attributes)
        assert answer.status == 401
        assert "No rule of mapping unfit matches the assertion" in answer.message
    assert partner.sign_in(Remote_User="jane", Groups="guests;staff").status == 201


def test_attributes_have_one_spelling(trusting: Local) -> None:
    rules = [{"remote": [{"type": "OIDC-email"}], "local": [{"user": {"name": "{0}"}}]}]
    partner = Partner(trusting, "spelling", rules)
    assert partner.sign_in(Oidc_Email="j@example").body["token"]["user"]["name"] == "j@example"
    assert partner.sign_in(Oidc_Email="(null)").status == 401


def test_local_users_get_ordinary_tokens(trusting: Local) -> None:
    stage = Stage(trusting, "localized")
    user_id = stage.user()
    user = trusting.admin.get(f"/users/{user_id}")["user"]
    by_id = [rule(user={"id": "{0}", "type": "local"})]
    by_name = [rule(user={"name": "{0}", "type": "local", "domain": {"id": stage.domain}})]
    for name, rules, remote_user in (
        ("by-id", by_id, user_id),
        ("by-name", by_name, user["name"]),
    ):
        partner = Partner(trusting, f"localized-{name}", rules)
        token = partner.sign_in(Remote_User=remote_user, Nick="x").body["token"]
        assert token["user"]["id"] == user_id
        assert "OS-FEDERATION" not in token["user"]
        assert partner.sign_in(Remote_User="nobody", Nick="x").status == 401
    trusting.admin.patch(f"/users/{user_id}", {"user": {"enabled": False}})
    assert partner.sign_in(Remote_User=user["name"], Nick="x").status == 401


def test_local_users_still_need_all_their_methods(trusting: Local) -> None:
    stage = Stage(trusting, "factors")
    user_id = stage.user()
    options = {
        "multi_factor_auth_enabled": True,
        "multi_factor_auth_rules": [["password", "totp"]],
    }
    trusting.admin.patch(f"/users/{user_id}", {"user": {"options": options}})
    by_id = [rule(user={"id": "{0}", "type": "local"})]
    for protocol in ("mapped", "password"):
        partner = Partner(trusting, f"factors-{protocol}", by_id, protocol=protocol)
        answer = partner.sign_in(Remote_User=user_id, Nick="x")
        assert answer.status == 401
        assert "x-subject-token" not in answer.headers


def test_a_disabled_user_stays_out(trusting: Local) -> None:
    partner = Partner(trusting, "barred")
    token = partner.token(Remote_User="jane")
    user_id = shown(trusting, token)["user"]["id"]
    trusting.admin.patch(f"/users/{user_id}", {"user": {"enabled": False}})
    shown(trusting, token, status=404)
    assert partner.sign_in(Remote_User="jane").status == 401


def test_a_disabled_domain_keeps_its_users_out(trusting: Local) -> None:
    partner = Partner(trusting, "shut")
    token = partner.token(Remote_User="jane")
    trusting.admin.patch(f"/domains/{partner.domain_id}", {"domain": {"enabled": False}})
    shown(trusting, token, status=404)
    assert partner.sign_in(Remote_User="jane").status == 401


def test_who_had_its_identity_taken_does_not_get_it_back(trusting: Local) -> None:
    partner = Partner(trusting, "taken")
    user_id = shown(trusting, partner.token(Remote_User="jane"))["user"]["id"]
    trusting.admin.patch(f"/users/{user_id}", {"user": {"federated": []}})
    assert partner.sign_in(Remote_User="jane").status == 401


def test_users_made_for_an_identity_are_found(trusting: Local) -> None:
    partner = Partner(trusting, "expected")
    protocols = [{"protocol_id": "mapped", "unique_id": "jane"}]
    body = {
        "name": "jane of ours",
        "domain_id": "default",
        "federated": [{"idp_id": "expected", "protocols": protocols}],
    }
    made = trusting.admin.post("/users", {"user": body})["user"]
    user = partner.sign_in(Remote_User="jane").body["token"]["user"]
    assert (user["id"], user["name"]) == (made["id"], "jane of ours")
    trusting.admin.delete(partner.path)
    trusting.admin.get(f"/users/{made['id']}")


def test_disabling_the_provider_ends_its_tokens_for_good(trusting: Local) -> None:
    stage = Stage(trusting, "ended")
    project, group = stage.project(), stage.group()
    stage.give("member", f"groups/{group}", f"projects/{project}")
    partner = Partner(trusting, "ended", [rule(user={"name": "{0}"}, group={"id": group})])
    token = partner.token(Remote_User="jane", Nick="j")
    scoped = rescope(trusting, token, {"project": {"id": project}}).headers["x-subject-token"]
    partner.patch(enabled=False)
    for each in (token, scoped):
        shown(trusting, each, status=404)
        holder(trusting, each).get("/auth/projects", status=401)
        assert rescope(trusting, each).status in (401, 404)
    answer = partner.sign_in(Remote_User="jane", Nick="j")
    assert answer.status == 403
    assert answer.message == "Identity Provider ended is disabled."
    partner.patch(enabled=True)
    for each in (token, scoped):
        shown(trusting, each, status=404)
    shown(trusting, partner.token(Remote_User="jane", Nick="j"))


def test_deleting_the_provider_ends_its_users(trusting: Local) -> None:
    projects = [{"name": "work", "roles": [{"name": "member"}]}]
    rules = [rule(user={"name": "{0}"}, projects=projects)]
    partner = Partner(trusting, "gone", rules)
    token = partner.token(Remote_User="jane", Nick="j")
    user_id = shown(trusting, token)["user"]["id"]
    scope = {"project": {"name": "work", "domain": {"id": partner.domain_id}}}
    work = holder(trusting, rescope(trusting, token, scope).headers["x-subject-token"])
    body = {"application_credential": {"name": "robot", "secret": "robot-secret"}}
    made = work.post(f"/users/{user_id}/application_credentials", body)["application_credential"]
    robot = {"id": made["id"], "secret": "robot-secret"}
    assert authenticate(trusting, "application_credential", robot, {}).status == 201

    trusting.admin.delete(partner.path)
    shown(trusting, token, status=404)
    trusting.admin.get(f"/users/{user_id}", status=404)
    assert authenticate(trusting, "application_credential", robot, {}).status == 401
    assert partner.sign_in(Remote_User="jane", Nick="j").status == 404
    trusting.admin.delete("/OS-FEDERATION/mappings/gone")
    again = Partner(trusting, "gone")
    shown(trusting, token, status=404)
    new = again.token(Remote_User="jane")
    assert holder(trusting, new).get("/auth/projects")["projects"] == []


def test_deleting_the_protocol_ends_its_tokens_for_good(trusting: Local) -> None:
    partner = Partner(trusting, "unspoken")
    token = partner.token(Remote_User="jane")
    path = f"{partner.path}/protocols/mapped"
    trusting.admin.delete(path)
    shown(trusting, token, status=404)
    trusting.admin.put(path, {"protocol": {"mapping_id": "unspoken"}}, status=201)
    shown(trusting, token, status=404)


def test_without_its_mapping_a_protocol_lets_nobody_in(trusting: Local) -> None:
    partner = Partner(trusting, "mapless")
    trusting.admin.delete("/OS-FEDERATION/mappings/mapless")
    assert partner.sign_in(Remote_User="jane").status == 404


def test_the_provider_must_be_the_one_that_is_registered(trusting: Local) -> None:
    partner = Partner(trusting, "named", remote_ids=["https://right.example/"])
    right = {"Remote_User": "jane", "HTTP_Oidc_Iss": "https://right.example/"}
    assert partner.sign_in(**right).status == 201
    assert partner.sign_in(Remote_User="jane").status == 400
    wrong = right | {"HTTP_Oidc_Iss": "https://wrong.example/"}
    answer = partner.sign_in(**wrong)
    assert answer.status == 403
    assert "not included among the accepted identifiers" in answer.message
    body = {"protocol": {"remote_id_attribute": "MELLON_IDP"}}
    trusting.admin.patch(f"{partner.path}/protocols/mapped", body)
    assert partner.sign_in(**right).status == 400
    answer = partner.sign_in(Remote_User="jane", Mellon_Idp="https://right.example/")
    assert answer.status == 201


def test_methods_of_the_tokens_api_sign_in_too(trusting: Local) -> None:
    stage = Stage(trusting, "methodic")
    project, group = stage.project(), stage.group()
    stage.give("member", f"groups/{group}", f"projects/{project}")
    rules = [rule(user={"name": "{0}"}, group={"id": group})]
    Partner(trusting, "methodic", rules, protocol="openid", remote_ids=["methodic-1"])
    given = {"identity_provider": "methodic", "protocol": "openid"}
    headers = vouched(Remote_User="jane", Nick="j", HTTP_Oidc_Iss="methodic-1")
    for method in ("mapped", "saml2", "openid"):
        answer = authenticate(trusting, method, given, headers)
        assert answer.status == 201, answer
        assert answer.body["token"]["methods"] == [method]
        assert "project" not in answer.body["token"]
    identity = {"methods": ["openid"], "openid": given}
    auth = {"auth": {"identity": identity, "scope": {"project": {"id": project}}}}
    answer = trusting.ask("POST", "/identity/v3/auth/tokens", auth, headers=headers)
    assert answer.body["token"]["project"]["id"] == project

    again = authenticate(trusting, "saml2", {"id": answer.headers["x-subject-token"]}, {})
    assert again.status == 201
    assert again.body["token"]["user"]["OS-FEDERATION"]["identity_provider"] == {"id": "methodic"}
    demo = {"id": trusting.token("demo")}
    assert authenticate(trusting, "saml2", demo, {}).status == 401


def test_where_the_path_names_no_provider_the_assertion_must(trusting: Local) -> None:
    Partner(trusting, "pathless-a", remote_ids=["pathless-a"])
    Partner(trusting, "pathless-b")
    cases: tuple[tuple[str, dict[str, str], int], ...] = (
        ("pathless-a", {"HTTP_Oidc_Iss": "pathless-a"}, 201),
        ("pathless-a", {"HTTP_Oidc_Iss": "pathless-b"}, 403),
        ("pathless-a", {}, 400),
        ("pathless-b", {}, 400),
        ("pathless-b", {"HTTP_Oidc_Iss": "pathless-a"}, 403),
    )
    for name, attributes, status in cases:
        given = {"identity_provider": name, "protocol": "mapped"}
        headers = vouched(Remote_User="jane", **attributes)
        assert authenticate(trusting, "mapped", given, headers).status == status


def test_bad_requests_are_refused(trusting: Local) -> None:
    Partner(trusting, "refusing", remote_ids=["refusing"])
    headers = vouched(Remote_User="jane", HTTP_Oidc_Iss="refusing")
    for given, status in (
        ({}, 400),
        ({"identity_provider": "refusing"}, 400),
        ({"identity_provider": 1, "protocol": "mapped"}, 400),
        ({"identity_provider": "refusing", "protocol": "other"}, 404),
        ({"identity_provider": "other", "protocol": "mapped"}, 404),
        ({"id": "rubbish"}, 404),
    ):
        assert authenticate(trusting, "mapped", given, headers).status == status, given
    for path in ("refusing/protocols/other", "other/protocols/mapped"):
        whole = f"/identity/v3/OS-FEDERATION/identity_providers/{path}/auth"
        assert trusting.ask("POST", whole, headers=headers).status == 404


def test_more_groups_than_a_token_holds_are_refused(trusting: Local) -> None:
    partner = Partner(trusting, "many", [rule("IDS", user={"name": "{0}"}, group_ids="{2}")])
    ids = ";".join(f"{number:032x}" for number in range(257))
    answer = partner.sign_in(Remote_User="jane", Nick="j", Ids=ids)
    assert answer.status == 401
    assert "257 groups" in answer.message


def test_a_default_project_is_not_what_a_federated_login_is_for(trusting: Local) -> None:
    projects = [{"name": "home", "roles": [{"name": "member"}]}]
    rules = [rule(user={"name": "{0}"}, projects=projects)]
    partner = Partner(trusting, "homely", rules, remote_ids=["homely"])
    attributes = {"Remote_User": "jane", "Nick": "j", "HTTP_Oidc_Iss": "homely"}
    token = partner.token(**attributes)
    home = holder(trusting, token).get("/auth/projects")["projects"][0]["id"]
    user_id = shown(trusting, token)["user"]["id"]
    trusting.admin.patch(f"/users/{user_id}", {"user": {"default_project_id": home}})
    given = {"identity_provider": "homely", "protocol": "mapped"}
    answer = authenticate(trusting, "mapped", given, vouched(**attributes))
    assert "project" not in answer.body["token"]


def test_an_unscoped_token_does_nothing_but_be_scoped(trusting: Local) -> None:
    jane = As(trusting, Partner(trusting, "idle", ANYBODY).token(Remote_User="jane"))
    for path in ("/users", "/projects", "/OS-FEDERATION/identity_providers"):
        assert jane.ask("GET", path).status == 403
    assert rescope(trusting, str(jane.token), {"system": {"all": True}}).status == 401
