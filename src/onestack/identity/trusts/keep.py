"""Trusts are listed, shown and ended."""

from typing import Any

from sqlalchemy import select

from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.identity import events
from onestack.identity.roles.record import RoleNotFound, RoleRecord
from onestack.identity.rules import ADMIN, READ, either
from onestack.identity.tokens.revocation import revoke
from onestack.identity.trusts.record import TrustRecord, find, roles_of
from onestack.identity.trusts.view import TrustView, role_view, view

api = Operations("trusts")

TRUSTOR = "target.trust.trustor_user_id"
TRUSTEE = "target.trust.trustee_user_id"
PARTIES = either(READ, f"user_id:%({TRUSTOR})s", f"user_id:%({TRUSTEE})s")
ONE = "/v3/OS-TRUST/trusts/{trust_id}"


class TrustQuery(PageQuery):
    """Which trusts to list."""

    trustor_user_id: str | None = None
    trustee_user_id: str | None = None


@api.get("/v3/OS-TRUST/trusts", Rule("identity:list_trusts", PARTIES), key="trusts")
def index(ctx: Context, query: TrustQuery) -> Page[TrustView]:
    """List trusts: of everybody for those who may, of one's own for others."""
    columns = {TRUSTOR: TrustRecord.trustor_user_id, TRUSTEE: TrustRecord.trustee_user_id}
    return page(ctx, ctx.visible(select(TrustRecord), columns), TrustRecord, query, view)


@api.get(ONE, Rule("identity:get_trust", PARTIES), key="trust")
def show(ctx: Context, trust_id: str) -> TrustView:
    """Show a trust, and the roles that it lends."""
    record = find(ctx.session, trust_id)
    ctx.allow(trust=record)
    return view(ctx, record, roles_of(ctx.session, trust_id))


@api.delete(ONE, Rule("identity:delete_trust", either(ADMIN, f"user_id:%({TRUSTOR})s")))
def delete(ctx: Context, trust_id: str) -> None:
    """End a trust, those that were made from it, and the tokens that use them."""
    record = find(ctx.session, trust_id)
    ctx.allow(trust=record)
    revoke(ctx.session, trust_id=trust_id)
    ctx.session.delete(record)
    events.emit(ctx.session, "OS-TRUST:trust.deleted", trust_id)


@api.get(f"{ONE}/roles", Rule("identity:list_roles_for_trust", PARTIES), key="roles")
def roles(ctx: Context, trust_id: str) -> Page[dict[str, Any]]:
    """List the roles that a trust lends."""
    ctx.allow(trust=find(ctx.session, trust_id))
    return Page([role_view(ctx, role) for role in roles_of(ctx.session, trust_id)])


@api.get(f"{ONE}/roles/{{role_id}}", Rule("identity:get_role_for_trust", PARTIES), key="role")
def role(ctx: Context, trust_id: str, role_id: str) -> dict[str, Any]:
    """Show a role that a trust lends."""
    ctx.allow(trust=find(ctx.session, trust_id))
    lent: dict[str, RoleRecord] = {each.id: each for each in roles_of(ctx.session, trust_id)}
    if role_id not in lent:
        raise RoleNotFound(role_id=role_id)
    return role_view(ctx, lent[role_id])
