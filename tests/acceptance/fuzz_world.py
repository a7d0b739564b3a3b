"""What fuzzing needs beside odd input: an administrator to spare, real ids, and a judge."""

import json
import random
import re
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

from fuzz_resources import ATTRIBUTES, GIVEN, MENDS, QUOTAS, WORDS, Step, id_in, kinds_of, steps_for

from cloud import Account, Cloud, Document, Refused

SLOW_S = 5.0
READY_S = 20.0
KEPT_MAX = 20
CHECKED_EVERY = 150
FILLED_MAX = 5
LEAKS = re.compile(rb'Traceback \(|sqlalchemy|sqlite3?\b|psycopg|File \\?"/|site-packages', re.I)

# What the cloud needs to stay itself; generated requests learn these ids from its answers.
PROTECTED_LISTS = ("users", "projects", "domains", "roles", "services", "endpoints", "regions")
PROVIDERS = "/placement/resource_providers"  # hosts, whose inventories servers need
PROTECTED_NAMES = ("admin", "Default")
MADE_UP = "0" * 32


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
    """A throw-away administrator and one resource of each kind that a service works with.

    Whatever the odd requests do to the administrator, the real one makes a new one.
    """

    def __init__(self, account: Account, service: str) -> None:
        self._real = Cloud(account)
        self._real.sign_in()
        self.service = service
        parts = urlsplit(account.identity_url)
        self._base = f"{parts.scheme}://{parts.netloc}"
        self.protected: set[str] = set()
        self.ids: dict[str, str] = {"consumer": str(uuid4()), **GIVEN}
        self._steps = steps_for(service)
        self._places: dict[str, str] = {}
        self._made: list[str] = []
        self._by_requests: deque[str] = deque()
        self._calls = 0
        self.administrator: Cloud
        self._protect()
        own = {"own": self._real.token_document["project"]["id"]}
        for step in QUOTAS:
            path, body = step.filled(own, "")
            self._real.request("PUT", self._base + path, body, expected=(200,))
            self._made.append(path)
        try:
            for step in self._steps:
                self._run(step)
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
        answer = self._real.identity("POST", "/users", {"user": user}, expected=(201,))
        user_id = answer.document()["user"]["id"]
        self._made.append(f"/identity/v3/users/{user_id}")
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

    def aim(self, template: str, values: Document, chance: random.Random) -> None:
        """Put real ids into a path, in three of four places."""
        for name, kind in kinds_of(self.service, template).items():
            if name in values and kind in self.ids and chance.random() < 0.75:
                values[name] = self.ids[kind]
        for name in values:
            if name in WORDS and chance.random() < 0.5:
                values[name] = chance.choice(WORDS[name])

    def fill(self, values: Any, chance: random.Random) -> None:
        """Put real ids where ids are asked for, and words that mean something, in half of the
        places."""
        if isinstance(values, list):
            for value in values[:FILLED_MAX]:
                self.fill(value, chance)
        if not isinstance(values, dict):
            return
        for name, value in values.items():
            kind = ATTRIBUTES.get(name)
            if kind in self.ids and chance.random() < 0.5:
                values[name] = self.ids[kind]
            elif name in WORDS and chance.random() < 0.5:
                values[name] = chance.choice(WORDS[name])
            else:
                self.fill(value, chance)

    def doom(self, template: str, values: Document) -> None:
        """Let a path that deletes name something new, that nobody needs."""
        kinds = kinds_of(self.service, template)
        if not template.endswith("}") or not kinds:
            return
        name, kind = list(kinds.items())[-1]
        for step in self._steps:
            if step.kind == kind and step.makes and step.service == self.service:
                values.update({each: self.ids[of] for each, of in kinds.items() if of in self.ids})
                values[name] = self._doomed(step) or MADE_UP

    def _doomed(self, step: Step) -> str:
        """One more of a kind, which is removed in a while if no odd request does it."""
        before = self._places.get(step.kind)
        found = self._ask(step)
        if found:
            self._by_requests.append(self._made.pop())
            self._places[step.kind] = before or ""
        return found

    def spare(self, values: Document, is_deleted: bool) -> None:
        """Take away the ids of what must survive, from a request that may change it."""
        kept = self.protected | set(self.ids.values()) if is_deleted else self.protected
        for name, value in values.items():
            if isinstance(value, dict):
                self.spare(value, is_deleted)
            elif isinstance(value, str) and value in kept:
                kind = ATTRIBUTES.get(name, "")
                values[name] = MADE_UP if is_deleted else self.ids.get(kind, MADE_UP)

    def path(self, template: str) -> str:
        """A route with real ids, and with a made-up one where the world has none."""
        kinds = kinds_of(self.service, template)
        return re.sub(
            r"\{(\w+)\}", lambda found: self.ids.get(kinds.get(found[1], ""), MADE_UP), template
        )

    def note(self, path: str, content: bytes) -> None:
        """Remember what an odd request has made, and remove the oldest of many."""
        with suppress(ValueError, AttributeError):
            document = json.loads(content)
            for value in (document, *document.values()):
                for each in value if isinstance(value, list) else [value]:
                    if isinstance(each, dict) and isinstance(each.get("id"), str):
                        self._by_requests.append(f"{path}/{quote(each['id'])}")
        while len(self._by_requests) > KEPT_MAX:
            self._remove(self._by_requests.popleft())

    def keep_up(self) -> None:
        """Every now and then, make again what odd requests have taken apart."""
        self._calls += 1
        if self._calls % CHECKED_EVERY:
            return
        if self._real.identity("GET", "/auth/catalog").status == 401:
            self._real.sign_in()
        for step in MENDS:
            if step.service == self.service and step.kind in self.ids:
                self._ask(step)
        renewed: set[str] = set()
        for step in self._steps:
            if step.service != self.service:
                continue
            is_behind = step.kind in renewed and not step.makes
            if is_behind or (step.makes and not self._is_sound(step)):
                self._run(step, is_expected=False)
                renewed.add(step.kind)

    def clean(self) -> None:
        """Remove what was made; odd requests may have removed some of it already."""
        self._real.sign_in()
        if "domain" in self.ids:
            disabled = {"domain": {"enabled": False}}
            self._real.identity("PATCH", f"/domains/{self.ids['domain']}", disabled)
        for path in (*reversed(self._by_requests), *reversed(self._made)):
            self._remove(path)

    def _protect(self) -> None:
        for noun in PROTECTED_LISTS:
            answer = self._real.identity("GET", f"/{noun}", expected=(200,)).document()
            self.protected |= {each["id"] for each in answer[noun]}
        url = self._base + PROVIDERS
        answer = self._real.request("GET", url, expected=(200,)).document()
        self.protected |= {each["uuid"] for each in answer["resource_providers"]}
        user = self._real.token_document["user"]
        self.protected |= {user["name"], *PROTECTED_NAMES}

    def _run(self, step: Step, *, is_expected: bool = True) -> None:
        """Carry out a step of building the world, and wait until what it makes is ready."""
        found = self._ask(step, is_expected=is_expected)
        if not found:
            return
        self.ids[step.kind] = found
        deadline = time.monotonic() + READY_S
        while step.until and self._status(step) != step.until and time.monotonic() < deadline:
            time.sleep(0.05)

    def _ask(self, step: Step, *, is_expected: bool = False) -> str:
        """Send a step's request; the id in its answer, if it has one."""
        path, body = step.filled(self.ids, token_hex(4))
        headers = {"Content-Type": step.content_type}
        if step.version:
            headers["OpenStack-API-Version"] = step.version
        answer = self._real.request(step.method, self._base + path, body, headers)
        if answer.status >= 300:
            if is_expected:
                raise Refused(f"{step.method} {path}: {answer.status} {answer.body[:400]!r}")
            return ""
        if not step.found_at:
            return ""
        found = id_in(answer.document(), step.found_at)
        if step.makes:
            self._places[step.kind] = f"{path}/{found}"
            self._made.append(f"{path}/{found}")
        return found

    def _status(self, step: Step) -> str:
        headers = {"OpenStack-API-Version": step.version} if step.version else {}
        url = self._base + self._places[step.kind]
        answer = self._real.request("GET", url, headers=headers)
        if answer.status != 200:
            return "gone"
        return id_in(answer.document(), f"{step.noun}.status") if step.until else ""

    def _is_sound(self, step: Step) -> bool:
        status = self._status(step)
        return status != "gone" and (not step.until or status in (step.until, "in-use"))

    def _remove(self, path: str) -> None:
        with suppress(OSError, HTTPException):
            self._real.request("DELETE", self._base + path)
