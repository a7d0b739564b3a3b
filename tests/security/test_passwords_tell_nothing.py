"""What a failed sign-in gives away: neither who is there, nor who is locked, nor time to burn."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import bcrypt
import pytest
from sqlalchemy import update

from onestack.core.db import Database
from onestack.identity.users.record import LoginRecord, PasswordRecord
from tests.cloud import Local
from tests.identity.people import PASSWORD, change_password, make_user, sign_in

LOCKOUT = {
    "ONESTACK_IDENTITY_LOCKOUT_FAILURES": "3",
    "ONESTACK_IDENTITY_LOCKOUT_S": "600",
    "ONESTACK_IDENTITY_PASSWORD_HASH_ROUNDS": "10",
}
SAMPLES = 12


@pytest.fixture(scope="module")
def locking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A cloud that locks accounts, and whose passwords cost what can be measured."""
    cloud = Local(tmp_path_factory.mktemp("locking"), LOCKOUT)
    yield cloud
    cloud.close()


def refusals(local: Local) -> dict[str, tuple[dict[str, Any], str]]:
    """Who may fail to sign in, by why."""
    made = {kind: make_user(local, f"tell-{kind}") for kind in ("wrong", "locked", "disabled")}
    for _ in range(3):
        sign_in(local, made["locked"], "wrong")
    local.admin.patch(f"/users/{made['disabled']['id']}", {"user": {"enabled": False}})
    without = local.admin.post("/users", {"user": {"name": "tell-without"}})["user"]
    exempt = {"options": {"ignore_lockout_failure_attempts": True}}
    local.admin.patch(f"/users/{made['wrong']['id']}", {"user": exempt})
    return {
        "unknown": ({"id": "0" * 32, "name": "tell-unknown"}, PASSWORD),
        "wrong": (made["wrong"], "wrong"),
        "locked, wrong": (made["locked"], "wrong"),
        "locked, right": (made["locked"], PASSWORD),
        "disabled": (made["disabled"], PASSWORD),
        "without": (without, PASSWORD),
    }


def test_ossa_2021_003_all_failures_look_alike(locking: Local) -> None:
    """CVE-2021-38155: a locked account was told apart from an unknown one."""
    by_id, by_name, changes = set(), set(), set()
    for user, password in refusals(locking).values():
        by_id.add(str(sign_in(locking, user, password)))
        by_name.add(str(locking.login(user["name"], password)))
        changes.add(str(change_password(locking, user, password, "new")))
    assert len(by_id) == 1
    assert by_id == by_name == changes
    assert by_id.pop().startswith("401 ")


def test_ossa_2021_003_all_failures_take_as_long(locking: Local) -> None:
    """An unknown user is found out by an answer that comes too soon.

    Measured is the processor's time of the whole process, which a busy machine does not stretch.
    """
    fastest: dict[str, float] = {}
    cases = {
        "unknown": ({"id": "f" * 32}, PASSWORD),
        "wrong": (make_user(locking, "time-wrong"), "wrong"),
        "locked": (make_user(locking, "time-locked"), PASSWORD),
        "kept at little cost": (make_user(locking, "time-cheap"), "wrong"),
    }
    cheap = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    with locking.cloud.get(Database).transaction() as session:
        mine = PasswordRecord.user_id == cases["kept at little cost"][0]["id"]
        session.execute(update(PasswordRecord).where(mine).values(hash=cheap))
    exempt = {"options": {"ignore_lockout_failure_attempts": True}}
    for name in ("wrong", "kept at little cost"):
        locking.admin.patch(f"/users/{cases[name][0]['id']}", {"user": exempt})
    for _ in range(3):
        sign_in(locking, cases["locked"][0], "wrong")
    for _ in range(SAMPLES):
        for name, (user, password) in cases.items():
            began = process_time()
            assert sign_in(locking, user, password).status == 401
            elapsed = process_time() - began
            fastest[name] = min(elapsed, fastest.get(name, elapsed))
    for elapsed in fastest.values():
        assert elapsed == pytest.approx(fastest["unknown"], rel=0.1)


@pytest.mark.parametrize("is_known", [True, False])
def test_ossa_2012_002_giant_passwords_are_refused_unhashed(locking: Local, is_known: bool) -> None:
    """CVE-2012-1572: hashing a password of any length burns the cloud's time."""
    user = make_user(locking, "giant") if is_known else {"id": "0" * 32}
    began = perf_counter()
    answers = [sign_in(locking, user, "x" * 4097) for _ in range(20)]
    elapsed = perf_counter() - began
    assert {answer.status for answer in answers} == {400}
    one = perf_counter()
    sign_in(locking, user, "x" * 4096)
    assert elapsed < 20 * (perf_counter() - one)
    assert change_password(locking, user, "x" * 4097, "new").status == 400


def test_ossa_2013_003_a_giant_request_is_refused(locking: Local) -> None:
    """CVE-2013-0270: a request of any size was read, and written to the log."""
    assert sign_in(locking, {"id": "x"}, "x" * (2 << 20)).status == 413
    user = {"id": "y" * 100_000}
    assert sign_in(locking, user).status in (400, 401)


def test_ossa_2014_013_a_method_named_often_is_tried_once(locking: Local) -> None:
    """CVE-2014-2828: each mention of a method hashed the password again."""
    user = make_user(locking, "often")
    for password, status in (("wrong", 401), (PASSWORD, 201)):
        who = {"user": {"id": user["id"], "password": password}}
        identity = {"methods": ["password"] * 1000, "password": who}
        body = {"auth": {"identity": identity, "scope": "unscoped"}}
        answer = locking.ask("POST", "/identity/v3/auth/tokens", body)
        assert answer.status == status
        if status == 401:
            with locking.cloud.get(Database).transaction(write=False) as session:
                assert session.get_one(LoginRecord, user["id"]).failures == 1
        else:
            assert answer.body["token"]["methods"] == ["password"]


def test_a_flood_of_wrong_passwords_leaves_other_answers_quick(tmp_path: Path) -> None:
    """Hashing waits on threads of its own: the cloud answers others meanwhile."""
    costly = {"ONESTACK_IDENTITY_PASSWORD_HASH_ROUNDS": "10"}
    cloud = Local(tmp_path, costly)
    cloud.admin.get("/users")
    headers = {"x-auth-token": cloud.token("admin")}
    who = {"user": {"id": "0" * 32, "password": "wrong"}}
    auth = {"auth": {"identity": {"methods": ["password"], "password": who}}}
    content = json.dumps(auth).encode()

    async def both() -> tuple[list[int], float]:
        path = "/identity/v3/auth/tokens"
        flood = [asyncio.create_task(cloud._ask("POST", path, content, {})) for _ in range(24)]
        await asyncio.sleep(0)
        began = perf_counter()
        answer = await cloud._ask("GET", "/identity/v3/regions", b"", headers)
        elapsed = perf_counter() - began
        assert answer.status == 200
        waiting = [task for task in flood if not task.done()]
        assert waiting
        return [answer.status for answer in await asyncio.gather(*flood)], elapsed

    statuses, elapsed = cloud.loop.run_until_complete(both())
    cloud.close()
    assert statuses == [401] * 24
    assert elapsed < 0.5
