"""OAuth 2.0: tokens for the clients' credentials, used as bearers."""

import base64
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.cloud import Answer, As, Local
from tests.identity.programs import Person

PATH = "/identity/v3/OS-OAUTH2/token"
FORM = "application/x-www-form-urlencoded"
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture(scope="module")
def person(local: Local) -> Person:
    return Person(local, "oauth2-owner")


@pytest.fixture(scope="module")
def client(person: Person) -> dict[str, Any]:
    return person.program("oauth2-client", roles=[{"name": "reader"}])


def basic(client: dict[str, Any]) -> str:
    text = f"{client['id']}:{client['secret']}"
    return "Basic " + base64.b64encode(text.encode()).decode()


def ask(
    local: Local, authorization: str | None, form: dict[str, str] | bytes, kind: str = FORM
) -> Answer:
    headers = {"Content-Type": kind}
    if authorization is not None:
        headers["Authorization"] = authorization
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    return local.ask("POST", PATH, body, headers=headers)


def refusal(answer: Answer) -> tuple[int, str]:
    assert set(answer.body) == {"error", "error_description"}
    assert answer.headers["content-type"] == "application/json"
    return answer.status, answer.body["error"]


def bearer(local: Local, method: str, path: str, token: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {"Authorization": f"Bearer {token}", **named}
    return local.ask(method, f"/identity/v3{path}", headers=given)


def test_a_client_gets_a_token(local: Local, person: Person, client: dict[str, Any]) -> None:
    answer = ask(local, basic(client), GRANT)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.body) == {"access_token", "token_type", "expires_in"}
    assert answer.body["token_type"] == "Bearer"
    assert 3590 <= answer.body["expires_in"] <= 3600
    token = answer.body["access_token"]
    shown = local.admin.get("/auth/tokens", X_Subject_Token=token)["token"]
    assert shown["application_credential"]["id"] == client["id"]
    assert shown["project"]["id"] == person.project
    assert [role["name"] for role in shown["roles"]] == ["reader"]


def test_a_client_names_itself_in_the_form(local: Local, client: dict[str, Any]) -> None:
    named = {"client_id": client["id"], "client_secret": client["secret"]}
    assert ask(local, None, {**GRANT, **named}).status == 200
    wrong = {"client_id": client["id"], "client_secret": "wrong"}
    assert refusal(ask(local, None, {**GRANT, **wrong})) == (401, "invalid_client")
    twice = ask(local, basic(client), {**GRANT, **named})
    assert refusal(twice) == (400, "invalid_request")


def test_a_token_is_used_as_a_bearer(local: Local, person: Person, client: dict[str, Any]) -> None:
    token = ask(local, basic(client), GRANT).body["access_token"]
    answer = bearer(local, "GET", "/auth/projects", token)
    assert [each["id"] for each in answer.body["projects"]] == [person.project]
    assert bearer(local, "GET", "/auth/tokens", token, X_Subject_Token=token).status == 200
    assert bearer(local, "GET", "/users", token).status == 403
    assert bearer(local, "GET", "/auth/projects", token[:-1]).status == 401
    assert bearer(local, "GET", "/auth/projects", "").status == 401
    lowered = {"Authorization": f"bearer {token}"}
    assert local.ask("GET", "/identity/v3/auth/projects", headers=lowered).status == 200
    for scheme in ("Basic", "Token", ""):
        other = {"Authorization": f"{scheme} {token}"}
        assert local.ask("GET", "/identity/v3/auth/projects", headers=other).status == 401


def test_any_token_is_a_bearer_and_the_other_header_wins(
    local: Local, client: dict[str, Any]
) -> None:
    assert bearer(local, "GET", "/users", local.token("admin")).status == 200
    token = ask(local, basic(client), GRANT).body["access_token"]
    both = bearer(local, "GET", "/users", local.token("admin"), X_Auth_Token=token)
    assert both.status == 403
    revoked = bearer(local, "DELETE", "/auth/tokens", token, X_Subject_Token=token)
    assert revoked.status == 204
    assert bearer(local, "GET", "/auth/projects", token).status == 401


def test_access_rules_hold_for_a_bearer(local: Local, person: Person) -> None:
    rule = {"service": "identity", "method": "GET", "path": "/v3/auth/projects"}
    made = person.program("oauth2-ruled", access_rules=[rule])
    token = ask(local, basic(made), GRANT).body["access_token"]
    assert bearer(local, "GET", "/auth/projects", token).status == 200
    assert bearer(local, "GET", "/auth/domains", token).status == 403


def test_wrong_requests_in_the_words_of_oauth(local: Local, client: dict[str, Any]) -> None:
    right = basic(client)
    for form, kind, expected in (
        ({}, FORM, "invalid_request"),
        ({"grant_type": ""}, FORM, "invalid_request"),
        ({"grant_type": "password"}, FORM, "unsupported_grant_type"),
        (b"grant_type=client_credentials&grant_type=client_credentials", FORM, "invalid_request"),
        (b"\xff=%ff", FORM, "invalid_request"),
        (b"grant_type=client_credentials&a=%00", FORM, "invalid_request"),
        (b"&".join(b"a=1" for _ in range(30)), FORM, "invalid_request"),
        (b'{"grant_type": "client_credentials"}', "application/json", "invalid_request"),
    ):
        assert refusal(ask(local, right, form, kind)) == (400, expected), form
    answer = ask(local, right, {"grant_type": "password"})
    told = "The parameter grant_type password is not supported."
    assert answer.body["error_description"] == told


def test_wrong_clients_are_not_told_apart(local: Local, client: dict[str, Any]) -> None:
    seen = set()
    for authorization in (
        None,
        "",
        "Basic",
        "Basic ???",
        "Basic " + base64.b64encode(b"\xff\xfe").decode(),
        "Basic " + base64.b64encode(b"a\0b:c").decode(),
        basic({"id": client["id"], "secret": ""}),
        basic({"id": client["id"], "secret": "wrong"}),
        basic({"id": "0" * 32, "secret": client["secret"]}),
        basic({"id": "", "secret": client["secret"]}),
        f"Bearer {local.token('admin')}",
    ):
        answer = ask(local, authorization, GRANT)
        assert refusal(answer) == (401, "invalid_client"), authorization
        assert "www-authenticate" in answer.headers
        seen.add(answer.content)
    assert len(seen) == 1


def test_a_client_is_refused_at_once_when_it_is_no_more(local: Local) -> None:
    owner = Person(local, "oauth2-leaver")
    made = owner.program("oauth2-short")
    token = ask(local, basic(made), GRANT).body["access_token"]
    assert bearer(local, "GET", "/auth/projects", token).status == 200
    owner.me.delete(f"/users/{owner.id}/application_credentials/{made['id']}")
    assert bearer(local, "GET", "/auth/projects", token).status == 401
    assert refusal(ask(local, basic(made), GRANT)) == (401, "invalid_client")
    again = owner.program("oauth2-again")
    local.admin.patch(f"/users/{owner.id}", {"user": {"enabled": False}})
    assert refusal(ask(local, basic(again), GRANT)) == (401, "invalid_client")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_tokens_are_had_by_post_alone(local: Local, method: str) -> None:
    answer = As(local, None).ask(method, "/OS-OAUTH2/token")
    assert refusal(answer) == (405, "other_error")
    assert answer.headers["allow"] == "POST"
