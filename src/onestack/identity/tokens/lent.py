"""Tokens whose rights were lent: they make nothing that would outlive or outgrow them."""

from onestack.core.context import Caller, Context
from onestack.core.errors import Forbidden


class LentRights(Forbidden):
    message = (
        "You are not authorized to perform the requested action: manage credentials with a token "
        "of a trust, an OAuth consumer or a restricted application credential."
    )


class RestrictedApplicationCredential(Forbidden):
    message = (
        "You are not authorized to perform the requested action: Using method "
        "'application_credential' is not allowed for managing additional application credentials."
    )


def refuse_lent(ctx: Context) -> None:
    """Refuse callers whose rights were lent, unless their user said that they may do all."""
    caller: Caller = ctx.caller
    if caller.application_credential_id is not None and caller.is_restricted:
        raise RestrictedApplicationCredential
    if caller.trust_id is not None or caller.access_token_id is not None:
        raise LentRights
