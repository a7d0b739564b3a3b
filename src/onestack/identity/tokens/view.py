"""The token as clients see it."""

from typing import Any

from onestack.core.shapes import UNSET, Shape, UnsetType, field


class Reference(Shape):
    """An id with its name."""

    id: str
    name: str


class Scoped(Shape):
    """A user or project with its domain."""

    id: str
    name: str
    domain: Reference


class TokenUser(Scoped):
    """The user a token is of."""

    password_expires_at: str | None = None
    federation: dict[str, Any] | UnsetType = field(default=UNSET, name="OS-FEDERATION")


class TokenView(Shape):
    """A token."""

    methods: list[str]
    user: TokenUser
    audit_ids: list[str]
    expires_at: str
    issued_at: str
    project: Scoped | UnsetType = UNSET
    is_domain: bool | UnsetType = UNSET
    domain: Reference | UnsetType = UNSET
    system: dict[str, bool] | UnsetType = UNSET
    roles: list[Reference] | UnsetType = UNSET
    catalog: list[dict[str, Any]] | UnsetType = UNSET
    service_providers: list[dict[str, str]] | UnsetType = UNSET
    trust: dict[str, Any] | UnsetType = field(default=UNSET, name="OS-TRUST:trust")
    application_credential: dict[str, Any] | UnsetType = UNSET
    oauth1: dict[str, str] | UnsetType = field(default=UNSET, name="OS-OAUTH1")
    oauth2_credential: dict[str, Any] | UnsetType = UNSET
