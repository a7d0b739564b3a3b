"""Credentials."""

import hashlib
import json
from typing import Any

import pytest
from sqlalchemy import text

from onestack.core.db import Database
from tests.cloud import As, Local
from tests.identity.programs import Person, ec2


@pytest.fixture(scope="module")
def person(local: Local) -> Person:
    return Person(local, "credential-owner")


def made(who: As, body: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = who.post("/credentials", {"credential": body})["credential"]
    return answer


def test_it_lives(local: Local, person: Person) -> None:
    credential = made(local.admin, ec2(person, "lives"))
    assert credential["id"] == hashlib.sha256(b"lives").hexdigest()
    assert json.loads(credential["blob"]) == {"access": "lives", "secret": "s3cret"}
    path = f"/credentials/{credential['id']}"
    assert local.admin.get(path)["credential"] == credential
    assert credential in local.admin.get("/credentials")["credentials"]
    blob = json.dumps({"access": "other", "secret": "new"})
    changed = local.admin.patch(path, {"credential": {"blob": blob}})["credential"]
    assert changed == {**credential, "blob": blob}
    assert local.admin.get(path)["credential"] == changed
    local.admin.delete(path)
    local.admin.get(path, status=404)
    local.admin.delete(path, status=404)


def test_any_type_with_any_blob_and_what_else_one_likes(person: Person) -> None:
    body = {"user_id": person.id, "type": "cert", "blob": "-----BEGIN", "colour": "red"}
    credential = made(person.me, body)
    assert credential["colour"] == "red"
    assert credential["project_id"] is None
    path = f"/credentials/{credential['id']}"
    changed = person.me.patch(path, {"credential": {"type": "x509", "size": 2}})["credential"]
    assert changed == {**credential, "type": "x509", "size": 2}
    project = {"credential": {"project_id": person.project}}
    assert person.me.patch(path, project)["credential"]["project_id"] == person.project


def test_blobs_are_encrypted_at_rest(local: Local, person: Person) -> None:
    credential = made(person.me, {"user_id": person.id, "type": "t", "blob": "hidden treasure"})
    with local.cloud.get(Database).transaction(write=False) as session:
        row = session.execute(text("SELECT * FROM credentials WHERE id = :id"), credential).one()
    assert row.user_id == person.id
    assert "treasure" not in str(row)
    assert (local.data / "keys" / "credential" / "0").stat().st_mode & 0o077 == 0


def test_filters(local: Local, person: Person) -> None:
    one = made(person.me, {"user_id": person.id, "type": "rare", "blob": "1"})
    assert local.admin.get("/credentials?type=rare")["credentials"] == [one]
    found = local.admin.get(f"/credentials?user_id={person.id}&type=rare")["credentials"]
    assert found == [one]
    assert local.admin.get("/credentials?user_id=nobody")["credentials"] == []


def test_an_access_key_is_one_credential_s(person: Person) -> None:
    credential = made(person.me, ec2(person, "once"))
    answer = person.me.ask("POST", "/credentials", {"credential": ec2(person, "once")})
    assert answer.status == 409
    person.me.delete(f"/credentials/{credential['id']}")
    made(person.me, ec2(person, "once"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"blob": "no json"},
        {"blob": "[]"},
        {"blob": '{"access": "a"}'},
        {"blob": '{"secret": "s"}'},
        {"blob": '{"access": "", "secret": "s"}'},
        {"blob": '{"access": 1, "secret": "s"}'},
        {"blob": "[" * 5000},
        {"blob": {"access": "a", "secret": "s"}},
        {"project_id": None},
        {"type": ""},
        {"type": 5},
        {"user_id": "u" * 65},
    ],
)
def test_bad_input(person: Person, wrong: dict[str, Any]) -> None:
    body = {"credential": {**ec2(person, "bad"), **wrong}}
    answer = person.me.ask("POST", "/credentials", body)
    assert answer.status == 400, answer


def test_unknown_users_and_projects(local: Local, person: Person) -> None:
    unknown = {**ec2(person, "unknown"), "project_id": "nope"}
    person.me.post("/credentials", {"credential": unknown}, status=404)
    nobody = {**ec2(person, "unknown"), "user_id": "nope"}
    local.admin.post("/credentials", {"credential": nobody}, status=404)
    person.me.post("/credentials", {"credential": nobody}, status=403)


def test_everybody_for_himself(local: Local, person: Person) -> None:
    other = Person(local, "credential-other")
    credential = made(person.me, {"user_id": person.id, "type": "own", "blob": "1"})
    path = f"/credentials/{credential['id']}"
    other.me.get(path, status=403)
    other.me.patch(path, {"credential": {"blob": "2"}}, status=403)
    other.me.delete(path, status=403)
    body = {"credential": {"user_id": person.id, "type": "own", "blob": "1"}}
    other.me.post("/credentials", body, status=403)
    other.me.get("/credentials/unknown", status=403)
    assert As(local, None).ask("GET", "/credentials").status == 401
    given = {"credential": {"user_id": other.id}}
    person.me.patch(path, given, status=403)
    assert person.me.get(path)["credential"] == credential


def test_credentials_go_with_their_user_and_project(local: Local) -> None:
    person, other = Person(local, "credential-gone"), Person(local, "credential-homeless")
    mine, theirs = made(person.me, ec2(person, "gone")), made(other.me, ec2(other, "homeless"))
    local.admin.delete(f"/users/{person.id}")
    local.admin.delete(f"/projects/{other.project}")
    local.admin.get(f"/credentials/{mine['id']}", status=404)
    local.admin.get(f"/credentials/{theirs['id']}", status=404)
