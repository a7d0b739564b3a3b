"""A passcode counts once (RFC 6238, section 5.2)."""

from tests.cloud import Local
from tests.identity.programs import Holder, authenticate


def test_a_passcode_seen_is_worth_nothing(local: Local) -> None:
    holder = Holder(local, "totp-replayed")
    earlier, seen = holder.code(windows_ago=1), holder.code()
    assert authenticate(local, {"totp": seen}).status == 201
    assert authenticate(local, {"totp": seen}).status == 401
    assert authenticate(local, {"totp": earlier}).status == 401


def test_a_passcode_is_spent_by_a_request_that_fails(local: Local) -> None:
    holder = Holder(local, "totp-spent")
    seen = holder.code()
    wrong = {"user": {"id": holder.id, "password": "wrong"}}
    assert authenticate(local, {"password": wrong, "totp": seen}).status == 401
    assert authenticate(local, {"totp": seen}).status == 401
