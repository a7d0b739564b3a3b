"""Application credentials as clients see them."""

from typing import Any

from onestack.core.context import Context
from onestack.core.moments import precise
from onestack.core.shapes import UNSET, Shape, UnsetType
from onestack.identity.application_credentials.record import ApplicationCredentialRecord
from onestack.identity.style import links


class ApplicationCredentialView(Shape):
    """An application credential; its secret is shown once, to the one who makes it."""

    id: str
    name: str
    description: str | None
    project_id: str
    user_id: str
    roles: list[dict[str, Any]]
    expires_at: str | None
    unrestricted: bool
    links: dict[str, str]
    access_rules: list[dict[str, str]] | UnsetType = UNSET
    secret: str | UnsetType = UNSET


def view(ctx: Context, record: ApplicationCredentialRecord) -> ApplicationCredentialView:
    """An application credential as clients see it."""
    ends_at = record.expires_at
    shown = ApplicationCredentialView(
        id=record.id,
        name=record.name,
        description=record.description,
        project_id=record.project_id,
        user_id=record.user_id,
        roles=[
            {"id": role.id, "name": role.name, "domain_id": role.domain_id or None}
            for role in record.roles
        ],
        # Clients compare it with what they sent, which has no zone.
        expires_at=precise(ends_at),
        unrestricted=record.unrestricted,
        links=dict(links(ctx, f"users/{record.user_id}/application_credentials/{record.id}")),
    )
    if record.has_access_rules:
        shown.access_rules = [
            {"id": rule.id, "service": rule.service, "path": rule.path, "method": rule.method}
            for rule in record.access_rules
        ]
    return shown
