"""OSSA-2020-004: what lent a credential its rights, and whose it is, cannot be shaken off."""

import json
from typing import Any

import pytest

from onestack.core import clock
from tests.cloud import Local
from tests.identity.programs import Person, ec2, pair
from tests.identity.signing import ec2_request, ec2_token


@pytest.fixture(scope="module")
def person(local: Local) -> Person:
    return Person(local, "ossa-2020-004")


def lent(person: Person) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """A key pair that a program with little rights made, and its credential."""
    program = person.program(
        f"lender-{clock.new_id()}", unrestricted=True, roles=[{"name": "reader"}]
    )
    keys = pair(person, person.acting(program))
    every = person.me.get("/credentials?type=ec2")["credentials"]
    found = next(each for each in every if keys["access"] in each["blob"])
    return keys, f"/credentials/{found['id']}", json.loads(found["blob"])


@pytest.mark.parametrize("name", ["trust_id", "app_cred_id", "access_token_id"])
def test_what_lent_the_rights_stays(local: Local, person: Person, name: str) -> None:
    keys, path, blob = lent(person)
    for who in (person.me, local.admin):
        for value in ("another", None):
            if value != blob.get(name):
                body = {"credential": {"blob": json.dumps({**blob, name: value})}}
                who.patch(path, body, status=400)
    token = ec2_token(local.admin, ec2_request(keys)).body["token"]
    assert [role["name"] for role in token["roles"]] == ["reader"]


def test_nor_does_a_change_of_type_shed_it(local: Local, person: Person) -> None:
    keys, path, blob = lent(person)
    free = {"access": blob["access"], "secret": blob["secret"]}
    for change in (
        {"type": "cert"},
        {"type": "cert", "blob": json.dumps(free)},
        {"type": "EC2", "blob": json.dumps(free)},
        {"blob": json.dumps(free)},
    ):
        person.me.patch(path, {"credential": change}, status=400)
    token = ec2_token(local.admin, ec2_request(keys)).body["token"]
    assert [role["name"] for role in token["roles"]] == ["reader"]


def test_nobody_chooses_what_lends_a_new_credential_its_rights(person: Person) -> None:
    for name in ("trust_id", "app_cred_id", "access_token_id"):
        body = {"credential": ec2(person, "chosen", **{name: "somebody's"})}
        person.me.post("/credentials", body, status=400)
    plain = {"user_id": person.id, "project_id": person.project, "type": "cert", "blob": "{}"}
    path = (
        f"/credentials/{person.me.post('/credentials', {'credential': plain})['credential']['id']}"
    )
    blob = json.loads(ec2(person, "later")["blob"])
    turned = {"type": "ec2", "blob": json.dumps({**blob, "trust_id": "somebody's"})}
    person.me.patch(path, {"credential": turned}, status=400)


def test_the_owner_stays(local: Local, person: Person) -> None:
    other = Person(local, "ossa-2020-004-other")
    body = {"user_id": person.id, "type": "cert", "blob": "1"}
    made = person.me.post("/credentials", {"credential": body})["credential"]
    path = f"/credentials/{made['id']}"
    person.me.patch(path, {"credential": {"user_id": other.id}}, status=403)
    other.me.patch(path, {"credential": {"user_id": other.id}}, status=403)
    assert local.admin.get(path)["credential"]["user_id"] == person.id
    _, lent_path, _ = lent(person)
    local.admin.patch(lent_path, {"credential": {"user_id": other.id}}, status=400)
