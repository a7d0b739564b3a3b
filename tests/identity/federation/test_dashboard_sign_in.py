"""Logins in the browser: a token goes to a trusted dashboard, and nowhere else."""

import re
from urllib.parse import quote

from tests.cloud import Answer, Local
from tests.identity.federation.partners import DASHBOARD, Partner, shown, vouched

WEBSSO = "/identity/v3/auth/OS-FEDERATION"


def ask(local: Local, path: str, origin: str | None = DASHBOARD, method: str = "GET") -> Answer:
    query = "" if origin is None else f"?origin={quote(origin, safe='')}"
    headers = vouched(Remote_User="jane", HTTP_Oidc_Iss="https://idp.example/")
    return local.ask(method, f"{WEBSSO}/{path}{query}", headers=headers)


def token_in(answer: Answer) -> str:
    """The token that the page's form would post."""
    found = re.search(rb'name="token" id="token" value="([^"]+)"', answer.content)
    assert found is not None, answer
    return found[1].decode()


def test_the_page_posts_a_token_to_the_dashboard(trusting: Local) -> None:
    partner = Partner(trusting, "sso", remote_ids=["https://idp.example/"])
    for path in ("websso/mapped", "identity_providers/sso/protocols/mapped/websso"):
        for method in ("GET", "POST"):
            answer = ask(trusting, path, method=method)
            assert answer.status == 200, answer
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert "script-src 'sha256-" in answer.headers["content-security-policy"]
            assert answer.headers["cache-control"] == "no-store"
            assert "x-subject-token" not in answer.headers
            assert f'action="{DASHBOARD}" method="post"'.encode() in answer.content
            token = shown(trusting, token_in(answer))
            assert token["user"]["name"] == "jane"
            assert token["user"]["domain"]["id"] == partner.domain_id
    trusting.admin.delete(partner.path)


def test_no_other_address_gets_a_token(trusting: Local) -> None:
    partner = Partner(trusting, "sso-strict", remote_ids=["https://idp.example/"])
    for path in ("websso/mapped", "identity_providers/sso-strict/protocols/mapped/websso"):
        for origin, status in (
            (None, 400),
            ("", 400),
            (DASHBOARD.rstrip("/"), 401),
            (DASHBOARD.upper(), 401),
            (f"{DASHBOARD}../evil", 401),
            (f"{DASHBOARD}@evil.example", 401),
            ("https://dashboard.example.evil.example/auth/websso/", 401),
            ("javascript:alert(1)", 401),
        ):
            answer = ask(trusting, path, origin)
            assert answer.status == status, (origin, answer)
            assert answer.headers["content-type"] == "application/json"
    answer = ask(trusting, path, "https://evil.example/")
    assert answer.message == "https://evil.example/ is not a trusted dashboard host."
    trusting.admin.delete(partner.path)


def test_only_the_front_end_may_ask(trusting: Local) -> None:
    partner = Partner(trusting, "sso-asks", remote_ids=["https://idp.example/"])
    headers = vouched(Remote_User="jane", HTTP_Oidc_Iss="https://idp.example/")
    del headers["X-Federation-Secret"]
    for path in ("websso/mapped", "identity_providers/sso-asks/protocols/mapped/websso"):
        whole = f"{WEBSSO}/{path}?origin={DASHBOARD}"
        assert trusting.ask("GET", whole, headers=headers).status == 401
    trusting.admin.delete(partner.path)


def test_the_assertion_must_name_a_provider_that_is_known(trusting: Local) -> None:
    partner = Partner(trusting, "sso-known", remote_ids=["https://other.example/"])
    assert ask(trusting, "websso/mapped").status == 404
    assert ask(trusting, "websso/unknown").status == 404
    path = f"{WEBSSO}/websso/mapped?origin={DASHBOARD}"
    assert trusting.ask("GET", path, headers=vouched(Remote_User="jane")).status == 401
    changes = {"protocol": {"remote_id_attribute": "MELLON_IDP"}}
    trusting.admin.patch(f"{partner.path}/protocols/mapped", changes)
    headers = vouched(Remote_User="jane", Mellon_Idp="https://other.example/")
    assert trusting.ask("GET", path, headers=headers).status == 200
    partner.patch(enabled=False)
    assert trusting.ask("GET", path, headers=headers).status == 403
