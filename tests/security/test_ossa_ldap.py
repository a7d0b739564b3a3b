"""OSSA-2013-015, OSSA-2026-007, and certificates: what a directory must not be talked into."""

import socket
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest

from onestack.core import log
from onestack.identity.domain_config import DEFAULTS
from onestack.identity.drivers import ldap
from onestack.identity.drivers.ldap import LdapDirectory
from onestack.identity.drivers.ldap_entry import escaped, normal_dn
from tests.cloud import Local
from tests.conftest import Clouds
from tests.identity.people import sign_in
from tests.identity.trees import Tree, configure, domain_with, silence
from tests.servers.slapd import Slapd

OK = b"\x61\x07\x0a\x01\x00\x04\x00\x04\x00"  # a bind's answer: success


@pytest.fixture
def tree(ldap_server: Slapd) -> Iterator[Tree]:
    with Tree(ldap_server) as tree:
        yield tree


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Slapd]:
    """A directory whose certificate is another host's."""
    with Slapd("directory.example.org") as server:
        yield server


def _bind_without_password(server: Slapd, dn: str) -> bytes:
    """What the server itself says to a name and an empty password."""
    name = dn.encode()
    bind = b"\x02\x01\x03\x04" + bytes([len(name)]) + name + b"\x80\x00"
    message = b"\x02\x01\x01\x60" + bytes([len(bind)]) + bind
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"\x30" + bytes([len(message)]) + message)
        return connection.recv(100)


def test_ossa_2013_015_an_empty_password_never_binds(local: Local, tree: Tree) -> None:
    tree.add("emil")
    assert OK in _bind_without_password(tree.server, tree.dn("emil"))
    _, name = domain_with(local, tree.config())
    right = local.login("emil", "emil-secret", "unscoped", name)
    assert right.status == 201
    user = right.body["token"]["user"]
    assert local.login("emil", "", domain=name).status == 401
    assert sign_in(local, user, "").status == 401
    who = {"name": "emil", "domain": {"name": name}}
    identity = {"methods": ["password"], "password": {"user": who}}
    answer = local.ask("POST", "/identity/v3/auth/tokens", {"auth": {"identity": identity}})
    assert answer.status == 401
    # What text preparation would map to nothing is no empty password on its way either.
    assert local.login("emil", "\u00ad", domain=name).status == 401
    assert local.login("emil", "\u200b\u200d", domain=name).status == 401


def test_the_service_accounts_password_may_not_be_missing(local: Local, tree: Tree) -> None:
    tree.add("ewa")
    _, name = domain_with(local, tree.config(password=""))
    assert local.login("ewa", "ewa-secret", domain=name).status == 503


@pytest.mark.parametrize("text", ["FALSE", "False", "false", " false "])
def test_ossa_2026_007_text_that_says_false_disables(local: Local, tree: Tree, text: str) -> None:
    tree.add("fred", employeeType="TRUE")
    domain_id, name = domain_with(local, tree.config())
    assert local.login("fred", "fred-secret", "unscoped", name).status == 201
    tree.set("fred", employeeType=text)
    assert local.login("fred", "fred-secret", "unscoped", name).status == 401
    listed = local.admin.get(f"/users?domain_id={domain_id}&name=fred")["users"]
    assert [user["enabled"] for user in listed] == [False]


@pytest.mark.parametrize("options", [{"use_tls": True}, {"url": "ldaps"}])
def test_a_certificate_for_another_host_is_refused(
    another: Clouds, ldap_server: Slapd, elsewhere: Slapd, options: dict[str, Any]
) -> None:
    cloud = another()
    for server, expected in ((ldap_server, 201), (elsewhere, 503)):
        url = server.tls_url if "url" in options else server.url
        with Tree(server) as tree:
            tree.add("gina")
            chosen = {**options, "url": url, "tls_cacertfile": str(server.authority)}
            domain_id, name = domain_with(cloud, tree.config(**chosen))
            assert cloud.login("gina", "gina-secret", "unscoped", name).status == expected
            if expected == 503:
                configure(cloud, domain_id, tls_req_cert="never")
                assert cloud.login("gina", "gina-secret", "unscoped", name).status == 201
            configure(cloud, domain_id, tls_req_cert="demand", tls_cacertfile=None)
            assert cloud.login("gina", "gina-secret", "unscoped", name).status == 503


def test_no_password_travels_in_the_open_when_tls_is_demanded(
    local: Local, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ldap, "TIMEOUT_S", 1)
    with silence() as server:
        config = tree.config(url=f"ldap://{server.address}", use_tls=True)
        _, name = domain_with(local, config)
        assert local.login("hugo", "hugo-secret", domain=name).status == 503
        assert server.visits == 1
        said = server.taken[0].recv(10_000)
        assert b"1.3.6.1.4.1.1466.20037" in said
        assert b"secret" not in said


def test_what_is_secret_stays_out_of_the_log(
    local: Local, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = StringIO()
    monkeypatch.setattr(log, "_stream", written)
    tree.add("iris")
    canary = "canary-of-the-service"
    unreachable = {"url": "ldap://u:%(password)s@127.0.0.1:1, ldap://127.0.0.1:1"}
    for chosen in (unreachable, {"page_size": "%(password)s"}, {"user_filter": "(("}, {}):
        domain_id, name = domain_with(local, tree.config(password=canary, **chosen))
        answer = local.login("iris", "canary-of-the-user", domain=name)
        assert answer.status == 503
        assert "canary" not in str(answer)
        local.admin.get(f"/users?domain_id={domain_id}")
    log.flush()
    assert written.getvalue().count("a directory failed") >= 4
    assert "canary" not in written.getvalue()


def test_filters_are_built_of_escaped_values_only() -> None:
    assert escaped(b"a*b(c)d\\e\0f") == "a\\2ab\\28c\\29d\\5ce\\00f"
    assert escaped("é".encode()) == "\\c3\\a9"


def test_distinguished_names_are_compared_as_names() -> None:
    same = ["uid=a\\, b,DC=Example", "UID=A\\2C  b, dc=example", "uid=a\\2c b,dc=EXAMPLE"]
    assert len({normal_dn(name) for name in same}) == 1
    assert normal_dn("uid=a,dc=b") != normal_dn("uid=a\\,dc=b")
    assert normal_dn("uid=\\c3\\a9,dc=b") == normal_dn("uid=é,dc=b")


def test_nobody_is_asked_about_an_empty_password() -> None:
    with silence() as server:
        options = {**DEFAULTS["ldap"], "url": f"ldap://{server.address}"}
        assert LdapDirectory(options).authenticate("uid=anybody,dc=example,dc=org", "") is False
        assert server.visits == 0
