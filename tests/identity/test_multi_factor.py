"""One-time passwords, and users who must prove themselves in several ways."""

import base64
import datetime as dt
from collections.abc import Callable

import pytest

from onestack.core import clock
from onestack.identity.auth.totp import counter, passcode
from tests.cloud import Local
from tests.identity.people import PASSWORD, change_password
from tests.identity.programs import Holder, Person, authenticate, run

BOTH = [["password", "totp"]]


def test_a_passcode_signs_in(local: Local) -> None:
    holder = Holder(local, "totp-alone")
    answer = authenticate(local, {"totp": holder.code()}, holder.scope)
    assert answer.status == 201, answer
    assert answer.body["token"]["methods"] == ["totp"]
    named = {"name": holder.name, "domain": {"id": "default"}, "passcode": "123456"}
    assert authenticate(local, {"totp": {"user": named}}).status == 401
    for given in ({"user": {"id": holder.id}}, {}, {"user": {"id": holder.id, "passcode": 1}}):
        assert authenticate(local, {"totp": given}).status == 400
    stranger = {"user": {"id": "nobody", "passcode": "123456"}}
    assert authenticate(local, {"totp": stranger}).status == 401


def test_the_last_window_counts_and_the_one_before_does_not(local: Local) -> None:
    holder = Holder(local, "totp-late")
    with clock.use(clock.Simulated(1, start=clock.now())):
        assert authenticate(local, {"totp": holder.code(windows_ago=2)}).status == 401
        assert authenticate(local, {"totp": holder.code(windows_ago=1)}).status == 201
        assert authenticate(local, {"totp": holder.code()}).status == 201


def test_a_broken_secret_lets_nobody_in(local: Local) -> None:
    person = Person(local, "totp-broken")
    body = {"user_id": person.id, "type": "totp", "blob": "not base 32!"}
    person.me.post("/credentials", {"credential": body})
    given = {"user": {"id": person.id, "passcode": "000000"}}
    assert authenticate(local, {"totp": given}).status == 401


def test_each_of_several_devices_counts(local: Local) -> None:
    holder = Holder(local, "totp-devices")
    second = base64.b32encode(b"another secret of it").decode()
    body = {"user_id": holder.id, "type": "totp", "blob": second}
    holder.me.post("/credentials", {"credential": body})
    shown = passcode(second, counter(clock.now()))
    given = {"user": {"id": holder.id, "passcode": shown}}
    assert authenticate(local, {"totp": given}).status == 201
    assert authenticate(local, {"totp": holder.code()}).status == 201


def test_both_together(local: Local) -> None:
    holder = Holder(local, "mfa-both")
    holder.must(BOTH)
    answer = holder.asks("password", "totp")
    assert answer.status == 201, answer
    assert answer.body["token"]["methods"] == ["password", "totp"]
    again = {"token": {"id": answer.headers["x-subject-token"]}}
    assert authenticate(local, again, holder.scope).status == 201


@pytest.mark.parametrize(("first", "second"), [("password", "totp"), ("totp", "password")])
def test_one_after_the_other(local: Local, first: str, second: str) -> None:
    holder = Holder(local, f"mfa-steps-{first}")
    holder.must(BOTH)
    answer = holder.asks(first)
    assert answer.status == 401
    assert answer.body["required_auth_methods"] == BOTH
    receipt = answer.body["receipt"]
    assert receipt["methods"] == [first]
    assert receipt["user"]["id"] == holder.id
    assert receipt["expires_at"] > receipt["issued_at"]
    assert "x-subject-token" not in answer.headers
    written = answer.headers["openstack-auth-receipt"]
    assert holder.asks(first, receipt=written).status == 401
    done = holder.asks(second, receipt=written)
    assert done.status == 201, done
    assert done.body["token"]["methods"] == [first, second]


def test_a_wrong_proof_earns_no_receipt(local: Local) -> None:
    holder = Holder(local, "mfa-wrong")
    holder.must(BOTH)
    wrong = {"user": {"id": holder.id, "password": "wrong"}}
    for proofs in (
        {"password": wrong},
        {"totp": holder.wrong_code()},
        {"password": holder.by_password, "totp": holder.wrong_code()},
        {"password": wrong, "totp": holder.code()},
    ):
        answer = authenticate(local, proofs)
        assert answer.status == 401
        assert "openstack-auth-receipt" not in answer.headers
        assert "receipt" not in answer.body


def test_receipts_are_personal_short_lived_and_not_to_be_forged(local: Local) -> None:
    holder, other = Holder(local, "mfa-receipt"), Holder(local, "mfa-thief")
    holder.must(BOTH)
    other.must(BOTH)
    receipt = holder.asks("password").headers["openstack-auth-receipt"]
    assert other.asks("totp", receipt=receipt).status == 401
    assert holder.asks("totp", receipt="x" + receipt[1:]).status == 401
    assert holder.asks("totp", receipt="").status == 401
    later = clock.now() + dt.timedelta(seconds=301)
    with clock.use(clock.Simulated(1, start=later)):
        assert holder.asks("totp", receipt=receipt).status == 401


def test_a_new_password_ends_receipts(local: Local) -> None:
    holder = Holder(local, "mfa-changed")
    holder.must(BOTH)
    receipt = holder.asks("password").headers["openstack-auth-receipt"]
    assert change_password(local, holder.user, PASSWORD, "another one").status == 204
    assert holder.asks("totp", receipt=receipt).status == 401


def test_rules_count_when_they_are_on_and_make_sense(local: Local) -> None:
    holder = Holder(local, "mfa-rules")
    for rules, enabled, status in (
        (BOTH, False, 201),
        (BOTH, True, 401),
        ([*BOTH, ["password"]], True, 201),
        ([["password", "telepathy"]], True, 201),
        ([["password", "telepathy"], ["totp"]], True, 401),
        ([], True, 201),
    ):
        holder.must(rules, enabled)
        assert holder.asks("password").status == status, (rules, enabled)
    holder.must(BOTH)


def test_programs_are_under_the_rules_and_get_no_receipt(local: Local) -> None:
    holder = Holder(local, "mfa-program")
    program = holder.program("mfa-program", roles=[{"name": "reader"}])
    holder.must([["application_credential", "totp"]])
    answer = run(local, program)
    assert answer.status == 401
    assert "openstack-auth-receipt" not in answer.headers
    proof = {"id": program["id"], "secret": program["secret"]}
    answer = authenticate(local, {"application_credential": proof, "totp": holder.code()})
    assert answer.status == 201, answer
    assert [role["name"] for role in answer.body["token"]["roles"]] == ["reader"]


def test_guessing_passcodes_locks_the_account_though_the_password_is_right(
    another: Callable[..., Local],
) -> None:
    local = another(ONESTACK_IDENTITY_LOCKOUT_FAILURES="3")
    holder = Holder(local, "mfa-guessed")
    holder.must(BOTH)
    for _ in range(3):
        proofs = {"password": holder.by_password, "totp": holder.wrong_code()}
        assert authenticate(local, proofs).status == 401
    locked = holder.asks("totp")
    assert locked.status == 401
    assert "openstack-auth-receipt" not in locked.headers
    assert holder.asks("password", "totp").status == 401
    with clock.use(clock.Simulated(1, start=clock.now() + dt.timedelta(hours=1))):
        assert holder.asks("password", "totp").status == 201
