"""OSSA-2025-002: whoever sees a signed request must not get a token for it."""

import pytest

from tests.cloud import As, Local
from tests.identity.programs import Person, pair
from tests.identity.signing import ec2_request, ec2_token, s3_request, s3_token


@pytest.fixture(scope="module")
def person(local: Local) -> Person:
    return Person(local, "ossa-2025-002")


def test_nobody_gets_a_token_for_a_signature(local: Local, person: Person) -> None:
    keys = pair(person)
    for who, status in ((As(local, None), 401), (person.me, 403), (local.demo, 403)):
        assert ec2_token(who, ec2_request(keys)).status == status
        assert s3_token(who, s3_request(keys)).status == status


def test_services_and_admins_do(local: Local, person: Person) -> None:
    keys = pair(person)
    service = Person(local, "ossa-2025-002-service", roles=("service",)).me
    for who in (service, local.admin):
        assert ec2_token(who, ec2_request(keys)).status == 200
        assert s3_token(who, s3_request(keys)).status == 200
