"""The servers that other tests stand on."""

import ssl
from collections.abc import Callable
from pathlib import Path

import ldap3
import psycopg
import pytest
from ldap3.core.exceptions import LDAPSocketOpenError, LDAPStartTLSError

from tests.servers.install import PACKAGES, program
from tests.servers.postgres import Postgres
from tests.servers.process import ServerFailed
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.slapd import Slapd
from tests.servers.waiting import soon

Server = Postgres | RabbitMQ | Slapd


def processes_in(folder: Path) -> list[str]:
    """Every process whose environment, command or working folder names a server's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            where = (process / "cwd").resolve()
        except OSError:
            continue
        if command and (bytes(folder) in command or folder in (where, *where.parents)):
            found.append(command.replace(b"\0", b" ").decode())
    return found


@pytest.mark.parametrize("make", [Postgres, RabbitMQ, Slapd])
def test_a_server_leaves_nothing_behind(make: Callable[[], Server]) -> None:
    with make() as server:
        assert processes_in(server.folder.path)
    assert soon(lambda: not processes_in(server.folder.path))
    assert not server.folder.path.exists()


def test_a_server_that_cannot_start_says_why() -> None:
    server = Slapd()
    (server.folder.path / "tree.ldif").write_text("this is no tree")
    with pytest.raises(ServerFailed, match="slapadd failed"), server:
        pass
    assert not server.folder.path.exists()


def test_postgres_answers(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)


def test_the_directory_holds_people_and_groups(ldap_server: Slapd) -> None:
    server = ldap3.Server(ldap_server.url)
    with ldap3.Connection(server, ldap_server.admin_dn, ldap_server.admin_password) as connection:
        connection.search(ldap_server.users_dn, "(objectClass=inetOrgPerson)", attributes=["uid"])
        assert sorted(str(e.uid) for e in connection.entries) == ["alice", "bob", "carol"]
        connection.search(ldap_server.groups_dn, "(cn=admins)", attributes=["member"])
        assert str(connection.entries[0].member) == ldap_server.user_dn("alice")
    bob = ldap_server.user_dn("bob")
    assert ldap3.Connection(server, bob, ldap_server.password_of("bob")).bind()
    assert not ldap3.Connection(server, bob, "wrong").bind()


def _connect(slapd: Slapd, how: str) -> bool:
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(slapd.authority))
    url = slapd.tls_url if how == "ldaps" else slapd.url
    connection = ldap3.Connection(ldap3.Server(url, tls=tls), slapd.admin_dn, slapd.admin_password)
    if how == "starttls":
        connection.open()
        connection.start_tls()
    return bool(connection.bind() and connection.unbind())


@pytest.mark.parametrize("how", ["ldaps", "starttls"])
def test_the_directorys_certificate(ldap_server: Slapd, how: str) -> None:
    assert _connect(ldap_server, how)


@pytest.mark.parametrize("how", ["ldaps", "starttls"])
def test_a_directory_with_the_certificate_of_another_host(how: str) -> None:
    with (
        Slapd("elsewhere.example.org") as server,
        pytest.raises((LDAPSocketOpenError, LDAPStartTLSError), match=r"(?i)certificate|tls"),
    ):
        _connect(server, how)


def test_every_program_is_there() -> None:
    assert all(program(name).exists() for name in PACKAGES)
