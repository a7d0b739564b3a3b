"""Tokens whose rights were lent: they make nothing that would outlive or outgrow them."""

from collections.abc import Collection
from typing import Literal

from onestack.core.context import Context
from onestack.core.errors import Forbidden

Lender = Literal["application_credential", "oauth1", "trust"]

UNRESTRICTED: tuple[Lender, ...] = ("application_credential",)


class LentRights(Forbidden):
    message = (
        "You are not authorized to perform the requested action: "
        "Using method '{lender}' is not allowed for {action}."
    )


def refuse_lent(ctx: Context, action: str, *, allowed: Collection[Lender] = UNRESTRICTED) -> None:
    """Refuse callers whose rights were lent, but for the ways of lending that are `allowed`: of
    application credentials only those whose user said that they may do all."""
    caller = ctx.caller
    lenders: dict[Lender, str | None] = {
        "application_credential": caller.application_credential_id,
        "oauth1": caller.access_token_id,
        "trust": caller.trust_id,
    }
    for lender, lent_by in lenders.items():
        if lent_by is not None and (lender not in allowed or caller.is_restricted):
            raise LentRights(lender=lender, action=action)
