"""OSSA-2019-003, 2017-001, 2014-029: secrets are in no log, error, trace, event or metric."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import MetaData, inspect, select

from onestack.core import log, trace
from onestack.core.db import Database
from onestack.core.event import EventRecord
from tests.cloud import Answer, As, Local
from tests.conftest import Clouds

CANARY = "c4n4ry"


def canary(name: str) -> str:
    """A secret that is recognised wherever it shows."""
    return f"{CANARY}-{name}-Aa1!"


class Watched:
    """A cloud whose log, traces, events, metrics and refusals are all read."""

    def __init__(self, local: Local, stream: io.StringIO) -> None:
        self.local, self.stream = local, stream
        self.refusals: list[Answer] = []
        self.secrets: list[str] = []

    def ask(
        self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.local.ask(method, f"/identity/v3{path}", body, token, named)
        if answer.status >= 400:
            self.refusals.append(answer)
        return answer

    def made(self, kind: str, path: str, body: Any, token: str) -> Any:
        answer = self.ask("POST", path, {kind: body}, token)
        assert answer.status == 201, answer
        return answer.body[kind]

    def said(self) -> dict[str, str]:
        """Everything that the cloud said but in answers to those who may know."""
        log.flush()
        traces = [
            " ".join([kept.request_id, *kept.subjects, *(span.name for span in kept.spans),
                      *(str(span.error) for span in kept.spans)])
            for kept in list(trace._ring)
        ]  # fmt: skip
        with self.local.cloud.get(Database).transaction(write=False) as session:
            events = list(session.scalars(select(EventRecord)))
            payloads = [json.dumps([each.name, each.payload, each.resource]) for each in events]
        return {
            "log": self.stream.getvalue(),
            "traces": "\n".join(traces),
            "events": "\n".join(payloads),
            "metrics": self.local.ask("GET", "/metrics").content.decode(),
            "refusals": "\n".join(
                each.content.decode() + str(dict(each.headers)) for each in self.refusals
            ),
        }


@pytest.fixture
def watched(another: Clouds) -> Iterator[Watched]:
    local = another()
    stream = io.StringIO()
    before = log._threshold, log._stream
    log.flush()
    log.configure("debug", stream)
    yield Watched(local, stream)
    log.flush()
    log._threshold, log._stream = before


def password_of(user_id: str, password: Any) -> dict[str, Any]:
    who = {"id": user_id, "password": password}
    return {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}}}


def use_passwords(cloud: Watched, admin: str) -> tuple[str, str]:
    """A user made, signed in, mistyped, changed; the id and a token for a project."""
    new = {"name": "watched", "domain_id": "default", "password": canary("first")}
    user_id = cloud.made("user", "/users", new, admin)["id"]
    for wrong in (canary("wrong"), [canary("list")], {canary("key"): 1}, canary("x") * 1000):
        assert cloud.ask("POST", "/auth/tokens", password_of(user_id, wrong)).status >= 400
    broken = b'{"auth": {"identity": {"password": "%s' % canary("broken").encode()
    cloud.ask("POST", "/auth/tokens", broken)
    change = {"original_password": canary("wrong"), "password": canary("second")}
    assert cloud.ask("POST", f"/users/{user_id}/password", {"user": change}).status == 401
    change["original_password"] = canary("first")
    assert cloud.ask("POST", f"/users/{user_id}/password", {"user": change}).status == 204
    cloud.ask("PATCH", f"/users/{user_id}", {"user": {"password": canary("second")}}, admin)
    twice = {"name": "watched", "domain_id": "default", "password": canary("twice")}
    assert cloud.ask("POST", "/users", {"user": twice}, admin).status == 409
    project = cloud.local.admin.get("/projects?name=demo")["projects"][0]["id"]
    role = cloud.local.admin.get("/roles?name=member")["roles"][0]["id"]
    cloud.local.admin.put(f"/projects/{project}/users/{user_id}/roles/{role}")
    body: dict[str, Any] = password_of(user_id, canary("second"))
    body["auth"]["scope"] = {"project": {"id": project}}
    answer = cloud.ask("POST", "/auth/tokens", body)
    assert answer.status == 201
    token = answer.headers["x-subject-token"]
    cloud.secrets.append(token)
    return user_id, token


def use_tokens(cloud: Watched, admin: str, token: str) -> None:
    """Tokens shown, mistyped, put where they do not belong, and revoked."""
    cloud.ask("GET", "/auth/tokens", None, admin, x_subject_token=token)
    cloud.ask("GET", "/auth/tokens", None, admin, x_subject_token=token[:-3])
    cloud.ask("GET", "/users", None, f"{token}{canary('token')}")
    cloud.ask("GET", f"/users?name={canary('query')}", None, admin)
    cloud.ask("GET", f"/users?limit={canary('query')}", None, admin)
    cloud.ask("GET", "/users", None, admin, authorization=f"Bearer {canary('bearer')}")
    body: dict[str, Any] = {"identity": {"methods": ["token"], "token": {"id": token}}}
    answer = cloud.ask("POST", "/auth/tokens", {"auth": body})
    assert answer.status == 201
    cloud.secrets.append(answer.headers["x-subject-token"])


def use_credentials(cloud: Watched, admin: str, user_id: str, token: str) -> None:
    """Application credentials, EC2 keys, blobs and one-time secrets: made, used, mistyped."""
    body: dict[str, Any] = {"name": "lent", "secret": canary("lent")}
    lent = cloud.made(
        "application_credential", f"/users/{user_id}/application_credentials", body, token
    )
    made = cloud.made(
        "application_credential", f"/users/{user_id}/application_credentials", {"name": "x"}, token
    )
    cloud.secrets.append(made["secret"])
    for secret in (canary("lent"), canary("wrong"), 7):
        proof = {"id": lent["id"], "secret": secret}
        identity = {"methods": ["application_credential"], "application_credential": proof}
        cloud.ask("POST", "/auth/tokens", {"auth": {"identity": identity}})
    project = cloud.ask("GET", "/auth/projects", None, token).body["projects"][0]["id"]
    path = f"/users/{user_id}/credentials/OS-EC2"
    ec2 = cloud.ask("POST", path, {"tenant_id": project}, token).body["credential"]
    cloud.secrets.append(ec2["secret"])
    signed = {"access": ec2["access"], "signature": canary("signature"), "params": {}}
    cloud.ask("POST", "/ec2tokens", {"credentials": signed}, admin)
    for kind in ("cert", "totp", "ec2"):
        credential = {"type": kind, "blob": canary(kind), "user_id": user_id}
        cloud.ask("POST", "/credentials", {"credential": credential}, admin)
    wrong = {"type": "cert", "blob": {canary("object"): 1}, "user_id": user_id}
    cloud.ask("POST", "/credentials", {"credential": wrong}, admin)


def use_configuration(cloud: Watched, admin: str) -> Any:
    """A domain's LDAP password, set, read back, and mistyped."""
    domain = cloud.made("domain", "/domains", {"name": "watched"}, admin)["id"]
    ldap = {"url": "ldap://127.0.0.1:1", "password": canary("ldap")}
    path = f"/domains/{domain}/config"
    answer = cloud.ask("PUT", path, {"config": {"ldap": ldap}}, admin)
    assert answer.status == 201, answer
    cloud.refusals += [answer, cloud.ask("GET", path, None, admin)]
    cloud.refusals.append(cloud.ask("GET", f"{path}/ldap", None, admin))
    cloud.ask("GET", f"{path}/ldap/password", None, admin)
    wrong = {"config": {"ldap": {"password": {canary("ldap"): 1}}}}
    cloud.ask("PATCH", path, wrong, admin)
    return domain


def use_consumers(cloud: Watched, admin: str) -> None:
    """An OAuth consumer's secret, and a request signed wrongly."""
    consumer = cloud.made("consumer", "/OS-OAUTH1/consumers", {}, admin)
    cloud.secrets.append(consumer["secret"])
    header = (
        f'OAuth oauth_consumer_key="{consumer["id"]}",oauth_signature_method="PLAINTEXT",'
        f'oauth_signature="{consumer["secret"]}",oauth_nonce="{canary("nonce")}",'
        'oauth_timestamp="1"'
    )
    cloud.ask("POST", "/OS-OAUTH1/request_token", authorization=header)


def test_no_secret_is_told(watched: Watched) -> None:
    admin = watched.local.token("admin")
    watched.secrets += [admin, *(each["password"] for each in watched.local.accounts.values())]
    user_id, token = use_passwords(watched, admin)
    use_tokens(watched, admin, token)
    use_credentials(watched, admin, user_id, token)
    use_configuration(watched, admin)
    use_consumers(watched, admin)
    assert watched.ask("DELETE", "/auth/tokens", None, admin, x_subject_token=token).status == 204
    assert len(watched.refusals) > 15
    said = watched.said()
    assert all(said.values())
    assert len(watched.secrets) >= 8
    told = [(where, secret) for where, text in said.items() for secret in
            (CANARY, *watched.secrets) if secret in text]  # fmt: skip
    assert told == []


def test_views_hold_no_secrets(watched: Watched) -> None:
    """What administrators list of others shows no password, hash or secret."""
    admin = watched.local.token("admin")
    user_id, token = use_passwords(watched, admin)
    use_credentials(watched, admin, user_id, token)
    lists = ("/users", f"/users/{user_id}", f"/users/{user_id}/application_credentials",
             "/role_assignments?include_names=true")  # fmt: skip
    for path in lists:
        answer = watched.ask("GET", path, None, admin)
        assert answer.status == 200
        for hidden in (CANARY, "$2b$", "secret_hash", '"password"', '"secret"'):
            assert hidden not in answer.content.decode(), (path, hidden)


def test_no_secret_is_stored_as_it_is(watched: Watched) -> None:
    admin = watched.local.token("admin")
    user_id, token = use_passwords(watched, admin)
    use_credentials(watched, admin, user_id, token)
    use_configuration(watched, admin)
    use_consumers(watched, admin)
    database = watched.local.cloud.get(Database)
    kept = MetaData()
    kept.reflect(database.engine)
    stored = {}
    with database.transaction(write=False) as session:
        for name in inspect(database.engine).get_table_names():
            rows = session.execute(select(kept.tables[name])).all()
            stored[name] = " ".join(str(tuple(row)) for row in rows)
    assert "users" in stored
    found = [(table, secret) for table, text in stored.items() for secret in
             (CANARY, *watched.secrets) if secret in text]  # fmt: skip
    assert found == []


def test_what_is_kept_beside_the_database_is_its_owners_alone(watched: Watched) -> None:
    data = watched.local.data
    for path in (data / "admin.json", *(data / "keys").rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_handlers_mistake_tells_no_secret(watched: Watched) -> None:
    """An unexpected error's text goes to the log: what a request brought must not be in it."""
    admin = As(watched.local, watched.local.token("admin"))
    body = {"name": "broken", "domain_id": canary("domain") * 2, "password": canary("first")}
    assert admin.ask("POST", "/users", {"user": body}).status in (400, 404)
    assert canary("first") not in watched.said()["log"]
