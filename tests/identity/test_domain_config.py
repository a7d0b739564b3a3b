"""Domain configuration."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import update

from onestack.core.db import Database
from onestack.identity.credential_keys import BlobUnreadable, CredentialKeys
from onestack.identity.domain_options import DomainConfigRecord, settings_for
from tests.cloud import As, Local
from tests.identity.places import make_domain

LDAP = {
    "url": "ldap://reader:%(password)s@directory:389/",
    "user_tree_dn": "ou=Users,dc=example,dc=org",
    "password": "canary-secret",
    "page_size": 100,
    "use_tls": False,
    "pool_retry_delay": 0.5,
    "user_attribute_ignore": ["a", "b"],
    "user_filter": None,
}
SHOWN = {name: value for name, value in LDAP.items() if name != "password"}


@pytest.fixture
def path(local: Local, request: pytest.FixtureRequest) -> str:
    """The configuration of a domain of the test's own."""
    name = f"c-{request.node.name}"[-64:]
    return f"/domains/{make_domain(local, name)['id']}/config"


def told(local: Local, path: str) -> dict[str, Any]:
    """What those hear who reach the domain's users."""
    keys = local.cloud.get(CredentialKeys)
    with local.cloud.get(Database).transaction(write=False) as session:
        return settings_for(session, keys, path.split("/")[2])


def test_a_configuration_lives(local: Local, path: str) -> None:
    admin = local.admin
    admin.get(path, status=404)
    config = {"identity": {"driver": "ldap"}, "ldap": LDAP}
    shown = {"identity": {"driver": "ldap"}, "ldap": SHOWN}
    assert admin.put(path, {"config": config}, status=201)["config"] == shown
    assert admin.put(path, {"config": config}, status=200)["config"] == shown
    assert admin.get(path)["config"] == shown
    assert admin.get(f"{path}/ldap")["config"] == {"ldap": SHOWN}
    assert admin.get(f"{path}/ldap/page_size")["config"] == {"page_size": 100}
    assert admin.get(f"{path}/ldap/user_filter")["config"] == {"user_filter": None}

    shown["ldap"] = {**SHOWN, "page_size": 5, "user": "u"}
    change = {"ldap": {"page_size": 5, "user": "u"}}
    assert admin.patch(path, {"config": change})["config"] == shown
    change = {"identity": {"driver": "sql", "list_limit": 7}}
    shown["identity"] = change["identity"]
    assert admin.patch(f"{path}/identity", {"config": change})["config"] == shown
    shown["ldap"]["page_size"] = 6
    changed = admin.patch(f"{path}/ldap/page_size", {"config": {"page_size": 6}})["config"]
    assert changed == shown

    admin.delete(f"{path}/identity/list_limit")
    admin.get(f"{path}/identity/list_limit", status=404)
    admin.delete(f"{path}/identity/list_limit", status=404)
    admin.delete(f"{path}/identity")
    admin.get(f"{path}/identity", status=404)
    admin.delete(f"{path}/identity", status=404)
    admin.delete(path)
    message = admin.get(path, status=404)["error"]["message"]
    domain_id = path.split("/")[2]
    expected = f"Could not find any options in domain configuration for domain {domain_id}."
    assert message == expected


def test_a_new_configuration_replaces_the_old_one(local: Local, path: str) -> None:
    local.admin.put(path, {"config": {"ldap": LDAP}}, status=201)
    config = {"identity": {"list_limit": 1}}
    assert local.admin.put(path, {"config": config}, status=200)["config"] == config
    assert local.admin.get(path)["config"] == config


def test_secrets_are_kept_and_never_shown(local: Local, path: str) -> None:
    admin = local.admin
    admin.put(path, {"config": {"ldap": {"password": "canary-secret"}}}, status=201)
    for each in ("", "/ldap", "/ldap/password"):
        answer = admin.ask("GET", f"{path}{each}")
        assert answer.status == 404
        assert b"canary" not in answer.content
    answer = admin.ask("PATCH", path, {"config": {"ldap": LDAP}})
    assert answer.status == 200
    assert b"canary" not in answer.content
    assert admin.get("/domains/config/ldap/password/default", status=403)
    settings = told(local, path)
    assert settings["ldap"] == {**LDAP, "url": "ldap://reader:canary-secret@directory:389/"}
    change = {"config": {"password": "canary-two"}}
    assert b"canary" not in admin.ask("PATCH", f"{path}/ldap/password", change).content
    settings = told(local, path)
    assert settings["ldap"]["url"] == "ldap://reader:canary-two@directory:389/"
    admin.delete(f"{path}/ldap/password")
    admin.delete(f"{path}/ldap/password", status=404)
    assert "password" not in told(local, path)["ldap"]


@pytest.mark.parametrize("password", ["", 7, None, "a%(password)sb", "\u00fc \U0001f511", ["x"]])
def test_a_secret_is_told_as_it_was_given(local: Local, path: str, password: Any) -> None:
    local.admin.put(path, {"config": {"ldap": {"password": password}}}, status=201)
    assert told(local, path) == {"ldap": {"password": password}}


def test_a_secret_whose_key_is_lost_can_be_replaced(local: Local, path: str) -> None:
    local.admin.put(path, {"config": {"ldap": LDAP}}, status=201)
    lost = {"encrypted": Fernet(Fernet.generate_key()).encrypt(b"lost").decode()}
    secret = (
        DomainConfigRecord.domain_id == path.split("/")[2],
        DomainConfigRecord.option == "password",
    )
    with local.cloud.get(Database).transaction() as session:
        session.execute(update(DomainConfigRecord).where(*secret).values(value=lost))
    assert local.admin.get(path)["config"] == {"ldap": SHOWN}
    with pytest.raises(BlobUnreadable):
        told(local, path)
    local.admin.patch(path, {"config": {"ldap": {"password": "found"}}})
    assert told(local, path)["ldap"]["password"] == "found"


@pytest.mark.parametrize(
    ("config", "status"),
    [
        ({}, 403),
        ({"unknown": {"driver": "x"}}, 403),
        ({"identity": {"unknown": "x"}}, 403),
        ({"identity": {}}, 403),
        ({"identity": "ldap"}, 403),
        ({"identity": None}, 403),
        ({"identity": {"driver": {"a": 1}}}, 400),
        ({"identity": {"driver": [1]}}, 400),
        ({"identity": {"driver": "x" * 5000}}, 400),
        ({"identity": {"list_limit": 2**40}}, 400),
        ([], 400),
        ("x", 400),
        (None, 400),
    ],
)
def test_bad_configurations_are_refused(local: Local, config: Any, status: int) -> None:
    path = "/domains/default/config"
    local.admin.put(path, {"config": config}, status=status)
    local.admin.patch(path, {"config": config}, status=status)
    local.admin.get(path, status=404)


def test_a_part_is_changed_by_what_it_is_named(local: Local, path: str) -> None:
    admin = local.admin
    admin.put(path, {"config": {"identity": {"driver": "sql"}}}, status=201)
    driver, tree = {"identity": {"driver": "x"}}, {"ldap": {"user_tree_dn": "x"}}
    admin.patch(f"{path}/ldap", {"config": tree}, status=404)
    admin.patch(f"{path}/ldap/url", {"config": {"url": "x"}}, status=404)
    admin.patch(f"{path}/identity", {"config": tree}, status=403)
    admin.patch(f"{path}/identity", {"config": driver | tree}, status=403)
    admin.patch(f"{path}/identity/driver", {"config": {"list_limit": 1}}, status=403)
    admin.patch(f"{path}/identity/list_limit", {"config": {"list_limit": 1}}, status=404)
    for each in ("/unknown", "/identity/unknown"):
        for method in ("GET", "DELETE"):
            assert admin.ask(method, f"{path}{each}").status == 403
        admin.patch(f"{path}{each}", {"config": driver}, status=403)
    assert admin.get(path)["config"] == {"identity": {"driver": "sql"}}


def test_a_configuration_belongs_to_a_domain(local: Local) -> None:
    config = {"config": {"identity": {"driver": "sql"}}}
    project = local.admin.get("/projects?name=demo")["projects"][0]["id"]
    for domain_id in ("no-such-domain", project):
        path = f"/domains/{domain_id}/config"
        local.admin.put(path, config, status=404)
        local.admin.patch(path, config, status=404)
        for part in ("", "/identity", "/identity/driver"):
            local.admin.get(f"{path}{part}", status=404)
            local.admin.delete(f"{path}{part}", status=404)


def test_defaults(local: Local) -> None:
    config = local.admin.get("/domains/config/default")["config"]
    assert set(config) == {"identity", "ldap"}
    assert set(config["identity"]) == {"driver", "list_limit"}
    assert "password" not in config["ldap"]
    assert local.admin.get("/domains/config/ldap/default")["config"] == {"ldap": config["ldap"]}
    for group, options in config.items():
        for option, value in options.items():
            path = f"/domains/config/{group}/{option}/default"
            assert local.admin.get(path)["config"] == {option: value}
    local.admin.get("/domains/config/unknown/default", status=403)
    local.admin.get("/domains/config/ldap/unknown/default", status=403)


def test_everybody_may_know_what_passwords_must_look_like(local: Local) -> None:
    path = "/domains/default/config/security_compliance"
    shown = local.demo.get(path)["config"]["security_compliance"]
    assert shown == {"password_regex": None, "password_regex_description": None}
    assert local.demo.get(f"{path}/password_regex")["config"] == {"password_regex": None}
    local.demo.get(f"{path}/lockout_failure_attempts", status=403)
    local.demo.get(path.replace("default", "other"), status=403)
    As(local, None).get(path, status=401)


def test_who_may_do_what(local: Local, path: str) -> None:
    config = {"config": {"identity": {"driver": "sql"}}}
    local.admin.put(path, config, status=201)
    for who, status in ((local.demo, 403), (As(local, None), 401)):
        for part in ("", "/identity", "/identity/driver"):
            who.get(f"{path}{part}", status=status)
            who.patch(f"{path}{part}", config, status=status)
            who.delete(f"{path}{part}", status=status)
        who.put(path, config, status=status)
        for part in ("", "/ldap", "/ldap/url"):
            who.get(f"/domains/config{part}/default", status=status)
    assert local.admin.get(path) == config
