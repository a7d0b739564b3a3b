"""Domains, projects, users, groups and roles for tests of who may do what."""

from typing import Any

from tests.cloud import As, Local

PASSWORD = "stage-Password-1"


class Stage:
    """A domain of the test's own, and whoever acts in it."""

    def __init__(self, local: Local, name: str) -> None:
        self.local, self.name = local, name
        self.count = 0
        self.domain: str = self._made("domain", {"name": self._unique("domain")})
        self.roles: dict[str, str] = {
            role["name"]: role["id"] for role in local.admin.get("/roles")["roles"]
        }

    def project(self, parent: str | None = None, domain: str | None = None) -> str:
        body = {"name": self._unique("project"), "domain_id": domain or self.domain}
        return self._made("project", body | ({"parent_id": parent} if parent else {}))

    def user(self, domain: str | None = None) -> str:
        body = {"name": self._unique("user"), "password": PASSWORD}
        return self._made("user", body | {"domain_id": domain or self.domain})

    def group(self, *members: str, domain: str | None = None) -> str:
        body = {"name": self._unique("group"), "domain_id": domain or self.domain}
        group_id = self._made("group", body)
        for member in members:
            self.local.admin.put(f"/groups/{group_id}/users/{member}")
        return group_id

    def role(self, domain: str | None = None, **more: Any) -> str:
        return self._made("role", {"name": self._unique("role"), "domain_id": domain, **more})

    def give(self, role: str, actor: str, target: str, *, inherited: bool = False) -> str:
        """Grant a role, by paths such as `users/ID` and `projects/ID`; the grant's own path."""
        path = f"/{target}/{actor}/roles/{self.roles.get(role, role)}"
        path = f"/OS-INHERIT{path}/inherited_to_projects" if inherited else path
        self.local.admin.put(path)
        return path

    def token(self, user: str, **scope: Any) -> str:
        """A token of a user made here, for a scope such as project={"id": ...}."""
        answer = self.login(user, **scope)
        assert answer.status == 201, answer
        return answer.headers["x-subject-token"]

    def login(self, user: str, **scope: Any) -> Any:
        who = {"id": user, "password": PASSWORD}
        identity = {"methods": ["password"], "password": {"user": who}}
        auth = {"identity": identity} | ({"scope": scope} if scope else {})
        return self.local.ask("POST", "/identity/v3/auth/tokens", {"auth": auth})

    def acting(self, role: str, target: str) -> As:
        """A new user with one role on a target such as `projects/ID`, signed in for it."""
        user = self.user()
        self.give(role, f"users/{user}", target)
        kind, _, target_id = target.partition("/")
        scope: dict[str, Any] = {"system": {"all": True}}
        if kind != "system":
            scope = {kind.removesuffix("s"): {"id": target_id}}
        return As(self.local, self.token(user, **scope))

    def _unique(self, kind: str) -> str:
        self.count += 1
        return f"{self.name}-{kind}-{self.count}"

    def _made(self, kind: str, body: dict[str, Any]) -> str:
        made_id: str = self.local.admin.post(f"/{kind}s", {kind: body})[kind]["id"]
        return made_id
