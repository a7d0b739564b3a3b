"""Rules for passwords: strength, history, age, expiry, lockout, inactivity and what lifts them."""

import asyncio
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import bcrypt
import pytest
from sqlalchemy import select, update

from onestack.core import clock
from onestack.core.api import PUBLIC
from onestack.core.context import Context, Request
from onestack.core.db import Database
from onestack.core.errors import Unauthorized
from onestack.core.shapes import Version
from onestack.identity.users.login import note_success, refusal
from onestack.identity.users.record import LoginRecord, PasswordRecord, find
from tests.cloud import Local
from tests.conftest import CHEAP
from tests.identity.people import PASSWORD, being, change_password, make_user, sign_in

DAY_S = 24 * 3600


@pytest.fixture
def time() -> Iterator[clock.Simulated]:
    """Time that passes when told."""
    source = clock.Simulated(1, start=dt.datetime(2030, 1, 1, 12))
    with clock.use(source):
        yield source


@pytest.fixture
def strict(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Local]:
    """A cloud with the settings that the test names."""
    given = {f"ONESTACK_IDENTITY_{name}".upper(): str(value) for name, value in request.param}
    cloud = Local(tmp_path, CHEAP | given)
    yield cloud
    cloud.close()


def settings(**values: object) -> Any:
    """Which settings the cloud of a test has."""
    return pytest.mark.parametrize("strict", [tuple(values.items())], indirect=True)


def at_once(local: Local, user: dict[str, Any], passwords: list[str]) -> list[int]:
    """What sign-ins answer that are all under way together."""

    async def ask(password: str) -> int:
        who = {"id": user["id"], "password": password}
        auth = {"identity": {"methods": ["password"], "password": {"user": who}}}
        answer = await local._ask(
            "POST", "/identity/v3/auth/tokens", json.dumps({"auth": auth}).encode(), {}
        )
        return answer.status

    async def ask_all() -> list[int]:
        return await asyncio.gather(*(ask(password) for password in passwords))

    return local.loop.run_until_complete(ask_all())


def failures(local: Local, user: dict[str, Any]) -> int:
    """How many failures count against the user."""
    with local.cloud.get(Database).transaction(write=False) as session:
        return session.get_one(LoginRecord, user["id"]).failures


def reset(local: Local, user: dict[str, Any], password: str | None) -> dict[str, Any]:
    """An administrator gives the user a new password."""
    path = f"/users/{user['id']}"
    changed: dict[str, Any] = local.admin.patch(path, {"user": {"password": password}})["user"]
    return changed


def test_one_changes_ones_own_password(local: Local) -> None:
    user = make_user(local, "pw-own")
    before = being(local, user)
    assert change_password(local, user, PASSWORD, "something new").status == 204
    before.get(f"/users/{user['id']}", status=401)
    assert sign_in(local, user).status == 401
    after = being(local, user, "something new")  # at once: in the same second
    after.get(f"/users/{user['id']}")
    old = {"methods": ["token"], "token": {"id": before.token}}
    answer = local.ask("POST", "/identity/v3/auth/tokens", {"auth": {"identity": old}})
    assert answer.status == 404


def test_a_change_needs_the_password_and_nothing_else(local: Local) -> None:
    user = make_user(local, "pw-proof")
    body = {"user": {"original_password": "wrong", "password": "x"}}
    local.admin.post(f"/users/{user['id']}/password", body, status=401)
    body = {"user": {"original_password": PASSWORD, "password": "by an admin's token"}}
    local.admin.post(f"/users/{user['id']}/password", body, status=204)
    assert sign_in(local, user, "by an admin's token").status == 201
    assert change_password(local, {"id": "0" * 32}, PASSWORD, "x").status == 401


def test_of_two_changes_at_once_one_counts(local: Local) -> None:
    user = make_user(local, "pw-two")
    path = f"/identity/v3/users/{user['id']}/password"

    async def ask(new: str) -> int:
        body = {"user": {"original_password": PASSWORD, "password": new}}
        return (await local._ask("POST", path, json.dumps(body).encode(), {})).status

    async def ask_all() -> list[int]:
        return await asyncio.gather(*(ask(f"new {number}") for number in range(4)))

    statuses = local.loop.run_until_complete(ask_all())
    assert sorted(statuses) == [204, 401, 401, 401]
    assert sign_in(local, user, f"new {statuses.index(204)}").status == 201


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"password": "x"},
        {"original_password": PASSWORD},
        {"original_password": PASSWORD, "password": None},
        {"original_password": PASSWORD, "password": ""},
        {"original_password": PASSWORD, "password": 12345},
        {"original_password": PASSWORD, "password": "x" * 4097},
        {"original_password": PASSWORD, "password": "x", "other": 1},
    ],
)
def test_a_change_says_both_passwords(local: Local, body: dict[str, Any]) -> None:
    user = local.admin.get("/users?name=pw-both")["users"] or [make_user(local, "pw-both")]
    answer = local.ask("POST", f"/identity/v3/users/{user[0]['id']}/password", {"user": body})
    assert answer.status == 400
    assert sign_in(local, user[0]).status == 201


def test_a_locked_password_is_only_changed_by_an_admin(local: Local) -> None:
    user = make_user(local, "pw-locked", options={"lock_password": True})
    assert change_password(local, user, "wrong", "another").status == 401
    assert change_password(local, user, PASSWORD, "another").status == 400
    reset(local, user, "another")
    assert sign_in(local, user, "another").status == 201


def test_an_admin_resets_and_takes_away(local: Local) -> None:
    user = make_user(local, "pw-reset")
    before = being(local, user)
    for _ in range(2):
        reset(local, user, "given")
        assert sign_in(local, user, "given").status == 201
    before.get(f"/users/{user['id']}", status=401)
    reset(local, user, None)
    assert sign_in(local, user, "given").status == 401
    assert sign_in(local, user, "None").status == 401
    assert change_password(local, user, "given", "x").status == 401


def test_who_has_no_password_does_not_sign_in(local: Local) -> None:
    user = local.admin.post("/users", {"user": {"name": "pw-none"}})["user"]
    assert sign_in(local, user, "").status == 401
    assert sign_in(local, user, "x").status == 401


@settings(password_regex=r"^(?=.*\d).{7,}$", password_regex_description="7 with a digit")
def test_weak_passwords_are_refused(strict: Local) -> None:
    body = {"name": "pw-weak", "password": "nodigits"}
    refused = strict.admin.ask("POST", "/users", {"user": body})
    assert refused.status == 400
    assert "does not match the requirements: 7 with a digit" in refused.message
    user = make_user(strict, "pw-strong", password="digits 123")
    strict.admin.patch(f"/users/{user['id']}", {"user": {"password": "weak"}}, status=400)
    assert change_password(strict, user, "digits 123", "weak").status == 400
    assert sign_in(strict, user, "digits 123").status == 201


@settings(password_history=2)
def test_old_passwords_do_not_come_back(strict: Local) -> None:
    user = make_user(strict, "pw-history", password="first")
    assert change_password(strict, user, "first", "first").status == 400
    assert change_password(strict, user, "first", "second").status == 204
    assert change_password(strict, user, "second", "first").status == 400
    assert change_password(strict, user, "second", "third").status == 204
    assert change_password(strict, user, "third", "first").status == 204
    reset(strict, user, "first")  # an administrator is not held to it
    with strict.cloud.get(Database).transaction(write=False) as session:
        kept = select(PasswordRecord.id).where(PasswordRecord.user_id == user["id"])
        assert len(session.scalars(kept).all()) == 2


@settings(password_minimum_age_days=2)
def test_a_password_one_chose_is_kept_for_a_while(time: clock.Simulated, strict: Local) -> None:
    user = make_user(strict, "pw-age", password="first")
    assert change_password(strict, user, "first", "second").status == 204  # it was given
    time.advance(2 * DAY_S - 1)
    refused = change_password(strict, user, "second", "third")
    assert (refused.status, "minimum password age" in refused.message) == (400, True)
    time.advance(1)
    assert change_password(strict, user, "second", "third").status == 204


@settings(password_expires_days=3, token_expiration_s=30 * DAY_S)
def test_passwords_expire(time: clock.Simulated, strict: Local) -> None:
    user = make_user(strict, "pw-expiry")
    exempt = make_user(strict, "pw-exempt", options={"ignore_password_expiry": True})
    assert user["password_expires_at"] == "2030-01-04T12:00:00.000000Z"
    assert exempt["password_expires_at"] is None
    shown = sign_in(strict, user).body["token"]["user"]["password_expires_at"]
    assert shown == user["password_expires_at"]
    for query, count in (("lt:2030-01-05", 1), ("gte:2030-01-05", 0), ("eq:2030-01-04", 1)):
        path = f"/users?name=pw-expiry&password_expires_at={query}T12:00:00Z"
        assert len(strict.admin.get(path)["users"]) == count
    time.advance(3 * DAY_S)
    refused = sign_in(strict, user)
    assert refused.status == 401
    expected = f"The password is expired and needs to be changed for user: {user['id']}."
    assert refused.message == expected
    assert expected not in sign_in(strict, user, "wrong").message
    assert sign_in(strict, exempt).status == 201
    assert change_password(strict, user, PASSWORD, "renewed").status == 204
    time.advance(1)
    assert sign_in(strict, user, "renewed").status == 201


@settings(password_change_at_first_use=True)
def test_a_password_that_was_given_is_changed_at_first_use(strict: Local) -> None:
    user = make_user(strict, "pw-first")
    exempt = {"ignore_change_password_upon_first_use": True}
    assert sign_in(strict, user).status == 401
    assert change_password(strict, user, PASSWORD, "my own").status == 204
    assert sign_in(strict, user, "my own").status == 201
    reset(strict, user, "given again")
    assert sign_in(strict, user, "given again").status == 401
    assert sign_in(strict, make_user(strict, "pw-first-exempt", options=exempt)).status == 201


@settings(lockout_failures=2, lockout_s=60)
def test_failures_lock_an_account_for_a_while(time: clock.Simulated, strict: Local) -> None:
    user = make_user(strict, "pw-lockout")
    assert sign_in(strict, user, "wrong").status == 401
    assert sign_in(strict, user).status == 201  # which forgets the failure
    assert [sign_in(strict, user, "wrong").status for _ in range(2)] == [401, 401]
    assert sign_in(strict, user).status == 401
    assert change_password(strict, user, PASSWORD, "new").status == 401
    time.advance(59)
    assert sign_in(strict, user, "wrong").status == 401  # no attempt makes it longer
    assert sign_in(strict, user).status == 401
    time.advance(1)
    assert sign_in(strict, user, "wrong").status == 401  # the first failure of a new count
    assert sign_in(strict, user).status == 201


@settings(lockout_failures=2, lockout_s=0)
def test_an_account_locked_for_good_is_opened_by_an_admin(
    time: clock.Simulated, strict: Local
) -> None:
    user = make_user(strict, "pw-for-good")
    exempt = make_user(strict, "pw-never-locked", options={"ignore_lockout_failure_attempts": True})
    for _ in range(3):
        sign_in(strict, user, "wrong")
        sign_in(strict, exempt, "wrong")
    time.advance(365 * DAY_S)
    assert sign_in(strict, user).status == 401
    assert sign_in(strict, exempt).status == 201
    strict._tokens.clear()
    strict.admin.patch(f"/users/{user['id']}", {"user": {"enabled": True}})
    assert sign_in(strict, user).status == 201


@settings(lockout_failures=20, lockout_s=60)
def test_failures_at_once_are_all_counted(strict: Local) -> None:
    user = make_user(strict, "pw-at-once")
    assert at_once(strict, user, ["wrong"] * 12) == [401] * 12
    assert failures(strict, user) == 12
    assert at_once(strict, user, ["wrong"] * 24) == [401] * 24
    assert failures(strict, user) == 20  # what comes after the lock is no attempt
    assert sign_in(strict, user).status == 401


@settings(lockout_failures=2, lockout_s=60)
def test_the_right_password_is_too_late_when_the_lock_has_fallen(strict: Local) -> None:
    """Guesses made at once are no more than guesses one by one: each is counted when it is done."""
    user = make_user(strict, "pw-guesses")
    request = Request("POST", "/", "", {})
    context = Context(strict.cloud, request, PUBLIC, "req-1", Version(1, 0))
    assert refusal(context, find(context.session, user["id"])) is None
    context.release()
    assert at_once(strict, user, ["wrong"] * 4) == [401] * 4
    with pytest.raises(Unauthorized):
        note_success(context, user["id"])
    assert failures(strict, user) == 2


@settings(inactive_days=5, token_expiration_s=100 * DAY_S)
def test_who_stays_away_is_disabled(time: clock.Simulated, strict: Local) -> None:
    user = make_user(strict, "pw-away")
    exempt = make_user(strict, "pw-away-exempt", options={"ignore_user_inactivity": True})
    time.advance(5 * DAY_S)
    assert sign_in(strict, user).status == 201
    time.advance(6 * DAY_S)
    assert sign_in(strict, user).status == 401
    assert sign_in(strict, exempt).status == 201
    path = f"/users/{user['id']}"
    assert strict.admin.get(path)["user"]["enabled"] is False
    assert strict.admin.patch(path, {"user": {"enabled": True}})["user"]["enabled"] is True
    assert sign_in(strict, user).status == 201


def test_a_login_renews_a_hash_of_another_cost(local: Local) -> None:
    user = make_user(local, "pw-renew")
    imported = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()
    database = local.cloud.get(Database)
    mine = PasswordRecord.user_id == user["id"]
    with database.transaction() as session:
        session.execute(update(PasswordRecord).where(mine).values(hash=imported))
    assert sign_in(local, user, "wrong").status == 401
    with database.transaction(write=False) as session:
        assert session.scalar(select(PasswordRecord.hash).where(mine)) == imported
    assert sign_in(local, user).status == 201  # it does not wait for the new hash
    deadline = perf_counter() + 60
    renewed = imported
    while renewed == imported and perf_counter() < deadline:
        with database.transaction(write=False) as session:
            renewed = str(session.scalar(select(PasswordRecord.hash).where(mine)))
    assert renewed.startswith("$2b$04$")
    assert sign_in(local, user).status == 201
