"""Identity providers for tests, and the web server that speaks for them."""

from typing import Any

from tests.cloud import Answer, As, Local

SECRET = "the-front-end-only-knows-this"
DASHBOARD = "https://dashboard.example/auth/websso/"
SETTINGS = f"""
[identity]
federation_secret = "{SECRET}"
trusted_dashboards = ["{DASHBOARD}"]
"""
ANYBODY = [{"remote": [{"type": "REMOTE_USER"}], "local": [{"user": {"name": "{0}"}}]}]


class Partner:
    """An identity provider with one protocol and one mapping, and its front-end."""

    def __init__(
        self, local: Local, name: str, rules: Any = None, protocol: str = "mapped", **more: Any
    ) -> None:
        self.local, self.name, self.protocol = local, name, protocol
        self.path = f"/OS-FEDERATION/identity_providers/{name}"
        version = more.pop("schema_version", "2.0")
        admin = local.admin
        body = {"rules": rules or ANYBODY, "schema_version": version}
        admin.put(f"/OS-FEDERATION/mappings/{name}", {"mapping": body}, status=201)
        body = {"enabled": True, **more}
        made = admin.put(self.path, {"identity_provider": body}, status=201)
        self.domain_id: str = made["identity_provider"]["domain_id"]
        body = {"protocol": {"mapping_id": name}}
        admin.put(f"{self.path}/protocols/{protocol}", body, status=201)

    def sign_in(self, method: str = "POST", **attributes: str) -> Answer:
        """What the cloud answers to a user of whom the front-end says this."""
        path = f"/identity/v3{self.path}/protocols/{self.protocol}/auth"
        return self.local.ask(method, path, headers=vouched(**attributes))

    def token(self, **attributes: str) -> str:
        """An unscoped token."""
        answer = self.sign_in(**attributes)
        assert answer.status == 201, answer
        return answer.headers["x-subject-token"]

    def patch(self, **changes: Any) -> None:
        self.local.admin.patch(self.path, {"identity_provider": changes})


def vouched(**attributes: str) -> dict[str, str]:
    """The headers of a request that came through the front-end, in bytes as web servers write."""
    headers = {
        f"X-Federation-{name.replace('_', '-')}": value.encode().decode("latin-1")
        for name, value in attributes.items()
    }
    return {"X-Federation-Secret": SECRET, **headers}


def rescope(local: Local, token: str, scope: Any = None) -> Answer:
    """A token for a scope, from an unscoped one."""
    auth: dict[str, Any] = {"identity": {"methods": ["token"], "token": {"id": token}}}
    if scope is not None:
        auth["scope"] = scope
    return local.ask("POST", "/identity/v3/auth/tokens", {"auth": auth})


def authenticate(local: Local, method: str, given: Any, headers: dict[str, str]) -> Answer:
    """A request for a token by one method."""
    auth = {"identity": {"methods": [method], method: given}}
    return local.ask("POST", "/identity/v3/auth/tokens", {"auth": auth}, headers=headers)


def shown(local: Local, token: str, status: int = 200) -> Any:
    """What a token means, as an administrator sees it."""
    answer = local.admin.get("/auth/tokens", status=status, X_Subject_Token=token)
    return answer["token"] if status == 200 else answer


def holder(local: Local, token: str) -> As:
    return As(local, token)
