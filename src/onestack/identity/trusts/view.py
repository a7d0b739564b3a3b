"""Trusts as clients read them."""

from collections.abc import Sequence
from typing import Annotated, Any

from onestack.core.context import Context
from onestack.core.shapes import UNSET, Extras, Shape, UnsetType, iso
from onestack.identity.roles.record import RoleRecord
from onestack.identity.style import link, links
from onestack.identity.trusts.record import TrustRecord


class TrustView(Shape):
    """A trust; its roles are shown where one trust is."""

    id: str
    trustor_user_id: str
    trustee_user_id: str
    project_id: str | None
    impersonation: bool
    expires_at: str | None
    deleted_at: None
    remaining_uses: int | None
    redelegation_count: int
    links: dict[str, str]
    redelegated_trust_id: str | UnsetType = UNSET
    roles: list[dict[str, Any]] | UnsetType = UNSET
    roles_links: dict[str, str | None] | UnsetType = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


def view(ctx: Context, record: TrustRecord, roles: Sequence[RoleRecord] | None = None) -> TrustView:
    """A trust as clients see it."""
    path = f"OS-TRUST/trusts/{record.id}"
    shown = TrustView(
        id=record.id,
        trustor_user_id=record.trustor_user_id,
        trustee_user_id=record.trustee_user_id,
        project_id=record.project_id,
        impersonation=record.impersonation,
        expires_at=iso(record.expires_at),
        deleted_at=None,
        remaining_uses=record.remaining_uses,
        redelegation_count=record.redelegation_count,
        links=dict(links(ctx, path)),
        redelegated_trust_id=record.redelegated_trust_id or UNSET,
        extra=record.extra,
    )
    if roles is not None:
        shown.roles = [role_view(ctx, role) for role in roles]
        shown.roles_links = {"self": link(ctx, f"{path}/roles"), "next": None, "previous": None}
    return shown


def role_view(ctx: Context, role: RoleRecord) -> dict[str, Any]:
    """A role that a trust lends."""
    return {
        "id": role.id,
        "name": role.name,
        "domain_id": role.domain_id or None,
        "links": links(ctx, f"roles/{role.id}"),
    }
