"""Application credentials."""

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import select

from onestack.core import clock
from onestack.core.db import Database
from onestack.identity.application_credentials.record import ApplicationCredentialRecord
from tests.cloud import As, Local
from tests.identity.people import being, make_user
from tests.identity.programs import Person, authenticate, run


@pytest.fixture(scope="module")
def person(local: Local) -> Person:
    return Person(local, "appcred-owner")


def path(person: Person, credential: dict[str, Any] | None = None) -> str:
    suffix = "" if credential is None else f"/{credential['id']}"
    return f"/users/{person.id}/application_credentials{suffix}"


def test_it_lives(local: Local, person: Person) -> None:
    ends = "2099-11-20T20:00:00.123456"
    made = person.program("lives", description="d", expires_at=ends)
    secret = made.pop("secret")
    assert len(secret) >= 64
    assert made["expires_at"] == ends
    assert made["unrestricted"] is False
    assert made["project_id"] == person.project
    assert {role["name"] for role in made["roles"]} == {"member", "reader"}
    assert "access_rules" not in made
    assert person.me.get(path(person, made))["application_credential"] == made
    assert made in person.me.get(path(person))["application_credentials"]
    named = person.me.get(f"{path(person)}?name=lives")["application_credentials"]
    assert named == [made]
    person.me.post(path(person), {"application_credential": {"name": "lives"}}, status=409)
    person.me.delete(path(person, made))
    person.me.get(path(person, made), status=404)
    person.me.delete(path(person, made), status=404)


def test_a_program_signs_in_for_its_project_and_nothing_else(local: Local, person: Person) -> None:
    made = person.program("signs-in", roles=[{"name": "reader"}])
    token = run(local, made).body["token"]
    assert token["methods"] == ["application_credential"]
    assert token["project"]["id"] == person.project
    assert [role["name"] for role in token["roles"]] == ["reader"]
    assert token["application_credential"] == {
        "id": made["id"],
        "name": "signs-in",
        "restricted": True,
    }
    assert run(local, made, scope=person.scope).status == 401
    assert run(local, made, scope={"domain": {"id": "default"}}).status == 401
    assert run(local, {**made, "secret": "wrong"}).status == 401
    assert run(local, {**made, "id": "0" * 32}).status == 401
    again = {"token": {"id": person.acting(made).token}}
    assert authenticate(local, again, {"domain": {"id": "default"}}).status == 403


def test_by_name_and_user(local: Local, person: Person) -> None:
    made = person.program("by-name", secret="open sesame")
    assert made["secret"] == "open sesame"
    proof = {"name": "by-name", "secret": "open sesame"}
    for user in (
        {"id": person.id},
        {"name": person.name, "domain": {"name": "Default"}},
    ):
        given = {"application_credential": {**proof, "user": user}}
        assert authenticate(local, given).status == 201
    stranger = {"name": "nobody", "domain": {"id": "default"}}
    for wrong in ({**proof, "user": stranger}, {**proof, "user": {"id": person.id}, "secret": ""}):
        assert authenticate(local, {"application_credential": wrong}).status == 401
    assert authenticate(local, {"application_credential": proof}).status == 400
    assert authenticate(local, {"application_credential": {"id": made["id"]}}).status == 400


def test_secrets_are_not_stored(local: Local, person: Person) -> None:
    chosen = person.program("chosen", secret="user's own")
    generated = person.program("generated")
    with local.cloud.get(Database).transaction(write=False) as session:
        rows = {row.id: row for row in session.scalars(select(ApplicationCredentialRecord))}
    assert rows[chosen["id"]].secret_hash.startswith("$2b$")
    assert rows[generated["id"]].secret_hash.startswith("sha256:")
    assert generated["secret"] not in rows[generated["id"]].secret_hash


def test_roles_are_those_that_the_user_has_now(local: Local) -> None:
    person = Person(local, "appcred-roles")
    before = person.me
    role = local.admin.post("/roles", {"role": {"name": "appcred-late"}})["role"]
    unheld = {"name": "late", "roles": [{"id": role["id"]}]}
    before.post(path(person), {"application_credential": unheld}, status=400)
    person.give("appcred-late")
    made = person.program("late", before, roles=[{"id": role["id"]}])
    assert [each["id"] for each in made["roles"]] == [role["id"]]
    acting = person.acting(made)
    acting.get(f"/users/{person.id}")
    person.take("appcred-late")
    acting.get(f"/users/{person.id}", status=401)
    assert run(local, made).status == 401


def test_without_roles_it_has_all_that_the_user_has(person: Person) -> None:
    for name, roles in (("all-null", None), ("all-empty", [])):
        made = person.program(name, roles=roles)
        assert {role["name"] for role in made["roles"]} == {"member", "reader"}


def test_no_roles_of_others_and_no_wrong_ones(local: Local, person: Person) -> None:
    for roles in (
        [{"name": "admin"}],
        [{"id": "nope"}],
        [{"name": "member", "id": "x"}],
        [{}],
        "member",
    ):
        body = {"application_credential": {"name": "bad-roles", "roles": roles}}
        person.me.post(path(person), body, status=400)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": " "},
        {"name": "n" * 256},
        {"name": 1},
        {"expires_at": "soon"},
        {"expires_at": "2001-01-01T00:00:00"},
        {"expires_at": "2099-11-20T20:00:00.123Z "},
        {"unrestricted": "yes"},
        {"secret": "s" * 5000},
        {"access_rules": [{"path": "v2", "method": "GET", "service": "compute"}]},
        {"access_rules": [{"path": "/v2", "method": "TRACE", "service": "compute"}]},
        {"access_rules": [{"path": "/v2", "method": "GET", "service": "com pute"}]},
        {"access_rules": [{"path": "/v2", "method": "GET"}]},
        {"access_rules": [{"path": "/" * 226, "method": "GET", "service": "compute"}]},
        {"access_rules": [{"id": "x", "path": "/v2"}]},
        {"access_rules": [{"colour": "red"}]},
    ],
)
def test_bad_input(person: Person, wrong: dict[str, Any]) -> None:
    body = {"application_credential": {"name": "bad", **wrong}}
    person.me.post(path(person), body, status=400)


def test_only_for_oneself(local: Local, person: Person) -> None:
    other = Person(local, "appcred-other")
    made = person.program("mine")
    body = {"application_credential": {"name": "theirs"}}
    other.me.post(path(person), body, status=403)
    local.admin.post(path(person), body, status=403)
    for who in (other.me, local.demo):
        who.get(path(person), status=403)
        who.get(path(person, made), status=403)
        who.delete(path(person, made), status=403)
    assert As(local, None).ask("GET", path(person)).status == 401
    other.me.get(f"/users/{other.id}/application_credentials/{made['id']}", status=404)
    assert local.admin.get(path(person, made))["application_credential"]["name"] == "mine"
    reader = Person(local, "appcred-system-reader")
    local.admin.put(f"/system/users/{reader.id}/roles/{_reader(local)}")
    watching = being(local, reader.user, scope={"system": {"all": True}})
    watching.get(path(person))
    watching.delete(path(person, made), status=403)
    local.admin.delete(path(person, made))


def test_a_token_for_no_project_makes_none(local: Local, person: Person) -> None:
    unscoped = being(local, person.user)
    unscoped.post(path(person), {"application_credential": {"name": "none"}}, status=400)


def test_restricted_programs_make_nothing_and_unrestricted_ones_no_more_than_they_are(
    local: Local,
) -> None:
    person = Person(local, "appcred-restricted")
    restricted = person.acting(person.program("restricted"))
    body = {"application_credential": {"name": "child"}}
    restricted.post(path(person), body, status=403)
    other = person.program("victim")
    restricted.delete(path(person, other), status=403)
    reader = person.program("free", unrestricted=True, roles=[{"name": "reader"}])
    free = person.acting(reader)
    child = person.program("child", free)
    assert [role["name"] for role in child["roles"]] == ["reader"]
    more = {"application_credential": {"name": "more", "roles": [{"name": "member"}]}}
    free.post(path(person), more, status=400)
    free.delete(path(person, child))


def test_tokens_end_with_the_credential(local: Local, person: Person) -> None:
    ends = clock.now() + dt.timedelta(seconds=90)
    short = person.program("short", expires_at=ends.isoformat())
    expires_at = dt.datetime.fromisoformat(run(local, short).body["token"]["expires_at"][:-1])
    assert expires_at <= ends
    acting = person.acting(short)
    late = clock.Simulated(1, start=ends + dt.timedelta(seconds=1))
    with clock.use(late):
        acting.get(f"/users/{person.id}", status=401)
        assert run(local, short).status == 401
    acting.get(f"/users/{person.id}")
    person.me.delete(path(person, short))
    acting.get(f"/users/{person.id}", status=401)
    assert run(local, short).status == 401


def test_access_rules_are_kept_to(local: Local, person: Person) -> None:
    rule = {"service": "identity", "method": "GET", "path": "/v3/users/*"}
    made = person.program("ruled", access_rules=[rule, rule])
    assert [{k: v for k, v in each.items() if k != "id"} for each in made["access_rules"]] == [rule]
    answer = run(local, made)
    assert answer.body["token"]["application_credential"]["access_rules"] == made["access_rules"]
    acting = As(local, answer.headers["x-subject-token"])
    acting.get(f"/users/{person.id}")
    acting.get(f"/users/{person.id}/projects", status=403)
    acting.get("/auth/projects", status=403)
    acting.patch(f"/users/{person.id}", {"user": {"name": "x"}}, status=403)


def test_the_user_s_and_the_project_s_end_is_its_end(local: Local) -> None:
    person, other = Person(local, "appcred-gone"), Person(local, "appcred-homeless")
    made, theirs = person.program("gone"), other.program("homeless")
    acting = person.acting(made)
    local.admin.patch(f"/users/{person.id}", {"user": {"enabled": False}})
    acting.get(f"/users/{person.id}", status=401)
    assert run(local, made).status == 401
    local.admin.delete(f"/users/{person.id}")
    assert run(local, made).status == 401
    local.admin.delete(f"/projects/{other.project}")
    assert run(local, theirs).status == 401
    listed = local.admin.get(f"/users/{other.id}/application_credentials")
    assert listed["application_credentials"] == []


def test_unknown_users_have_none(local: Local) -> None:
    local.admin.get("/users/nobody/application_credentials", status=404)
    local.admin.get("/users/nobody/access_rules", status=404)
    make_user(local, "appcred-plain")


def _reader(local: Local) -> str:
    found: str = local.admin.get("/roles?name=reader")["roles"][0]["id"]
    return found
