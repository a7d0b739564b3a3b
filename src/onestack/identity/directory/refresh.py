"""Lists of a domain's users or groups: what they must do before they read the rows."""

from onestack.core.context import Context
from onestack.identity.directory.directories import Directories


def may_wait(ctx: Context) -> bool:
    """Whether a list may have to wait for a directory, so that it needs a thread."""
    return ctx.cloud.get(Directories).may_wait(ctx)


def refresh(ctx: Context, domain_id: str | None) -> None:
    """Bring the rows of the listed domain up to date, if it has a directory."""
    if domain_id is not None and ctx.cloud.get(Directories).has(domain_id):
        # Only clouds with a directory load this, and it changes the groups whose list is asking.
        from onestack.identity.directory import synchronise

        synchronise.if_due(ctx, domain_id)
