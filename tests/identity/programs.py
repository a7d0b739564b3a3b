"""Users with a project of their own, and the programs that act for them."""

import base64
import json
from typing import Any

from onestack.core import clock
from onestack.identity.auth.totp import counter, passcode
from tests.cloud import Answer, As, Local
from tests.identity.people import PASSWORD, being, make_user, role_id

SECRET = base64.b32encode(b"12345678901234567890").decode()


class Person:
    """A user with roles on a project, signed in for it."""

    def __init__(self, local: Local, name: str, roles: tuple[str, ...] = ("member",)) -> None:
        self.local, self.name = local, name
        self.user = make_user(local, name)
        self.id: str = self.user["id"]
        body = {"name": name, "domain_id": "default"}
        self.project: str = local.admin.post("/projects", {"project": body})["project"]["id"]
        for role in roles:
            self.give(role)

    def give(self, role: str) -> None:
        self.local.admin.put(self._grant(role))

    def take(self, role: str) -> None:
        self.local.admin.delete(self._grant(role))

    @property
    def scope(self) -> dict[str, Any]:
        return {"project": {"id": self.project}}

    @property
    def me(self) -> As:
        """The user, signed in anew."""
        return being(self.local, self.user, scope=self.scope)

    @property
    def by_password(self) -> dict[str, Any]:
        return {"user": {"id": self.id, "password": PASSWORD}}

    def program(self, name: str, caller: As | None = None, **attributes: Any) -> dict[str, Any]:
        """A new application credential of the user's."""
        body = {"application_credential": {"name": name, **attributes}}
        path = f"/users/{self.id}/application_credentials"
        made: dict[str, Any] = (caller or self.me).post(path, body)["application_credential"]
        return made

    def acting(self, program: dict[str, Any]) -> As:
        """The program, signed in."""
        answer = run(self.local, program)
        assert answer.status == 201, answer
        return As(self.local, answer.headers["x-subject-token"])

    def _grant(self, role: str) -> str:
        return f"/projects/{self.project}/users/{self.id}/roles/{role_id(self.local, role)}"


class Holder(Person):
    """A person with a device that shows passcodes."""

    def __init__(self, local: Local, name: str) -> None:
        super().__init__(local, name)
        body = {"user_id": self.id, "type": "totp", "blob": SECRET}
        self.device = self.me.post("/credentials", {"credential": body})["credential"]["id"]

    def must(self, rules: list[list[str]], enabled: bool | None = True) -> None:
        """Put the user under these rules."""
        options: dict[str, Any] = {"multi_factor_auth_rules": rules}
        if enabled is not None:
            options["multi_factor_auth_enabled"] = enabled
        self.local.admin.patch(f"/users/{self.id}", {"user": {"options": options}})

    def code(self, windows_ago: int = 0) -> dict[str, Any]:
        shown = passcode(SECRET, counter(clock.now()) - windows_ago)
        return {"user": {"id": self.id, "passcode": shown}}

    def wrong_code(self) -> dict[str, Any]:
        shown = {passcode(SECRET, counter(clock.now()) + n) for n in (-2, -1, 0, 1)}
        wrong = next(f"{n:06}" for n in range(10) if f"{n:06}" not in shown)
        return {"user": {"id": self.id, "passcode": wrong}}

    def asks(self, *names: str, receipt: str | None = None) -> Answer:
        """What a request with these proofs, all of them right, answers."""
        ways = {"password": self.by_password, "totp": self.code()}
        return authenticate(self.local, {name: ways[name] for name in names}, receipt=receipt)


def authenticate(
    local: Local, proofs: dict[str, Any], scope: Any = None, receipt: str | None = None
) -> Answer:
    """What a request for a token with these proofs answers."""
    auth: dict[str, Any] = {"identity": {"methods": list(proofs), **proofs}}
    if scope is not None:
        auth["scope"] = scope
    headers = {} if receipt is None else {"Openstack-Auth-Receipt": receipt}
    return local.ask("POST", "/identity/v3/auth/tokens", {"auth": auth}, headers=headers)


def run(local: Local, program: dict[str, Any], scope: Any = None) -> Answer:
    """What a program's request for a token answers."""
    proof = {"id": program["id"], "secret": program["secret"]}
    return authenticate(local, {"application_credential": proof}, scope)


def trusted(person: Person, trustee: Person, role: str = "member") -> As:
    """The trustee, acting for the person by a trust."""
    trust = {
        "trustor_user_id": person.id,
        "trustee_user_id": trustee.id,
        "project_id": person.project,
        "impersonation": True,
        "roles": [{"name": role}],
    }
    made = person.me.post("/OS-TRUST/trusts", {"trust": trust})["trust"]
    scope = {"OS-TRUST:trust": {"id": made["id"]}}
    return being(person.local, trustee.user, scope=scope)


def pair(person: Person, who: As | None = None) -> dict[str, Any]:
    """A new key pair of the person's."""
    path = f"/users/{person.id}/credentials/OS-EC2"
    made: dict[str, Any] = (who or person.me).post(path, {"tenant_id": person.project})
    keys: dict[str, Any] = made["credential"]
    return keys


def ec2(person: Person, access: str, **more: Any) -> dict[str, Any]:
    """An EC2 credential to make."""
    blob = json.dumps({"access": access, "secret": "s3cret", **more})
    return {"user_id": person.id, "project_id": person.project, "type": "ec2", "blob": blob}
