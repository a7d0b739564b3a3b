"""What an operation knows of the request that it answers: who asks, in which version, for what."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import parse_qsl

import msgspec
from sqlalchemy import Select
from sqlalchemy.orm import Session

from onestack.core import conditions
from onestack.core.db import Database
from onestack.core.errors import BadRequest, Forbidden, Unauthorized
from onestack.core.policy import Policy, Rule
from onestack.core.shapes import Version
from onestack.core.streams import Upload

T = TypeVar("T")

AUTHORITY = re.compile(r"[A-Za-z0-9._~:\[\]-]{1,255}")


class Cloud:
    """What the composition root wired together, by type."""

    def __init__(self, *parts: object) -> None:
        self._parts: dict[type, object] = {}
        for part in parts:
            self.put(part)

    def put(self, part: object, kind: type | None = None) -> None:
        self._parts[kind or type(part)] = part

    def get(self, kind: type[T]) -> T:
        return cast(T, self._parts[kind])


class AccessRule(msgspec.Struct, frozen=True):
    """One request that an application credential may make."""

    service: str
    method: str
    path: str


class Caller(msgspec.Struct, frozen=True):
    """Who asks, and with which rights."""

    user_id: str
    user_name: str
    user_domain_id: str
    roles: tuple[tuple[str, str], ...] = ()  # (id, name)
    project_id: str | None = None
    project_domain_id: str | None = None
    domain_id: str | None = None
    is_system: bool = False
    methods: tuple[str, ...] = ()
    audit_ids: tuple[str, ...] = ()
    expires_at: dt.datetime = dt.datetime.max
    trust_id: str | None = None
    trustor_id: str | None = None
    trustee_id: str | None = None
    application_credential_id: str | None = None
    is_restricted: bool = False
    access_rules: tuple[AccessRule, ...] | None = None
    access_token_id: str | None = None
    credentials: Mapping[str, object] = {}

    @property
    def scope(self) -> str:
        if self.is_system:
            return "system"
        return "domain" if self.domain_id else "project" if self.project_id else "none"

    @property
    def role_names(self) -> frozenset[str]:
        return frozenset(name for _, name in self.roles)


def credentials_of(caller: Caller) -> dict[str, object]:
    """The caller as policy rules name their attributes."""
    return {
        "user_id": caller.user_id,
        "user_domain_id": caller.user_domain_id,
        "project_id": caller.project_id,
        "tenant_id": caller.project_id,
        "project_domain_id": caller.project_domain_id,
        "domain_id": caller.domain_id,
        "system_scope": "all" if caller.is_system else None,
        "roles": sorted(caller.role_names),
        "trust_id": caller.trust_id,
        "trustor_id": caller.trustor_id,
        "trustee_id": caller.trustee_id,
        "application_credential_id": caller.application_credential_id,
        "user_name": caller.user_name,
        "is_admin": "admin" in caller.role_names,
        "is_admin_project": True,
        "token.project.domain.id": caller.project_domain_id,
    }


class Authenticator(Protocol):
    """Turns a token into the caller that it stands for."""

    def authenticate(self, token: str) -> Caller: ...


class AuthenticatorSlot:
    """The place in the cloud where the identity service's authenticator is put."""

    def __init__(self, authenticator: Authenticator) -> None:
        self.authenticate = authenticator.authenticate


class Request:
    """An HTTP request, read whole; but for a stream's body, which its operation reads."""

    __slots__ = (
        "_base_url",
        "body",
        "client",
        "headers",
        "method",
        "path",
        "query_string",
        "root",
        "stream",
    )

    stream: Upload  # of an operation that streams

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a request, each of them plain
        self, method: str, path: str, query_string: str, headers: dict[str, str],
        body: bytes = b"", client: str = "", root: str = "",
    ) -> None:  # fmt: skip
        self.method, self.path, self.query_string = method, path, query_string
        self.headers, self.body, self.client, self.root = headers, body, client, root
        self._base_url = ""

    def again(self, client: str) -> "Request":
        """The same request as another comes, without a body, from that client."""
        return Request(
            self.method, self.path, self.query_string, self.headers, client=client, root=self.root
        )

    def query(self) -> dict[str, list[str]]:
        """The query string's values by name."""
        values: dict[str, list[str]] = {}
        try:
            pairs = parse_qsl(
                self.query_string, keep_blank_values=True, errors="strict", max_num_fields=200
            )
        except ValueError as error:
            raise BadRequest(f"Invalid query string: {error}") from None
        for name, value in pairs:
            values.setdefault(name, []).append(value)
        return values

    @property
    def token(self) -> str | None:
        """The token that the request is made with, in OpenStack's header or in OAuth 2.0's."""
        token = self.headers.get("x-auth-token")
        if token is not None:
            return token
        scheme, _, bearer = self.headers.get("authorization", "").partition(" ")
        return bearer.strip() if scheme.lower() == "bearer" else None

    @property
    def content_type(self) -> str:
        """Of which media type the body says that it is, without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def base_url(self) -> str:
        """Where the client found us: scheme and authority."""
        if not self._base_url:
            scheme = self.headers.get("x-forwarded-proto", "http")
            host = self.headers.get("x-forwarded-host") or self.headers.get("host", "")
            host = host.partition(",")[0].strip()
            host = host if AUTHORITY.fullmatch(host) else "localhost"
            self._base_url = f"{'https' if scheme == 'https' else 'http'}://{host}"
        return self._base_url

    @property
    def url(self) -> str:
        query = f"?{self.query_string}" if self.query_string else ""
        return f"{self.base_url}{self.path}{query}"


class Context:
    """The request at hand, as an operation sees it."""

    def __init__(
        self, cloud: Cloud, request: Request, rule: Rule, request_id: str, version: Version
    ) -> None:
        self.cloud, self.request, self.rule = cloud, request, rule
        self.request_id, self.version = request_id, version
        self.parameters: Mapping[str, str] = {}
        self.path_project_id: str | None = None  # where the path names it: the caller's own
        self.headers: dict[str, str] = {}  # what the answer carries besides its body
        self.decided = self._may_anything = False
        self._caller: Caller | None = None
        self._session: Session | None = None
        self.writes = True
        self.has_committed = False

    @property
    def caller(self) -> Caller:
        """Who asks; only where the operation demands a token."""
        if self._caller is None:
            raise Unauthorized
        return self._caller

    @property
    def anonymous(self) -> bool:
        return self._caller is None

    def identify(self, caller: Caller) -> None:
        self._caller = caller

    @property
    def session(self) -> Session:
        """The request's transaction, begun when first asked for."""
        if self._session is None:
            self._session = self.cloud.get(Database).session(self.writes)
        return self._session

    def release(self) -> None:
        """Commit and let go of the database, before waiting for anything."""
        session, self._session = self._session, None
        if session is not None:
            try:
                session.commit()
                self.has_committed = True
            finally:
                session.close()

    def abandon(self) -> None:
        """Undo whatever the transaction at hand did."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def check_released(self) -> None:
        """Refuse to wait for a client while holding what others wait for."""
        if self._session is not None:
            raise RuntimeError("a body is read while the database is held; call ctx.release()")

    def check_match(self, etag: str | None) -> None:
        """Refuse a change whose conditions do not hold of what is there; None: nothing is."""
        conditions.check_match(self.request.headers, etag)

    @property
    def policy(self) -> Policy:
        return self.cloud.get(Policy)

    def precheck(self) -> None:
        """Decide by the caller alone where the rule allows it; refuse at once where it can."""
        scope = "project" if self.caller.scope == "none" else self.caller.scope
        if scope not in self.rule.scopes:
            raise self._refusal(self.rule)
        verdict = self.policy.decide(self.rule.name, self.caller.credentials, None)
        if verdict is False:
            raise self._refusal(self.rule)
        self.decided = self._may_anything = verdict is True

    def allow(self, target: object = None, *, rule: Rule | None = None, **named: object) -> None:
        """Refuse unless the operation's rule, or another one, lets the caller do this to the
        target."""
        if self._may_anything and rule is None:
            return  # whatever the target is, as `precheck` found
        judged = rule or self.rule
        subject = _Target(target, named, self.parameters)
        self.decided = True
        if self.policy.decide(judged.name, self.caller.credentials, subject) is not True:
            raise self._refusal(judged, subject)

    def visible(self, statement: Select[Any], columns: Mapping[str, Any]) -> Select[Any]:
        """The statement, cut to the rows that the rule lets the caller see."""
        self.decided = True
        condition = self.policy.where(self.rule.name, self.caller.credentials, columns)
        return statement.where(condition)

    def _refusal(self, rule: Rule, subject: "_Target | None" = None) -> Forbidden:
        error = Forbidden(action=rule.name)
        reasons = self.policy.explain(rule.name, self.caller.credentials, subject)
        if reasons:
            error.hint = "; ".join(reasons)
        return error


class _Target:
    """What an operation is done to, by the dotted names that rules use."""

    __slots__ = ("named", "parameters", "target")

    def __init__(
        self, target: object, named: Mapping[str, object], parameters: Mapping[str, str]
    ) -> None:
        self.target, self.named, self.parameters = target, named, parameters

    def get(self, name: str) -> object:
        head, _, rest = name.partition(".")
        if head == "target" and rest:
            head, _, rest = rest.partition(".")
        if head in self.named:
            return _attribute(self.named[head], rest) if rest else self.named[head]
        if self.target is not None and _has(self.target, head):
            value = _attribute(self.target, head)
            return _attribute(value, rest) if rest else value
        if not rest and head in self.parameters:
            return self.parameters[head]
        raise KeyError(name)


def _has(value: object, name: str) -> bool:
    return name in value if isinstance(value, Mapping) else hasattr(value, name)


def _attribute(value: object, path: str) -> object:
    for name in path.split("."):
        if not _has(value, name):
            raise KeyError(path)
        value = value[name] if isinstance(value, Mapping) else getattr(value, name)
    return value
