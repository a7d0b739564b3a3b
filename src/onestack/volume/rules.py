"""Who may do what with volumes, in the words that the operations share."""

from onestack.core.context import Context
from onestack.core.policy import Rule

SHARED = {"admin_api": "is_admin:True or role:admin"}

ADMIN = "rule:admin_api"
ANYONE = "@"
READ = f"{ADMIN} or (role:reader and project_id:%(project_id)s)"
WRITE = f"{ADMIN} or (role:member and project_id:%(project_id)s)"


def rule(name: str, check: str) -> Rule:
    """A rule of the volume service."""
    return Rule(name, check)


def is_admin(ctx: Context) -> bool:
    """Whether the caller stands above projects."""
    return ctx.policy.decide("admin_api", ctx.caller.credentials, None) is True


def sees(ctx: Context) -> str | None:
    """The project whose things the caller may know of; None is all."""
    return None if is_admin(ctx) else ctx.caller.project_id or ""
