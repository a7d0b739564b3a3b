"""OSSA-2026-001 (CVE-2026-22797): headers that a client wrote were believed to tell who it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from onestack.core.config import ConfigError
from tests.cloud import Local
from tests.conftest import CHEAP, Clouds, Databases
from tests.identity.federation.partners import SECRET, Partner, authenticate, vouched

TOKENS = "/identity/v3/auth/tokens"
FORGED = {
    "X-User-Id": "admin",
    "X-User-Name": "admin",
    "X-User": "admin",
    "X-Roles": "admin",
    "X-Role": "admin",
    "X-Project-Id": "admin",
    "X-Tenant-Id": "admin",
    "X-Domain-Id": "default",
    "X-Is-Admin-Project": "True",
    "X-System-Scope": "all",
    "X-Identity-Status": "Confirmed",
    "X-Service-Identity-Status": "Confirmed",
    "X-Service-Roles": "admin,service",
    "Remote-User": "admin",
    "Openstack-Identity-Status": "Confirmed",
}
VARIANTS = (
    FORGED,
    {name.replace("-", "_"): value for name, value in FORGED.items()},
    {f"HTTP_{name.replace('-', '_')}": value for name, value in FORGED.items()},
    {f"HTTP-{name}": value for name, value in FORGED.items()},
)


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Local]:
    """A cloud that trusts a front-end, which none of these requests comes from."""
    with databases.fresh() as url:
        settings = {"ONESTACK_CLOUD_DATABASE": url, "ONESTACK_IDENTITY_FEDERATION_SECRET": SECRET}
        cloud = Local(tmp_path_factory.mktemp("cloud"), {**CHEAP, **settings})
        yield cloud
        cloud.close()


@pytest.fixture(scope="module")
def partner(trusting: Local) -> Partner:
    return Partner(trusting, "partner", remote_ids=["partner"])


def test_ossa_2026_001_identity_headers_identify_nobody(trusting: Local) -> None:
    for headers in VARIANTS:
        for method, path in (("GET", "/identity/v3/users"), ("GET", "/identity/v3/auth/projects")):
            assert trusting.ask(method, path, headers=headers).status == 401


def test_ossa_2026_001_identity_headers_add_nothing_to_a_token(trusting: Local) -> None:
    demo = trusting.token("demo")
    plain = trusting.ask("GET", TOKENS, token=demo, headers={"X-Subject-Token": demo})
    for headers in VARIANTS:
        assert trusting.ask("GET", "/identity/v3/users", token=demo, headers=headers).status == 403
        subject = {**headers, "X-Subject-Token": demo}
        assert trusting.ask("GET", TOKENS, token=demo, headers=subject).body == plain.body


def test_ossa_2026_001_identity_headers_are_no_assertion(trusting: Local, partner: Partner) -> None:
    path = f"/identity/v3{partner.path}/protocols/mapped/auth"
    for headers in VARIANTS:
        assert trusting.ask("POST", path, headers=headers).status == 401
        secret = {"X-Federation-Secret": SECRET}
        assert trusting.ask("POST", path, headers={**headers, **secret}).status == 400
        assert authenticate(trusting, "external", {}, {**headers, **secret}).status == 401


def test_ossa_2026_001_assertions_count_only_beside_the_secret(
    trusting: Local, partner: Partner
) -> None:
    path = f"/identity/v3{partner.path}/protocols/mapped/auth"
    true = vouched(Remote_User="jane", HTTP_Oidc_Iss="partner")
    assert trusting.ask("POST", path, headers=true).status == 201
    del true["X-Federation-Secret"]
    given = {"identity_provider": "partner", "protocol": "mapped"}
    for forged in (
        {},
        {"X-Federation-Secret": ""},
        {"X-Federation-Secret": SECRET[:-1]},
        {"X-Federation-Secret": SECRET + "x"},
        {"X-Federation-Secret": SECRET.upper()},
        {"X-Federation-Secret": "é" * 20},
        {"X_Federation_Secret": SECRET},
        {"HTTP_X_FEDERATION_SECRET": SECRET},
        {"Federation-Secret": SECRET},
    ):
        headers = {**true, **forged}
        assert trusting.ask("POST", path, headers=headers).status == 401
        assert trusting.ask("GET", path, headers=headers).status == 401
        assert authenticate(trusting, "mapped", given, headers).status == 401
        assert authenticate(trusting, "external", {}, headers).status == 401


def test_ossa_2026_001_a_header_with_underscores_hides_no_other(
    trusting: Local, partner: Partner
) -> None:
    true = vouched(Remote_User="jane", HTTP_Oidc_Iss="partner")
    path = f"/identity/v3{partner.path}/protocols/mapped/auth"
    for name in ("X-Federation-Remote_User", "X_Federation_Remote_User"):
        for headers in ({name: "admin", **true}, {**true, name: "admin"}):
            answer = trusting.ask("POST", path, headers=headers)
            assert answer.body["token"]["user"]["name"] == "jane"


def test_ossa_2026_001_the_secret_is_no_attribute(trusting: Local, partner: Partner) -> None:
    rules = [{"remote": [{"type": "SECRET"}], "local": [{"user": {"name": "{0}"}}]}]
    leaky = Partner(trusting, "leaky", rules)
    answer = leaky.sign_in()
    assert answer.status == 401
    assert SECRET not in answer.message


def test_ossa_2026_001_without_a_secret_no_front_end_is_trusted(local: Local) -> None:
    partner = Partner(local, "untrusted")
    for headers in ({}, {"X-Federation-Secret": ""}, vouched(Remote_User="admin")):
        path = f"/identity/v3{partner.path}/protocols/mapped/auth"
        answer = local.ask("POST", path, headers=headers)
        assert answer.status == 401
        assert "federation_secret" in answer.message
        assert authenticate(local, "external", {}, headers).status == 401


def test_ossa_2026_001_settings_that_would_trust_too_much_are_refused(another: Clouds) -> None:
    for name, values in (
        ("FEDERATION_SECRET", ("short", "x" * 15, "sixteen or more, but spaces")),
        ("FEDERATION_HEADER_PREFIX", ("", "-", "x", "X-Upper-", "x_federation_")),
    ):
        for value in values:
            with pytest.raises(ConfigError, match=name.lower()):
                another(**{f"ONESTACK_IDENTITY_{name}": value})


@contextmanager
def renamed(folder: Path, databases: Databases) -> Iterator[Local]:
    """A cloud with a prefix of its own."""
    with databases.fresh() as url:
        settings = {
            "ONESTACK_CLOUD_DATABASE": url,
            "ONESTACK_IDENTITY_FEDERATION_SECRET": SECRET,
            "ONESTACK_IDENTITY_FEDERATION_HEADER_PREFIX": "x-other-",
        }
        cloud = Local(folder, {**CHEAP, **settings})
        try:
            yield cloud
        finally:
            cloud.close()


def test_ossa_2026_001_only_the_chosen_prefix_counts(tmp_path: Path, databases: Databases) -> None:
    with renamed(tmp_path, databases) as cloud:
        usual = vouched(Remote_User="demo")
        assert authenticate(cloud, "external", {}, usual).status == 401
        chosen = {"X-Other-Secret": SECRET, "X-Other-Remote-User": "demo"}
        assert authenticate(cloud, "external", {}, chosen).status == 201
        mixed = {"X-Other-Secret": SECRET, "X-Federation-Remote-User": "demo"}
        assert authenticate(cloud, "external", {}, mixed).status == 401
