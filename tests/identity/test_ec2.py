"""EC2 credentials, and the tokens of requests signed with them."""

import datetime as dt
import json
from collections.abc import Callable

import pytest

from onestack.core import clock
from onestack.core.db import Database
from onestack.identity.credential_keys import CredentialKeys
from onestack.identity.credentials.record import CredentialRecord, id_of_access
from tests.cloud import As, Local
from tests.identity.programs import Holder, Person, authenticate, pair, run
from tests.identity.signing import ec2_request, ec2_token, s3_request, s3_token


@pytest.fixture(scope="module")
def person(local: Local) -> Person:
    return Person(local, "ec2-owner")


@pytest.fixture(scope="module")
def service(local: Local) -> As:
    return Person(local, "ec2-service", roles=("service",)).me


def test_a_key_pair_lives(local: Local, person: Person) -> None:
    keys = pair(person)
    assert keys["user_id"] == person.id
    assert keys["tenant_id"] == person.project
    path = f"/users/{person.id}/credentials/OS-EC2"
    assert person.me.get(f"{path}/{keys['access']}")["credential"] == keys
    assert keys in person.me.get(path)["credentials"]
    shown = local.admin.get("/credentials?type=ec2")["credentials"]
    assert keys["secret"] in [json.loads(each["blob"]).get("secret") for each in shown]
    person.me.delete(f"{path}/{keys['access']}")
    person.me.get(f"{path}/{keys['access']}", status=404)
    person.me.delete(f"{path}/{keys['access']}", status=404)


def test_key_pairs_are_their_owner_s(local: Local, person: Person) -> None:
    other, keys = Person(local, "ec2-other"), pair(person)
    path = f"/users/{person.id}/credentials/OS-EC2"
    other.me.get(path, status=403)
    other.me.get(f"{path}/{keys['access']}", status=403)
    other.me.delete(f"{path}/{keys['access']}", status=403)
    other.me.post(path, {"tenant_id": other.project}, status=403)
    other.me.get(f"/users/{other.id}/credentials/OS-EC2/{keys['access']}", status=404)
    local.admin.get(f"{path}/{keys['access']}")
    pair(person, local.admin)


def test_bad_input(local: Local, person: Person, service: As) -> None:
    path = f"/users/{person.id}/credentials/OS-EC2"
    for body, status in (({}, 400), ({"tenant_id": 1}, 400), ({"tenant_id": "nope"}, 404)):
        person.me.post(path, body, status=status)
    local.admin.post("/users/nobody/credentials/OS-EC2", {"tenant_id": "x"}, status=404)
    for body in ({}, {"credentials": {}}, {"credentials": {"access": 1}}, {"credentials": None}):
        service.post("/ec2tokens", body, status=400)
        service.post("/s3tokens", body, status=400)
    for path in ("/ec2tokens", "/s3tokens"):
        assert service.ask("GET", path).status == 405


@pytest.mark.parametrize("key", ["credentials", "credential", "ec2Credentials"])
def test_a_signature_is_worth_a_token(person: Person, service: As, key: str) -> None:
    keys = pair(person)
    answer = ec2_token(service, ec2_request(keys), key)
    assert answer.status == 200, answer
    token = answer.body["token"]
    assert token["methods"] == ["ec2credential"]
    assert token["user"]["id"] == person.id
    assert token["project"]["id"] == person.project
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    acting = As(person.local, answer.headers["x-subject-token"])
    acting.get(f"/users/{person.id}")


def test_a_signature_for_s3_tells_who_it_was(person: Person, service: As) -> None:
    answer = s3_token(service, s3_request(pair(person)))
    assert answer.status == 200, answer
    assert answer.body["token"]["user"]["id"] == person.id
    assert "x-subject-token" not in answer.headers


def test_wrong_signatures_are_worth_nothing(person: Person, service: As) -> None:
    keys = pair(person)
    assert ec2_token(service, ec2_request(keys, secret="another")).status == 401
    unknown = {**keys, "access": "nobody's"}
    assert ec2_token(service, ec2_request(unknown)).status == 401
    assert s3_token(service, s3_request({**keys, "secret": "another"})).status == 401
    assert s3_token(service, s3_request(unknown)).status == 401
    person.me.delete(f"/users/{person.id}/credentials/OS-EC2/{keys['access']}")
    assert ec2_token(service, ec2_request(keys)).status == 401


def test_the_token_ends_with_the_user_s_rights(local: Local, service: As) -> None:
    person = Person(local, "ec2-leaver")
    keys = pair(person)
    answer = ec2_token(service, ec2_request(keys))
    acting = As(local, answer.headers["x-subject-token"])
    acting.get(f"/users/{person.id}")
    person.take("member")
    acting.get(f"/users/{person.id}", status=401)
    assert ec2_token(service, ec2_request(keys)).status == 401
    person.give("member")
    assert ec2_token(service, ec2_request(keys)).status == 200
    local.admin.patch(f"/users/{person.id}", {"user": {"enabled": False}})
    assert ec2_token(service, ec2_request(keys)).status == 401


def test_the_token_is_for_one_project(person: Person, service: As) -> None:
    answer = ec2_token(service, ec2_request(pair(person)))
    again = {"token": {"id": answer.headers["x-subject-token"]}}
    other = {"project": {"name": "admin", "domain": {"id": "default"}}}
    assert authenticate(person.local, again, other).status == 401


def test_a_pair_made_by_a_program_has_the_program_s_limits(person: Person, service: As) -> None:
    program = person.program(
        "ec2-maker", unrestricted=True, roles=[{"name": "reader"}], expires_at="2099-01-01T00:00:00"
    )
    keys = pair(person, person.acting(program))
    token = ec2_token(service, ec2_request(keys)).body["token"]
    assert [role["name"] for role in token["roles"]] == ["reader"]
    assert token["application_credential"]["id"] == program["id"]
    person.me.delete(f"/users/{person.id}/application_credentials/{program['id']}")
    assert ec2_token(service, ec2_request(keys)).status == 401


def test_a_credential_of_another_type_signs_nothing(person: Person, service: As) -> None:
    keys = pair(person)
    listed = person.me.get(f"/credentials?user_id={person.id}")["credentials"]
    found = next(each for each in listed if keys["access"] in each["blob"])
    person.me.patch(f"/credentials/{found['id']}", {"credential": {"type": "cert"}})
    assert ec2_token(service, ec2_request(keys)).status == 401
    person.me.get(f"/users/{person.id}/credentials/OS-EC2/{keys['access']}", status=404)


@pytest.mark.parametrize("lender", ["trust_id", "access_token_id", "app_cred_id"])
def test_a_pair_from_elsewhere_that_was_lent_is_worth_nothing(
    local: Local, person: Person, service: As, lender: str
) -> None:
    keys = pair(person)
    assert ec2_token(service, ec2_request(keys)).status == 200
    blob = {"access": keys["access"], "secret": keys["secret"], lender: "of another cloud"}
    with local.cloud.get(Database).transaction() as session:
        record = session.get_one(CredentialRecord, id_of_access(keys["access"]))
        record.encrypted_blob = local.cloud.get(CredentialKeys).encrypt(json.dumps(blob))
    assert ec2_token(service, ec2_request(keys)).status == 401


def test_who_stays_away_is_away_for_programs_too(another: Callable[..., Local]) -> None:
    local = another(ONESTACK_IDENTITY_INACTIVE_DAYS="30")
    person = Holder(local, "ec2-away")
    keys, program = pair(person), person.program("away")
    assert ec2_token(local.admin, ec2_request(keys)).status == 200
    assert run(local, program).status == 201
    service = Person(local, "ec2-always-there", roles=("service",))
    options = {"options": {"ignore_user_inactivity": True}}
    local.admin.patch(f"/users/{service.id}", {"user": options})
    with clock.use(clock.Simulated(1, start=clock.now() + dt.timedelta(days=32))):
        assert authenticate(local, {"totp": person.code()}).status == 401
        assert run(local, program).status == 401
        assert ec2_token(service.me, ec2_request(keys)).status == 401
