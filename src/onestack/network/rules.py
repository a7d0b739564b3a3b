"""Who may do what with networks, in the words that the operations share."""

from onestack.core.context import Context
from onestack.core.policy import Rule

SHARED = {
    "context_is_admin": "role:admin",
    "admin_only": "rule:context_is_admin",
    "service_api": "role:service",
}
PROJECT = frozenset({"project"})  # networks belong to projects, and so do those who use them

ANYONE = "@"
ADMIN = "rule:admin_only"
READER = "(role:reader and project_id:%(project_id)s)"
MEMBER = "(role:member and project_id:%(project_id)s)"
READ = f"{ADMIN} or {READER}"
WRITE = f"{ADMIN} or {MEMBER}"


def rule(name: str, check: str) -> Rule:
    """A rule that tokens for projects can meet."""
    return Rule(name, check, PROJECT)


def is_admin(ctx: Context) -> bool:
    """Whether the caller stands above projects."""
    return ctx.policy.decide("context_is_admin", ctx.caller.credentials, None) is True


def is_seen(ctx: Context, project_id: str) -> bool:
    """Whether the caller may know of what a project has."""
    return project_id == ctx.caller.project_id or is_admin(ctx)


def owner_of(ctx: Context, *given: str | None) -> str:
    """Whose a new thing is: of the project that is named, or of the caller's."""
    return next((each for each in given if each), ctx.caller.project_id or "")
