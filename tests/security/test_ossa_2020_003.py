"""OSSA-2020-003: a signature is worth something for a quarter of an hour."""

import datetime as dt

import pytest

from onestack.core import clock
from tests.cloud import Local
from tests.identity.programs import Person, pair
from tests.identity.signing import ec2_request, ec2_token, s3_request, s3_token


@pytest.mark.parametrize(("minutes", "status"), [(-16, 401), (-14, 200), (14, 200), (16, 401)])
def test_signatures_grow_old(local: Local, minutes: int, status: int) -> None:
    keys = pair(Person(local, f"ossa-2020-003-{minutes}"))
    signed_at = clock.now() + dt.timedelta(minutes=minutes)
    assert ec2_token(local.admin, ec2_request(keys, at=signed_at)).status == status
    assert s3_token(local.admin, s3_request(keys, at=signed_at)).status == status


def test_a_signature_without_a_time_is_worth_nothing(local: Local) -> None:
    keys = pair(Person(local, "ossa-2020-003-timeless"))
    request = ec2_request(keys)
    del request["headers"]["x-amz-date"]
    assert ec2_token(local.admin, request).status == 401
