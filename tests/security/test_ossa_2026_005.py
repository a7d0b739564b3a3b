"""OSSA-2026-005: who acts with rights that were lent makes no credentials that have more."""

import json

import pytest

from tests.cloud import As, Local
from tests.identity.consumers import Consumer
from tests.identity.programs import Person, ec2, pair, trusted


@pytest.fixture(scope="module")
def person(local: Local) -> Person:
    return Person(local, "ossa-2026-005", ("member", "admin"))  # admins authorize consumers


@pytest.fixture(params=["program", "trust", "consumer"])
def acting(request: pytest.FixtureRequest, local: Local, person: Person) -> As:
    """Somebody with the reader role of the person, by one way of lending or another."""
    name = f"lent-{request.node.name}"
    if request.param == "program":
        return person.acting(person.program(name, roles=[{"name": "reader"}]))
    if request.param == "trust":
        return trusted(person, Person(local, name), "reader")
    consumer = Consumer(local)
    consumer.obtain(person, "reader")
    return consumer.acting


def test_no_key_pairs(person: Person, acting: As) -> None:
    path = f"/users/{person.id}/credentials/OS-EC2"
    acting.post(path, {"tenant_id": person.project}, status=403)
    keys = pair(person)
    acting.delete(f"{path}/{keys['access']}", status=403)
    assert person.me.get(f"{path}/{keys['access']}")["credential"] == keys


@pytest.mark.parametrize("type_", ["ec2", "totp", "cert"])
def test_no_credentials_of_any_type(person: Person, acting: As, type_: str) -> None:
    acting.post("/credentials", {"credential": {**ec2(person, "lent"), "type": type_}}, status=403)


def test_no_changes_of_credentials(person: Person, acting: As) -> None:
    pair(person)
    one = person.me.get("/credentials?type=ec2")["credentials"][0]
    path = f"/credentials/{one['id']}"
    blob = json.dumps({**json.loads(one["blob"]), "secret": "mine"})
    acting.patch(path, {"credential": {"blob": blob}}, status=403)
    acting.delete(path, status=403)
    assert person.me.get(path)["credential"] == one


def test_no_application_credentials(person: Person, acting: As) -> None:
    path = f"/users/{person.id}/application_credentials"
    acting.post(path, {"application_credential": {"name": "lent"}}, status=403)
    listed = person.me.get(path)["application_credentials"]
    if listed:
        acting.delete(f"{path}/{listed[0]['id']}", status=403)
    assert person.me.get(path)["application_credentials"] == listed


def test_no_trusts_by_a_restricted_program(local: Local, person: Person) -> None:
    acting = person.acting(person.program("no-trusts", roles=[{"name": "reader"}]))
    trustee = Person(local, "ossa-2026-005-trustee")
    trust = {
        "trustor_user_id": person.id,
        "trustee_user_id": trustee.id,
        "project_id": person.project,
        "impersonation": False,
        "roles": [{"name": "reader"}],
    }
    acting.post("/OS-TRUST/trusts", {"trust": trust}, status=403)
