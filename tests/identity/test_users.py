"""Users: their lives, who may see and change them, and what lists show."""

from typing import Any

import pytest
from sqlalchemy import select

from onestack.core.db import Database
from onestack.core.event import EventRecord
from tests.cloud import As, Local
from tests.identity.people import PASSWORD, being, make_domain, make_user, persona, sign_in

OPTIONS = {
    "ignore_change_password_upon_first_use": True,
    "ignore_password_expiry": False,
    "ignore_lockout_failure_attempts": True,
    "ignore_user_inactivity": True,
    "lock_password": False,
    "multi_factor_auth_enabled": False,
    "multi_factor_auth_rules": [["password", "totp"], ["password"]],
}


def test_a_user_lives(local: Local) -> None:
    admin = local.admin
    made = make_user(local, "u-life", email="u@example.com", description="d", options=OPTIONS)
    user_id = made["id"]
    assert made == {
        "id": user_id,
        "name": "u-life",
        "domain_id": "default",
        "enabled": True,
        "email": "u@example.com",
        "description": "d",
        "options": OPTIONS,
        "password_expires_at": None,
        "links": {"self": f"http://127.0.0.1:5000/identity/v3/users/{user_id}"},
    }
    assert admin.get(f"/users/{user_id}")["user"] == made
    assert made in admin.get("/users")["users"]
    change = {"name": "u-life-2", "email": "v@example.com", "enabled": False, "project_id": "p"}
    changed = admin.patch(f"/users/{user_id}", {"user": change})["user"]
    assert changed == {**made, **change}
    assert admin.get(f"/users/{user_id}")["user"] == changed
    admin.head(f"/users/{user_id}")
    admin.delete(f"/users/{user_id}")
    assert admin.ask("GET", f"/users/{user_id}").message == f"Could not find user: {user_id}."
    admin.delete(f"/users/{user_id}", status=404)
    admin.patch(f"/users/{user_id}", {"user": {"name": "x"}}, status=404)


def test_no_answer_holds_a_password(local: Local) -> None:
    made = make_user(local, "u-secret")
    admin, path = local.admin, f"/users/{made['id']}"
    change = {"user": {"password": "another one", "original_password": PASSWORD}}
    answers = [
        admin.ask("GET", path),
        admin.ask("PATCH", path, change),
        admin.ask("GET", path),
        admin.ask("GET", "/users?name=u-secret"),
    ]
    for answer in answers:
        assert answer.status == 200
        assert b"another one" not in answer.content
        assert PASSWORD.encode() not in answer.content
        assert b"$2b$" not in answer.content
        assert b'password"' not in answer.content


def test_names_are_unique_within_a_domain(local: Local) -> None:
    make_user(local, "u-twin")
    answer = local.admin.ask("POST", "/users", {"user": {"name": "u-twin"}})
    assert (answer.status, "Duplicate entry" in answer.message) == (409, True)
    other = make_user(local, "u-twin", domain_id=make_domain(local, "u-twins"))
    third = make_user(local, "u-third")
    local.admin.patch(f"/users/{third['id']}", {"user": {"name": "u-twin"}}, status=409)
    local.admin.patch(f"/users/{other['id']}", {"user": {"name": "u-third"}})


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"name": ""},
        {"name": "  "},
        {"name": "a\nb"},
        {"name": "x" * 256},
        {"name": 7},
        {"name": "u-bad", "enabled": "True"},
        {"name": "u-bad", "enabled": None},
        {"name": "u-bad", "password": ""},
        {"name": "u-bad", "password": 12345678},
        {"name": "u-bad", "password": "x" * 4097},
        {"name": "u-bad", "description": 5},
        {"name": "u-bad", "domain_id": 5},
        {"name": "u-bad", "default_project_id": "default"},
        {"name": "u-bad", "default_project_id": "x" * 65},
        {"name": "u-bad", "options": {"unknown": True}},
        {"name": "u-bad", "options": {"lock_password": "yes"}},
        {"name": "u-bad", "options": {"multi_factor_auth_rules": "password"}},
        {"name": "u-bad", "options": {"multi_factor_auth_rules": ["password"]}},
        {"name": "u-bad", "options": {"multi_factor_auth_rules": [[]]}},
        {"name": "u-bad", "options": {"multi_factor_auth_rules": [["a"], ["a"]]}},
        {"name": "u-bad", "options": {"multi_factor_auth_rules": [["a", "a"]]}},
        {"name": "u-bad", "federated": [{"idp_id": "x"}]},
        {"name": "u-bad", "federated": [{"idp_id": "x", "protocols": []}]},
    ],
)
def test_bad_users_are_refused(local: Local, attributes: dict[str, Any]) -> None:
    local.admin.post("/users", {"user": attributes}, status=400)
    assert local.admin.get("/users?name=u-bad")["users"] == []


def test_a_user_of_an_unknown_domain_is_refused(local: Local) -> None:
    local.admin.post("/users", {"user": {"name": "u-lost", "domain_id": "f" * 32}}, status=404)


def test_where_a_user_belongs_never_changes(local: Local) -> None:
    made = make_user(local, "u-fixed")
    path = f"/users/{made['id']}"
    for change in ({"domain_id": "elsewhere"}, {"id": "other"}, {"enabled": "False"}):
        local.admin.patch(path, {"user": change}, status=400)
    local.admin.patch(path, {"user": {"domain_id": "default", "id": made["id"]}})
    assert local.admin.get(path)["user"] == made


def test_options_merge_and_null_takes_one_away(local: Local) -> None:
    path = f"/users/{make_user(local, 'u-options', options=OPTIONS)['id']}"
    change = {"options": {"lock_password": True, "multi_factor_auth_rules": None}}
    changed = local.admin.patch(path, {"user": change})["user"]["options"]
    expected = {**OPTIONS, "lock_password": True}
    del expected["multi_factor_auth_rules"]
    assert changed == expected
    local.admin.patch(path, {"user": {"options": {"nonsense": 1}}}, status=400)


def test_a_default_project_may_be_unknown_and_is_forgotten_by_null(local: Local) -> None:
    made = make_user(local, "u-default", default_project_id="a" * 32)
    assert made["default_project_id"] == "a" * 32
    path = f"/users/{made['id']}"
    local.admin.patch(path, {"user": {"default_project_id": "default"}}, status=400)
    changed = local.admin.patch(path, {"user": {"default_project_id": None}})["user"]
    assert "default_project_id" not in changed


def test_lists_are_filtered(local: Local) -> None:
    domain = make_domain(local, "u-filters")
    on = make_user(local, "u-filter-on", domain_id=domain)
    off = make_user(local, "u-filter-off", domain_id=domain, enabled=False)

    def names(query: str) -> list[str]:
        found = local.admin.get(f"/users?domain_id={domain}&{query}")["users"]
        return sorted(user["name"] for user in found)

    both = sorted([on["name"], off["name"]])
    assert names("") == both
    assert names("enabled=True") == [on["name"]]
    assert names("enabled=False") == [off["name"]]
    assert names("name=u-filter-on") == [on["name"]]
    assert names("name__icontains=FILTER-O") == both
    assert names("name__startswith=u-filter-of") == [off["name"]]
    assert names("password_expires_at=lt:2100-01-01T00:00:00Z") == []
    assert names("idp_id=nobody") == []
    local.admin.get("/users?password_expires_at=2100-01-01T00:00:00Z", status=400)
    local.admin.get("/users?password_expires_at=lt:soon", status=400)
    local.admin.get("/users?password_expires_at=xx:2100-01-01T00:00:00Z", status=400)


def test_federated_identities_are_kept_with_a_user(local: Local) -> None:
    identity = {"idp_id": "idp", "protocols": [{"protocol_id": "mapped", "unique_id": "u@x"}]}
    made = make_user(local, "u-federated", federated=[identity])
    assert made["federated"] == [identity]
    path = f"/users/{made['id']}"
    assert local.admin.get(path)["user"] == made
    for query in ("idp_id=idp", "protocol_id=mapped&unique_id=u@x", "idp_id=idp&unique_id=u@x"):
        assert local.admin.get(f"/users?{query}")["users"] == [made]
    assert local.admin.get("/users?idp_id=idp&unique_id=else")["users"] == []
    same = {"user": {"name": "u-thief", "federated": [identity]}}
    local.admin.post("/users", same, status=409)
    assert local.admin.get("/users?name=u-thief")["users"] == []
    changed = local.admin.patch(path, {"user": {"federated": []}})["user"]
    assert "federated" not in changed


def test_only_admins_and_oneself(local: Local) -> None:
    me, other = make_user(local, "u-me"), make_user(local, "u-other")
    mine = being(local, me)
    assert mine.get(f"/users/{me['id']}")["user"] == me
    mine.get(f"/users/{other['id']}", status=403)
    mine.get(f"/users/{'0' * 32}", status=403)  # nobody learns who is there
    mine.get("/users", status=403)
    mine.post("/users", {"user": {"name": "u-by-me"}}, status=403)
    mine.patch(f"/users/{me['id']}", {"user": {"name": "u-renamed"}}, status=403)
    mine.delete(f"/users/{me['id']}", status=403)
    mine.get(f"/users/{other['id']}/groups", status=403)
    mine.get(f"/users/{other['id']}/projects", status=403)
    nobody = As(local, None)
    nobody.get("/users", status=401)
    nobody.get(f"/users/{me['id']}", status=401)


def test_people_of_a_domain_see_and_manage_that_domain_only(local: Local) -> None:
    domain = make_domain(local, "u-personas")
    inside = make_user(local, "u-inside", domain_id=domain)
    outside = make_user(local, "u-outside")
    reader = persona(local, "u-reader", "reader", domain)
    manager = persona(local, "u-manager", "manager", domain)
    admin = persona(local, "u-admin", "admin", domain)
    for somebody in (reader, manager, admin):
        found = somebody.get("/users")["users"]
        assert inside in found
        assert {user["domain_id"] for user in found} == {domain}
        assert somebody.get("/users?domain_id=default")["users"] == []
        assert somebody.get(f"/users/{inside['id']}")["user"] == inside
    for somebody in (reader, manager):
        somebody.get(f"/users/{outside['id']}", status=403)
        somebody.patch(f"/users/{outside['id']}", {"user": {"name": "x"}}, status=403)
        somebody.delete(f"/users/{outside['id']}", status=403)
        stranger = {"user": {"name": "u-stranger", "domain_id": "default"}}
        somebody.post("/users", stranger, status=403)
    reader.post("/users", {"user": {"name": "u-by-reader"}}, status=403)
    reader.patch(f"/users/{inside['id']}", {"user": {"name": "x"}}, status=403)
    made = manager.post("/users", {"user": {"name": "u-by-manager"}})["user"]
    assert made["domain_id"] == domain
    manager.patch(f"/users/{made['id']}", {"user": {"enabled": False}})
    manager.delete(f"/users/{made['id']}")


def test_a_disabled_user_has_no_way_in(local: Local) -> None:
    made = make_user(local, "u-disabled")
    before = being(local, made)
    local.admin.patch(f"/users/{made['id']}", {"user": {"enabled": False}})
    before.get(f"/users/{made['id']}", status=401)
    assert sign_in(local, made).status == 401
    local.admin.patch(f"/users/{made['id']}", {"user": {"enabled": True}})
    before.get(f"/users/{made['id']}", status=401)  # what was void stays so
    being(local, made).get(f"/users/{made['id']}")


def test_what_a_deleted_user_had_goes_with_it(local: Local) -> None:
    made = make_user(local, "u-gone")
    group = local.admin.post("/groups", {"group": {"name": "u-gone-group"}})["group"]
    local.admin.put(f"/groups/{group['id']}/users/{made['id']}")
    token = being(local, made)
    local.admin.delete(f"/users/{made['id']}")
    token.get(f"/users/{made['id']}", status=401)
    assert local.admin.get(f"/groups/{group['id']}/users")["users"] == []
    again = make_user(local, "u-gone")
    assert local.admin.get(f"/users/{again['id']}/groups")["groups"] == []


def test_changes_are_reported(local: Local) -> None:
    made = make_user(local, "u-events")
    path = f"/users/{made['id']}"
    local.admin.patch(path, {"user": {"email": "x"}})
    local.admin.delete(path)
    with local.cloud.get(Database).transaction(write=False) as session:
        names = select(EventRecord.name).where(
            EventRecord.payload["resource_info"].as_string() == made["id"]
        )
        found = list(session.scalars(names.order_by(EventRecord.id)))
    assert found == ["identity.user.created", "identity.user.updated", "identity.user.deleted"]


@pytest.mark.parametrize("body", [None, [], "x", 1, {}, {"user": None}, {"user": []}, {"u": {}}])
def test_what_is_no_user_is_refused(local: Local, body: Any) -> None:
    path = f"/users/{make_user(local, 'u-shape')['id']}" if body is None else "/users/x"
    local.admin.post("/users", body, status=400)
    assert local.admin.ask("PATCH", path, body).status == 400
