"""OAuth 1.0a: consumers act for users who let them."""

import datetime as dt
from typing import Any
from urllib.parse import parse_qsl

import pytest
from sqlalchemy import select

from onestack.core import clock
from onestack.core.db import Database
from onestack.identity.auth.oauth1_signature import EPOCH, WINDOW_S
from onestack.identity.oauth1.record import (
    AccessTokenRecord,
    ConsumerRecord,
    NonceRecord,
    RequestTokenRecord,
)
from tests.cloud import As, Local
from tests.identity.consumers import Consumer, authorize
from tests.identity.people import being, make_user
from tests.identity.programs import Person, trusted

CONSUMERS = "/OS-OAUTH1/consumers"


@pytest.fixture(scope="module")
def boss(local: Local) -> Person:
    """A user who may authorize consumers, as only administrators may by default."""
    return Person(local, "oauth1-boss", ("admin", "member"))


@pytest.fixture
def consumer(local: Local) -> Consumer:
    return Consumer(local, "of a test")


def access_tokens(boss: Person, token: dict[str, str] | None = None) -> str:
    suffix = "" if token is None else f"/{token['oauth_token']}"
    return f"/users/{boss.id}/OS-OAUTH1/access_tokens{suffix}"


def refused(local: Local, token: As) -> None:
    token.get("/auth/projects", status=401)
    local.admin.get("/auth/tokens", status=404, X_Subject_Token=str(token.token))


def test_a_consumer_lives(local: Local) -> None:
    admin = local.admin
    body = {"consumer": {"description": "tells the time", "color": "red", "secret": "mine"}}
    made = admin.post(CONSUMERS, body)["consumer"]
    assert made.pop("secret") != "mine"
    assert made["description"] == "tells the time"
    assert made["color"] == "red"
    path = f"{CONSUMERS}/{made['id']}"
    assert made["links"]["self"].endswith(f"/identity/v3{path}")
    assert admin.get(path)["consumer"] == made
    assert made in admin.get(CONSUMERS)["consumers"]
    changed = admin.patch(path, {"consumer": {"description": None, "color": "blue"}})["consumer"]
    assert changed == {**made, "description": None, "color": "blue"}
    assert admin.get(path)["consumer"] == changed
    admin.patch(path, {"consumer": {"secret": "mine"}}, status=400)
    admin.patch(path, {"consumer": {"id": "another"}}, status=400)
    admin.patch(path, {"consumer": {"description": 1}}, status=400)
    admin.post(CONSUMERS, {"consumer": []}, status=400)
    admin.delete(path)
    for method in ("GET", "PATCH", "DELETE"):
        answer = admin.ask(method, path, {"consumer": {}})
        assert (answer.status, answer.message) == (404, f"Could not find consumer: {made['id']}.")


def test_who_may_look_after_consumers(local: Local, consumer: Consumer) -> None:
    path = f"{CONSUMERS}/{consumer.id}"
    reader = make_user(local, "oauth1-system-reader")
    role = local.admin.get("/roles?name=reader")["roles"][0]["id"]
    local.admin.put(f"/system/users/{reader['id']}/roles/{role}")
    reading = being(local, reader, scope={"system": {"all": True}})
    reading.get(path)
    reading.get(CONSUMERS)
    for who, status in ((local.demo, 403), (As(local, None), 401)):
        who.get(path, status=status)
        who.get(CONSUMERS, status=status)
    for who, status in ((reading, 403), (local.demo, 403), (As(local, None), 401)):
        who.post(CONSUMERS, {"consumer": {}}, status=status)
        who.patch(path, {"consumer": {}}, status=status)
        who.delete(path, status=status)


def test_a_consumer_acts_for_a_user(local: Local, boss: Person, consumer: Consumer) -> None:
    answer = consumer.request(boss.project)
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/x-www-form-urlencoded"
    assert answer.headers["cache-control"] == "no-store"
    consumer.take(answer)
    assert set(consumer.token) == {"oauth_token", "oauth_token_secret", "oauth_expires_at"}
    verifier = authorize(boss.me, consumer.token["oauth_token"], "member")
    answer = consumer.exchange(verifier)
    consumer.take(answer)
    assert dict(parse_qsl(answer.content.decode()))["oauth_expires_at"].endswith("Z")
    answer = consumer.authenticate()
    token = answer.body["token"]
    assert token["methods"] == ["oauth1"]
    assert token["user"]["id"] == boss.id
    assert token["project"]["id"] == boss.project
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    assert token["OS-OAUTH1"] == {
        "consumer_id": consumer.id,
        "access_token_id": consumer.token["oauth_token"],
    }
    shown = local.admin.get("/auth/tokens", X_Subject_Token=answer.headers["x-subject-token"])
    assert shown["token"] == token
    assert consumer.authenticate(scope={"domain": {"id": "default"}}).status == 401
    assert consumer.authenticate(scope={"project": {"id": boss.project}}).status == 401


def test_tokens_are_had_by_post_alone(local: Local) -> None:
    for path in ("request_token", "access_token"):
        answer = As(local, None).ask("GET", f"/OS-OAUTH1/{path}")
        assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_secrets_are_not_stored_as_they_are(local: Local, boss: Person, consumer: Consumer) -> None:
    consumer.take(consumer.request(boss.project))
    request_token = dict(consumer.token)
    authorize(boss.me, request_token["oauth_token"], "member")
    asked = [consumer.secret, request_token["oauth_token_secret"]]
    with local.cloud.get(Database).transaction(write=False) as session:
        stored = [session.get_one(ConsumerRecord, consumer.id).encrypted_secret]
        row = session.get_one(RequestTokenRecord, request_token["oauth_token"])
        stored += [row.encrypted_secret, row.encrypted_verifier or ""]
    consumer.obtain(boss, "member")
    asked.append(consumer.token["oauth_token_secret"])
    with local.cloud.get(Database).transaction(write=False) as session:
        got = session.get_one(AccessTokenRecord, consumer.token["oauth_token"])
        stored.append(got.encrypted_secret)
    assert all(text.startswith("gAAAA") for text in stored)
    assert not any(secret in text for secret in asked for text in stored)


def test_a_user_sees_and_ends_what_it_allowed(
    local: Local, boss: Person, consumer: Consumer
) -> None:
    consumer.obtain(boss, "member")
    me, path = boss.me, access_tokens(boss, consumer.token)
    shown = me.get(path)["access_token"]
    assert shown["links"]["self"].endswith(f"/identity/v3{path}")
    assert shown["links"]["roles"].endswith(f"/identity/v3{path}/roles")
    assert shown["expires_at"] == consumer.token["oauth_expires_at"]
    assert shown["consumer_id"] == consumer.id
    assert shown["authorizing_user_id"] == boss.id
    assert shown["project_id"] == boss.project
    assert "secret" not in str(shown)
    assert shown in me.get(access_tokens(boss))["access_tokens"]
    (role,) = me.get(f"{path}/roles")["roles"]
    assert role["name"] == "member"
    assert me.get(f"{path}/roles/{role['id']}")["role"] == role
    me.get(f"{path}/roles/unknown", status=404)
    local.admin.get(path.replace(boss.id, "another"), status=404)
    for who, status in ((local.demo, 403), (As(local, None), 401)):
        for each in (access_tokens(boss), path, f"{path}/roles", f"{path}/roles/{role['id']}"):
            who.get(each, status=status)
        who.delete(path, status=status)
    acting = consumer.acting
    acting.get("/auth/projects")
    me.delete(path)
    refused(local, acting)
    assert consumer.authenticate().status == 401
    for each in (path, f"{path}/roles", f"{path}/roles/{role['id']}"):
        me.get(each, status=404)
    me.delete(path, status=404)
    events = local.admin.get("/OS-REVOKE/events")["events"]
    ended = [each.get("OS-OAUTH1:access_token_id") for each in events]
    assert consumer.token["oauth_token"] in ended


def test_without_its_consumer_a_token_is_void(
    local: Local, boss: Person, consumer: Consumer
) -> None:
    consumer.obtain(boss, "member")
    acting, path = consumer.acting, access_tokens(boss, consumer.token)
    acting.get("/auth/projects")
    local.admin.delete(f"{CONSUMERS}/{consumer.id}")
    refused(local, acting)
    boss.me.get(path, status=404)
    assert consumer.authenticate().status == 401
    consumer.token = {}
    assert consumer.request(boss.project).status == 401


def test_roles_are_those_that_the_user_has_still(local: Local, consumer: Consumer) -> None:
    boss = Person(local, "oauth1-loses", ("admin", "member"))
    consumer.obtain(boss, "admin", "member")
    acting = consumer.acting
    acting.get("/users")
    boss.take("admin")
    refused(local, acting)
    token = consumer.authenticate().body["token"]
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    boss.take("member")
    assert consumer.authenticate().status == 401


def test_a_disabled_user_lends_nothing(local: Local, consumer: Consumer) -> None:
    boss = Person(local, "oauth1-disabled", ("admin",))
    consumer.obtain(boss, "admin")
    acting = consumer.acting
    local.admin.patch(f"/users/{boss.id}", {"user": {"enabled": False}})
    refused(local, acting)
    assert consumer.authenticate().status == 401


def test_what_was_allowed_goes_with_its_user(local: Local, consumer: Consumer) -> None:
    boss = Person(local, "oauth1-deleted", ("admin",))
    consumer.obtain(boss, "admin")
    local.admin.delete(f"/users/{boss.id}")
    with local.cloud.get(Database).transaction(write=False) as session:
        assert session.get(AccessTokenRecord, consumer.token["oauth_token"]) is None
    assert consumer.authenticate().status == 401


def test_signatures_must_fit(local: Local, boss: Person, consumer: Consumer) -> None:
    now = int((clock.now() - EPOCH).total_seconds())
    for changes in (
        {"oauth_signature": "d3Jvbmc="},
        {"oauth_consumer_key": "0" * 32},
        {"oauth_consumer_key": "a\0b"},
        {"oauth_consumer_key": None},
        {"oauth_nonce": None},
        {"oauth_nonce": "a\0b"},
        {"oauth_nonce": "n" * 257},
        {"oauth_timestamp": str(now - WINDOW_S - 60)},
        {"oauth_timestamp": str(now + WINDOW_S + 60)},
        {"oauth_timestamp": "soon"},
        {"oauth_signature_method": "PLAINTEXT"},
        {"oauth_version": "2.0"},
    ):
        assert consumer.request(boss.project, **changes).status == 401, changes
    path = "/OS-OAUTH1/request_token"
    elsewhere = consumer.header("/OS-OAUTH1/access_token")
    assert consumer.ask(path, elsewhere, Requested_Project_Id=boss.project).status == 401
    for wrong in ("", "OAuth", "OAuth a", "Basic YTpi"):
        assert consumer.ask(path, wrong, Requested_Project_Id=boss.project).status == 401
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    answer = consumer.ask(path, consumer.header(path), b"more=1", **form)
    assert answer.status == 401
    assert consumer.ask(path, consumer.header(path), b"\xff", **form).status == 401


def test_strangers_learn_no_names(local: Local, boss: Person, consumer: Consumer) -> None:
    known = consumer.request(boss.project, oauth_signature="d3Jvbmc=")
    unknown = consumer.request(boss.project, oauth_consumer_key="0" * 32)
    assert (known.status, known.message) == (unknown.status, unknown.message)
    assert consumer.request("no-such-project", oauth_signature="d3Jvbmc=").status == 401
    assert consumer.request("no-such-project").status == 404
    assert consumer.request("").status == 400


def test_a_signed_request_counts_once(local: Local, boss: Person, consumer: Consumer) -> None:
    path = "/OS-OAUTH1/request_token"
    header = consumer.header(path)
    project = {"Requested_Project_Id": boss.project}
    assert consumer.ask(path, header, **project).status == 201
    assert consumer.ask(path, header, **project).status == 401
    failed = consumer.header(path)
    assert consumer.ask(path, failed, Requested_Project_Id="unknown").status == 404
    assert consumer.ask(path, failed, **project).status == 401
    consumer.obtain(boss, "member")
    header = consumer.header("/auth/tokens")
    assert consumer.authenticate(header).status == 201
    assert consumer.authenticate(header).status == 401


def test_nonces_are_forgotten_when_their_time_is_over(
    local: Local, boss: Person, consumer: Consumer
) -> None:
    old = EPOCH + dt.timedelta(days=1)
    facts: dict[str, Any] = {"token_id": "", "signed_at": old, "nonce": "old", "expires_at": old}
    with local.cloud.get(Database).transaction() as session:
        session.add(NonceRecord(consumer_id=consumer.id, **facts))
    assert consumer.request(boss.project).status == 201
    with local.cloud.get(Database).transaction(write=False) as session:
        mine = select(NonceRecord.nonce).where(NonceRecord.consumer_id == consumer.id)
        nonces = list(session.scalars(mine))
    assert len(nonces) == 1
    assert nonces != ["old"]


def test_a_request_token_is_exchanged_once(local: Local, boss: Person, consumer: Consumer) -> None:
    consumer.take(consumer.request(boss.project))
    verifier = authorize(boss.me, consumer.token["oauth_token"], "member")
    request_token = dict(consumer.token)
    assert consumer.exchange(verifier).status == 201
    assert consumer.exchange(verifier).status == 401
    assert consumer.token == request_token
    found = [
        each
        for each in boss.me.get(access_tokens(boss))["access_tokens"]
        if each["consumer_id"] == consumer.id
    ]
    assert len(found) == 1


def test_only_who_knows_the_verifier_gets_an_access_token(
    local: Local, boss: Person, consumer: Consumer
) -> None:
    consumer.take(consumer.request(boss.project))
    answer = consumer.exchange("guess")
    assert answer.status == 401
    assert answer.message == "Request Token does not have an authorizing user id."
    verifier = authorize(boss.me, consumer.token["oauth_token"], "member")
    assert consumer.exchange("guess").status == 401
    assert consumer.exchange(None).status == 400
    assert consumer.exchange(verifier, oauth_token=None).status == 400
    other = Consumer(local)
    other.token = dict(consumer.token)
    assert other.exchange(verifier).status == 401
    path = "/OS-OAUTH1/access_token"
    unknown = consumer.header(path, oauth_token="0" * 32, oauth_verifier=verifier)
    assert consumer.ask(path, unknown).status == 401
    assert consumer.exchange(verifier).status == 201


def test_what_is_over_is_refused(local: Local, boss: Person, consumer: Consumer) -> None:
    consumer.take(consumer.request(boss.project))
    path = f"/OS-OAUTH1/authorize/{consumer.token['oauth_token']}"
    over = clock.now() - dt.timedelta(seconds=1)
    verifier = authorize(boss.me, consumer.token["oauth_token"], "member")
    with local.cloud.get(Database).transaction() as session:
        session.get_one(RequestTokenRecord, consumer.token["oauth_token"]).expires_at = over
    boss.me.put(path, {"roles": [{"name": "member"}]}, status=401)
    assert consumer.exchange(verifier).status == 401
    consumer.obtain(boss, "member")
    boss.me.put(path, {"roles": [{"name": "member"}]}, status=404)
    acting = consumer.acting
    with local.cloud.get(Database).transaction() as session:
        session.get_one(AccessTokenRecord, consumer.token["oauth_token"]).expires_at = over
    refused(local, acting)
    assert consumer.authenticate().status == 401


def test_a_user_lends_only_roles_that_it_has(
    local: Local, boss: Person, consumer: Consumer
) -> None:
    consumer.take(consumer.request(boss.project))
    path = f"/OS-OAUTH1/authorize/{consumer.token['oauth_token']}"
    me = boss.me
    for roles, status in (
        ([{"name": "service"}], 401),
        ([{"name": "member"}, {"name": "no such role"}], 401),
        ([{"id": "unknown"}], 401),
        ([], 400),
        ([{}], 400),
        ([{"id": "a", "name": "member"}], 400),
        ([{"name": "member", "more": 1}], 400),
        ({}, 400),
    ):
        me.put(path, {"roles": roles}, status=status)
    me.put(path, {}, status=400)
    me.put("/OS-OAUTH1/authorize/unknown", {"roles": [{"name": "member"}]}, status=404)
    # An administrator of another project has no roles on this one to lend.
    local.admin.put(path, {"roles": [{"name": "admin"}]}, status=401)
    local.demo.put(path, {"roles": [{"name": "member"}]}, status=403)
    As(local, None).put(path, {"roles": [{"name": "member"}]}, status=401)


def test_lent_rights_are_not_lent_on(local: Local, boss: Person, consumer: Consumer) -> None:
    consumer.obtain(boss, "admin")
    acting = consumer.acting
    program = boss.acting(boss.program("oauth1-unrestricted", unrestricted=True))
    trustee = trusted(boss, Person(local, "oauth1-trustee"), "admin")
    other = Consumer(local)
    other.take(other.request(boss.project))
    body = {"roles": [{"name": "member"}]}
    for lent in (acting, program, trustee):
        lent.put(f"/OS-OAUTH1/authorize/{other.token['oauth_token']}", body, status=403)
        lent.get(access_tokens(boss), status=403)
        lent.get(access_tokens(boss, consumer.token), status=403)
        lent.delete(access_tokens(boss, consumer.token), status=403)


def test_two_proofs_are_of_one_user(local: Local, boss: Person, consumer: Consumer) -> None:
    consumer.obtain(boss, "member")
    path = "/auth/tokens"
    for who, status in ((boss, 201), (Person(local, "oauth1-other"), 401)):
        identity = {"methods": ["password", "oauth1"], "password": who.by_password, "oauth1": {}}
        answer = consumer.ask(path, consumer.header(path), {"auth": {"identity": identity}})
        assert answer.status == status, answer
