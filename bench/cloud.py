"""Sign in to any OpenStack cloud and find its endpoints."""

import http.client
import json
import os
import ssl
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

Document = dict[str, Any]

CLOUDS_FILES = (
    Path("clouds.yaml"),
    Path("~/.config/openstack/clouds.yaml").expanduser(),
    Path("/etc/openstack/clouds.yaml"),
)


class NoCloud(Exception):
    """Neither the environment nor clouds.yaml says where the cloud is."""


class Refused(Exception):
    """The cloud answered with a status that the caller did not expect."""


@dataclass(frozen=True)
class Account:
    """Who signs in, and where."""

    auth_url: str
    username: str
    password: str = field(repr=False)
    project_name: str
    user_domain: Mapping[str, str] = field(default_factory=lambda: {"name": "Default"})
    project_domain: Mapping[str, str] = field(default_factory=lambda: {"name": "Default"})
    region_name: str | None = None
    ca_file: str | None = None
    is_verified: bool = True

    @property
    def identity_url(self) -> str:
        """The version 3 endpoint, whichever form the authentication URL has."""
        trimmed = self.auth_url.rstrip("/")
        return trimmed if trimmed.endswith("/v3") else trimmed + "/v3"

    def sign_in_body(self) -> Document:
        """What POST /v3/auth/tokens takes for a token of the account's project."""
        user = {
            "name": self.username,
            "domain": dict(self.user_domain),
            "password": self.password,
        }
        project = {"name": self.project_name, "domain": dict(self.project_domain)}
        return {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": project},
            }
        }

    def environment(self) -> dict[str, str]:
        """The same as OS_* variables, for the programs of others."""
        shown = {
            "OS_AUTH_URL": self.identity_url,
            "OS_USERNAME": self.username,
            "OS_PASSWORD": self.password,
            "OS_PROJECT_NAME": self.project_name,
            "OS_IDENTITY_API_VERSION": "3",
        }
        for owner, domain in (("USER", self.user_domain), ("PROJECT", self.project_domain)):
            shown.update({f"OS_{owner}_DOMAIN_{key.upper()}": each for key, each in domain.items()})
        if self.region_name:
            shown["OS_REGION_NAME"] = self.region_name
        if self.ca_file:
            shown["OS_CACERT"] = self.ca_file
        return shown


def account_from_variables(variables: Mapping[str, str]) -> Account:
    """The account that OS_* variables describe."""
    missing = [name for name in ("OS_AUTH_URL", "OS_PASSWORD") if not variables.get(name)]
    if missing:
        raise NoCloud(f"{' and '.join(missing)} not set")
    return Account(
        auth_url=variables["OS_AUTH_URL"],
        username=variables.get("OS_USERNAME", "admin"),
        password=variables["OS_PASSWORD"],
        project_name=variables.get("OS_PROJECT_NAME", "admin"),
        user_domain=_domain(variables, "OS_USER_DOMAIN_"),
        project_domain=_domain(variables, "OS_PROJECT_DOMAIN_"),
        region_name=variables.get("OS_REGION_NAME"),
        ca_file=variables.get("OS_CACERT"),
        is_verified=variables.get("OS_INSECURE", "").lower() not in {"1", "true"},
    )


def account_from_clouds_file(name: str) -> Account:
    """The account that clouds.yaml has under a name."""
    named = os.environ.get("OS_CLIENT_CONFIG_FILE")
    files = (Path(named),) if named else CLOUDS_FILES
    for path in files:
        if not path.is_file():
            continue
        clouds = (yaml.safe_load(path.read_text()) or {}).get("clouds", {})
        if name in clouds:
            return _account_from_entry(clouds[name])
    raise NoCloud(f"no cloud {name!r} in {', '.join(map(str, files))}")


def account_from_openrc(path: Path) -> Account:
    """The account that a file of `export OS_...=...` lines describes."""
    variables: dict[str, str] = {}
    for line in path.read_text().splitlines():
        name, found, value = line.removeprefix("export ").partition("=")
        if found and name.startswith("OS_"):
            variables[name] = value.strip().strip("'\"")
    return account_from_variables(variables)


def add_arguments(parser: ArgumentParser) -> None:
    """The option that says which cloud; without it the OS_* variables do."""
    parser.add_argument("--cloud", help="name in clouds.yaml (default: the OS_* variables)")


def account_from_arguments(arguments: Namespace) -> Account:
    """The account that the command line or the environment names; ends the program without one."""
    name = arguments.cloud or os.environ.get("OS_CLOUD")
    try:
        return account_from_clouds_file(name) if name else account_from_variables(os.environ)
    except NoCloud as error:
        raise SystemExit(
            f"which cloud? {error}; name one with --cloud or OS_* variables"
        ) from error


@dataclass(frozen=True)
class Answer:
    """What the cloud answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    def document(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.body)


class Cloud:
    """A signed-in account; a connection to each host is kept."""

    def __init__(self, account: Account, timeout_s: float = 60) -> None:
        self.account = account
        self.timeout_s = timeout_s
        self.token = ""
        self.token_document: Document = {}
        self._connections: dict[tuple[str, str], http.client.HTTPConnection] = {}

    def sign_in(self) -> None:
        """Fetch a token for the account's project."""
        url = self.account.identity_url + "/auth/tokens"
        answer = self.request("POST", url, self.account.sign_in_body(), expected=(201,))
        self.token = answer.headers["x-subject-token"]
        self.token_document = answer.document()["token"]

    def endpoint(self, service_type: str, interface: str = "public") -> str | None:
        """A service's URL from the catalog."""
        for service in self.token_document.get("catalog", []):
            if service["type"] != service_type:
                continue
            for endpoint in service["endpoints"]:
                is_here = self.account.region_name in (None, endpoint["region"])
                if endpoint["interface"] == interface and is_here:
                    return str(endpoint["url"]).rstrip("/")
        return None

    def identity(
        self, method: str, path: str, body: Document | None = None, expected: tuple[int, ...] = ()
    ) -> Answer:
        """A call of the identity service, below /v3."""
        return self.request(method, self.account.identity_url + path, body, expected=expected)

    def request(
        self,
        method: str,
        url: str,
        body: Document | None = None,
        headers: Mapping[str, str] | None = None,
        expected: tuple[int, ...] = (),
    ) -> Answer:
        """One call; a status outside `expected` (when given) raises."""
        sent = {"X-Auth-Token": self.token} if self.token else {}
        sent.update(headers or {})
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        answer = self._send(method, url, content, sent)
        if expected and answer.status not in expected:
            raise Refused(f"{method} {url}: {answer.status} {answer.body[:400]!r}")
        return answer

    def _send(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        key = (parts.scheme, parts.netloc)
        kept = self._connections.pop(key, None)
        try:
            connection = kept or self._connect(parts.scheme, parts.netloc)
            answer = _exchange(connection, method, target, content, headers)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            if kept is None:
                raise
            # The server may have closed a kept connection in the meantime.
            connection = self._connect(parts.scheme, parts.netloc)
            answer = _exchange(connection, method, target, content, headers)
        self._connections[key] = connection
        return answer

    def _connect(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        if scheme == "https":
            context = tls_context(self.account)
            return http.client.HTTPSConnection(netloc, timeout=self.timeout_s, context=context)
        return http.client.HTTPConnection(netloc, timeout=self.timeout_s)


def tls_context(account: Account) -> ssl.SSLContext:
    """How the account wants certificates to be judged."""
    context = ssl.create_default_context(cafile=account.ca_file)
    if not account.is_verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def wait_until_up(url: str, limit_s: float) -> bool:
    """Wait until something answers HTTP at a URL."""
    parts = urlsplit(url)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(parts.netloc, timeout=2)
        try:
            connection.request("GET", parts.path or "/")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.01)
        else:
            return True
        finally:
            connection.close()
    return False


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    content: bytes | None,
    headers: Mapping[str, str],
) -> Answer:
    connection.request(method, target, content, dict(headers))
    response = connection.getresponse()
    found = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, found, response.read())


def _domain(variables: Mapping[str, str], prefix: str) -> dict[str, str]:
    """A domain by name or by id, whichever is given; upper or lower case as the prefix is."""
    for key in ("name", "id"):
        name = prefix + (key.upper() if prefix.isupper() else key)
        if variables.get(name):
            return {key: variables[name]}
    return {"name": "Default"}


def _account_from_entry(entry: Document) -> Account:
    auth = entry["auth"]
    region = entry.get("region_name")
    return Account(
        auth_url=auth["auth_url"],
        username=auth["username"],
        password=auth["password"],
        project_name=auth.get("project_name", "admin"),
        user_domain=_domain(auth, "user_domain_"),
        project_domain=_domain(auth, "project_domain_"),
        region_name=region if isinstance(region, str) else None,
        ca_file=entry.get("cacert"),
        is_verified=bool(entry.get("verify", True)),
    )
