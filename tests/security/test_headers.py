"""OSSA-2026-001: who asks is what the token says, whatever other headers say."""

from itertools import product
from typing import Any

import pytest

from tests.cloud import Answer, Local

CLAIMS = {
    "User-Id": "admin", "User-Name": "admin", "User-Domain-Id": "default", "User": "admin",
    "Roles": "admin", "Role": "admin", "Service-Roles": "admin,service", "Is-Admin": "True",
    "Is-Admin-Project": "True", "Project-Id": "admin", "Project-Name": "admin",
    "Project-Domain-Id": "default", "Domain-Id": "default", "Domain-Name": "Default",
    "Tenant-Id": "admin", "Tenant-Name": "admin", "Tenant": "admin", "System-Scope": "all",
    "Identity-Status": "Confirmed", "Service-Identity-Status": "Confirmed",
    "Service-User-Id": "admin", "Service-Catalog": "[]", "Trust-Id": "x",
}  # fmt: skip
REMOTE = {
    "REMOTE_USER": "admin", "Remote-User": "admin", "X-Remote-User": "admin",
    "X-Forwarded-User": "admin", "X-Forwarded-For": "127.0.0.1", "X-Auth-User": "admin",
    "HTTP_OIDC_ISS": "https://idp", "OIDC-iss": "https://idp", "OIDC_CLAIM_email": "admin",
    "MELLON_IDP": "https://idp", "SSL_CLIENT_S_DN": "CN=admin", "SSL_CLIENT_VERIFY": "SUCCESS",
    "X-Federation-Remote-User": "admin", "X-Federation-Secret": "", "X-Client-Cert": "CN=admin",
}  # fmt: skip
SPELLINGS = ("X-{}", "X_{}", "HTTP_X_{}", "Http-X-{}", "{}")


def forged() -> dict[str, str]:
    """Every claim in every spelling."""
    headers = dict(REMOTE)
    for spelling, (name, value) in product(SPELLINGS, CLAIMS.items()):
        for each in (name, name.replace("-", "_")):
            headers[spelling.format(each)] = value
    return headers


def same(first: Answer, second: Answer) -> bool:
    return (first.status, first.content) == (second.status, second.content)


PATHS = [
    "/v3/users", "/v3/projects", "/v3/domains", "/v3/auth/projects", "/v3/auth/system",
    "/v3/role_assignments", "/v3/credentials", "/v3/OS-TRUST/trusts", "/v3/services", "/v3/limits",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_ossa_2026_001_a_stranger_stays_a_stranger(local: Local, path: str) -> None:
    assert local.ask("GET", f"/identity{path}", headers=forged()).status == 401


@pytest.mark.parametrize("path", PATHS)
def test_ossa_2026_001_a_member_stays_that_member(local: Local, path: str) -> None:
    token = local.token("demo")
    plain = local.ask("GET", f"/identity{path}", token=token)
    assert same(plain, local.ask("GET", f"/identity{path}", token=token, headers=forged()))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_ossa_2026_001_no_single_spelling_counts(local: Local, spelling: str) -> None:
    token = local.token("demo")
    for name, value in CLAIMS.items():
        for each in (name, name.replace("-", "_"), name.upper(), name.lower()):
            headers = {spelling.format(each): value}
            assert (
                local.ask("GET", "/identity/v3/users", token=token, headers=headers).status == 403
            )
            assert local.ask("GET", "/identity/v3/users", headers=headers).status == 401


def test_ossa_2026_001_a_token_counts_in_its_own_headers_alone(local: Local) -> None:
    token = local.token("admin")
    for name in ("X_Auth_Token", "HTTP_X_AUTH_TOKEN", "X-Service-Token", "X-Storage-Token",
                 "X-Subject-Token", "Cookie", "Auth-Token"):  # fmt: skip
        assert local.ask("GET", "/identity/v3/users", headers={name: token}).status == 401, name


def test_ossa_2026_001_nobody_signs_in_by_headers(local: Local) -> None:
    bodies: tuple[dict[str, Any], ...] = (
        {"auth": {"identity": {"methods": ["external"], "external": {}}}},
        {"auth": {"identity": {"methods": ["mapped"], "mapped": {"id": "admin"}}}},
        {"auth": {"identity": {"methods": []}}},
    )
    for body in bodies:
        answer = local.ask("POST", "/identity/v3/auth/tokens", body, headers=forged())
        assert answer.status in (400, 401, 404)
        assert "x-subject-token" not in answer.headers
    path = "/identity/v3/OS-FEDERATION/identity_providers/idp/protocols/mapped/auth"
    assert local.ask("GET", path, headers=forged()).status in (401, 403, 404)


@pytest.mark.parametrize("host", ['evil"><script>', "a\r\nx: y", "a b", "a/b?c#d", "x" * 300, ""])
def test_a_hosts_name_that_is_none_is_not_repeated(local: Local, host: str) -> None:
    for name in ("host", "x-forwarded-host"):
        answer = local.ask("GET", "/identity/v3/users", headers={name: host})
        expected = 'Keystone uri="http://localhost/identity"'
        if name == "x-forwarded-host" and not host:
            expected = 'Keystone uri="http://127.0.0.1:5000/identity"'
        assert answer.headers["www-authenticate"] == expected
        root = local.ask("GET", "/identity/v3", headers={name: host})
        assert not host or host not in root.content.decode()


def test_a_front_ends_address_shows_in_links(local: Local) -> None:
    headers = {"x-forwarded-proto": "https", "x-forwarded-host": "cloud.example:443, inner"}
    answer = local.ask("GET", "/identity/v3", headers=headers)
    assert "https://cloud.example:443/identity/v3" in answer.content.decode()
    odd = local.ask("GET", "/identity/v3", headers={"x-forwarded-proto": "javascript"})
    assert "http://127.0.0.1:5000/identity/v3" in odd.content.decode()
