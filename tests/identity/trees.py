"""Directories that tests put people into: a branch of the server's tree for each test."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any, Self

import ldap3

from tests.cloud import Local
from tests.identity.people import make_domain
from tests.servers.slapd import Slapd

_numbers = count(1)


class Tree:
    """A branch with users and groups, and a domain's configuration that leads to it."""

    def __init__(self, server: Slapd) -> None:
        self.server, self.name = server, f"tree{next(_numbers)}"
        self.base = f"ou={self.name},{server.suffix}"
        self.users, self.groups = f"ou=Users,{self.base}", f"ou=UserGroups,{self.base}"
        self.connection = ldap3.Connection(
            ldap3.Server(server.url), server.admin_dn, server.admin_password, auto_bind=True
        )
        for dn in (self.base, self.users, self.groups):
            self._did(self.connection.add(dn, "organizationalUnit"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.unbind()

    def dn(self, uid: str) -> str:
        return f"uid={ldap3.utils.dn.escape_rdn(uid)},{self.users}"

    def password(self, uid: str) -> str:
        return f"{uid}-secret"

    def add(self, uid: str, **attributes: Any) -> str:
        """A user; its name is its uid, and so is its key. None leaves an attribute out."""
        given = {"cn": uid, "sn": uid, "userPassword": self.password(uid), **attributes}
        given = {name: value for name, value in given.items() if value is not None}
        self._did(self.connection.add(self.dn(uid), "inetOrgPerson", given))
        return uid

    def add_group(self, name: str, *members: str, **attributes: Any) -> None:
        given = {"member": [self.dn(uid) for uid in members], **attributes}
        self._did(self.connection.add(f"cn={name},{self.groups}", "groupOfNames", given))

    def set(self, uid: str, **attributes: Any) -> None:
        """Replace attributes of a user; none is left of one without values."""
        self._modify(self.dn(uid), attributes)

    def set_members(self, group: str, *members: str) -> None:
        self._modify(f"cn={group},{self.groups}", {"member": [self.dn(uid) for uid in members]})

    def rename(self, uid: str, new: str) -> None:
        self._did(self.connection.modify_dn(self.dn(uid), f"uid={new}"))

    def remove(self, uid: str) -> None:
        self._did(self.connection.delete(self.dn(uid)))

    def config(self, **options: Any) -> dict[str, Any]:
        """A domain's configuration that leads here."""
        here = {
            "url": self.server.url,
            "user": self.server.admin_dn,
            "password": self.server.admin_password,
            "suffix": self.base,
            "user_id_attribute": "uid",
            "user_name_attribute": "uid",
            "user_enabled_attribute": "employeeType",
            "group_name_attribute": "cn",
        }
        return {"identity": {"driver": "ldap"}, "ldap": {**here, **options}}

    def _modify(self, dn: str, attributes: Mapping[str, Any]) -> None:
        changes = {
            name: [(ldap3.MODIFY_REPLACE, [] if value is None else value)]
            for name, value in attributes.items()
        }
        self._did(self.connection.modify(dn, changes))

    def _did(self, success: bool) -> None:
        assert success, self.connection.result


class Silence:
    """A server that takes connections and never says anything."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.taken: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    @property
    def visits(self) -> int:
        return len(self.taken)

    def _take(self) -> None:
        while True:
            try:
                self.taken.append(self.listener.accept()[0])
            except OSError:
                return


@contextmanager
def silence() -> Iterator[Silence]:
    server = Silence()
    try:
        yield server
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        for each in (server.listener, *server.taken):
            each.close()


def domain_with(local: Local, config: Mapping[str, Any]) -> tuple[str, str]:
    """The id and the name of a new domain with this configuration."""
    name = f"directory{next(_numbers)}"
    domain_id = make_domain(local, name)
    local.admin.put(f"/domains/{domain_id}/config", {"config": config}, status=201)
    return domain_id, name


def configure(local: Local, domain_id: str, **options: Any) -> None:
    """Change options of the domain's directory."""
    local.admin.patch(f"/domains/{domain_id}/config", {"config": {"ldap": options}})


def users(local: Local, domain_id: str) -> dict[str, Any]:
    """A domain's users by name, as a list shows them."""
    listed = local.admin.get(f"/users?domain_id={domain_id}")["users"]
    return {user["name"]: user for user in listed}


def groups(local: Local, domain_id: str) -> dict[str, Any]:
    """A domain's groups by name, as a list shows them."""
    listed = local.admin.get(f"/groups?domain_id={domain_id}")["groups"]
    return {group["name"]: group for group in listed}
