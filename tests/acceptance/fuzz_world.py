"""What fuzzing needs beside odd input: an administrator to spare, real ids, and a judge."""

import random
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

from cloud import Account, Cloud, Document

SLOW_S = 5.0
LEAKS = re.compile(rb'Traceback \(|sqlalchemy|sqlite3?\b|psycopg|File \\?"/|site-packages', re.I)

# What the cloud needs to stay itself; generated requests learn these ids from its answers.
PROTECTED_LISTS = ("users", "projects", "domains", "roles", "services", "endpoints", "regions")
PROTECTED_NAMES = ("admin", "Default")
MADE_UP = "0" * 32

# Parameters and attributes whose values are ids of a kind that the world has.
KINDS = {
    "user_id": "user",
    "trustor_user_id": "user",
    "trustee_user_id": "user",
    "group_id": "group",
    "project_id": "project",
    "default_project_id": "project",
    "tenant_id": "project",
    "domain_id": "domain",
    "role_id": "role",
    "prior_role_id": "role",
    "implied_role_id": "other_role",
    "region_id": "region",
    "parent_region_id": "region",
    "service_id": "service",
    "endpoint_id": "endpoint",
    "endpoint_group_id": "endpoint_group",
    "policy_id": "policy",
    "credential_id": "credential",
    "registered_limit_id": "registered_limit",
}


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is one that a sound server may give."""

    problem: str

    @property
    def is_sound(self) -> bool:
        """Nothing is wrong with the answer."""
        return not self.problem


def judge(status: int, body: bytes, elapsed_s: float) -> Verdict:
    """Bad input may be refused; it may not break, delay or expose the server."""
    if status >= 500:
        return Verdict(f"status {status}")
    if elapsed_s > SLOW_S:
        return Verdict(f"took {elapsed_s:.1f} s")
    found = LEAKS.search(body)
    if found:
        return Verdict(f"shows internals: {found[0].decode()!r}")
    return Verdict("")


class World:
    """A throw-away administrator and one resource of each kind, in a domain of their own.

    Whatever the odd requests do to the administrator, the real one makes a new one.
    """

    def __init__(self, account: Account) -> None:
        self._real = Cloud(account)
        self._real.sign_in()
        self.protected: set[str] = set()
        self.ids: dict[str, str] = {}
        self._made: list[str] = []
        self.administrator: Cloud
        self._protect()
        try:
            self._build()
            self.renew()
        except BaseException:
            self.clean()
            raise

    def token(self) -> str:
        """A token of the throw-away administrator."""
        return self.administrator.token

    def check_token(self) -> None:
        """After a 401: make sure that the token, and the administrator, still hold."""
        url = self.administrator.account.identity_url + "/auth/tokens"
        subject = {"X-Subject-Token": self.administrator.token}
        if self.administrator.request("GET", url, headers=subject).status != 200:
            self.renew()

    def renew(self) -> None:
        """A new throw-away administrator, with the admin role on the admin project."""
        self._real.sign_in()
        name, password = f"fuzz-{token_hex(4)}", f"Aa1-{token_hex(8)}"
        domain = self._real.token_document["user"]["domain"]
        project = self._real.token_document["project"]
        user = {"name": name, "password": password, "domain_id": domain["id"]}
        user_id = self._make("/users", "user", user)
        self.protected |= {user_id, name}
        roles = self._real.identity("GET", "/roles?name=admin", expected=(200,)).document()
        grant = f"users/{user_id}/roles/{roles['roles'][0]['id']}"
        self._real.identity("PUT", f"/projects/{project['id']}/{grant}", expected=(204,))
        account = Account(
            auth_url=self._real.account.auth_url,
            username=name,
            password=password,
            project_name=project["name"],
            user_domain={"id": domain["id"]},
            project_domain={"id": project["domain"]["id"]},
            ca_file=self._real.account.ca_file,
            is_verified=self._real.account.is_verified,
        )
        self.administrator = Cloud(account)
        self.administrator.sign_in()

    def fill(self, values: Document, chance: random.Random) -> None:
        """Put real ids where ids are asked for, in half of the places."""
        for name, value in values.items():
            kind = KINDS.get(name)
            if kind in self.ids and chance.random() < 0.5:
                values[name] = self.ids[kind]
            elif isinstance(value, dict):
                self.fill(value, chance)

    def spare(self, values: Document, is_deleted: bool) -> None:
        """Take away the ids of what must survive, from a request that may change it."""
        kept = self.protected | set(self.ids.values()) if is_deleted else self.protected
        for name, value in values.items():
            if isinstance(value, dict):
                self.spare(value, is_deleted)
            elif isinstance(value, str) and value in kept:
                kind = KINDS.get(name, "")
                values[name] = MADE_UP if is_deleted else self.ids.get(kind, MADE_UP)

    def path(self, template: str) -> str:
        """A route with real ids, and with a made-up one where the world has none."""
        return re.sub(r"\{(\w+)\}", lambda found: self._id(found[1]), template)

    def clean(self) -> None:
        """Remove what was made; odd requests may have removed some of it already."""
        self._real.sign_in()
        if "domain" in self.ids:
            disabled = {"domain": {"enabled": False}}
            self._real.identity("PATCH", f"/domains/{self.ids['domain']}", disabled)
        for path in reversed(self._made):
            self._real.identity("DELETE", path)

    def _protect(self) -> None:
        for noun in PROTECTED_LISTS:
            answer = self._real.identity("GET", f"/{noun}", expected=(200,)).document()
            self.protected |= {each["id"] for each in answer[noun]}
        user = self._real.token_document["user"]
        self.protected |= {user["name"], *PROTECTED_NAMES}

    def _id(self, parameter: str) -> str:
        return self.ids.get(KINDS.get(parameter, ""), MADE_UP)

    def _build(self) -> None:
        mark = token_hex(4)
        domain = self._note("domain", "/domains", "domain", {"name": f"fuzz-{mark}"})
        name = {"name": f"fuzz-{mark}"}
        here = {**name, "domain_id": domain}
        project = self._note("project", "/projects", "project", here)
        user = self._note("user", "/users", "user", {**here, "password": f"Aa1-{mark}"})
        self._note("group", "/groups", "group", here)
        self._note("role", "/roles", "role", name)
        self._note("other_role", "/roles", "role", {"name": f"fuzz-other-{mark}"})
        region = self._note("region", "/regions", "region", {"description": "fuzz"})
        service = self._note("service", "/services", "service", {**name, "type": f"fuzz-{mark}"})
        where = {"service_id": service, "region_id": region}
        endpoint = {**where, "interface": "public", "url": "http://example.com"}
        self._note("endpoint", "/endpoints", "endpoint", endpoint)
        filtered = {**name, "filters": {"service_id": service}}
        path = "/OS-EP-FILTER/endpoint_groups"
        self._note("endpoint_group", path, "endpoint_group", filtered)
        policy = {"blob": "{}", "type": "application/json"}
        self._note("policy", "/policies", "policy", policy)
        credential = {"user_id": user, "project_id": project, "type": "cert", "blob": "x"}
        self._note("credential", "/credentials", "credential", credential)
        limit = {"service_id": service, "resource_name": f"fuzz-{mark}", "default_limit": 1}
        self._note("registered_limit", "/registered_limits", "registered_limits", [limit])

    def _note(self, kind: str, path: str, key: str, content: Any) -> str:
        # A cloud that has no such noun is fuzzed without.
        if self._real.identity("GET", path).status != 404:
            self.ids[kind] = self._make(path, key, content)
        return self.ids.get(kind, "")

    def _make(self, path: str, key: str, content: Any) -> str:
        answer = self._real.identity("POST", path, {key: content}, expected=(201,))
        made = answer.document()[key]
        made_id = str((made[0] if isinstance(made, list) else made)["id"])
        self._made.append(f"{path}/{made_id}")
        return made_id
