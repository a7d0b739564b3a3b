"""Who may do what with networks, in the words that the operations share."""

from onestack.core.policy import Rule

SHARED = {
    "context_is_admin": "role:admin",
    "admin_only": "rule:context_is_admin",
    "owner": "project_id:%(project_id)s",
    "admin_or_owner": "rule:context_is_admin or rule:owner",
    "service_api": "role:service",
}
PROJECT = frozenset({"project"})  # networks belong to projects, and so do those who use them

ANYONE = "@"
ADMIN = "rule:admin_only"
READER = "(role:reader and rule:owner)"
MEMBER = "(role:member and rule:owner)"
READ = f"{ADMIN} or {READER}"
WRITE = f"{ADMIN} or {MEMBER}"


def rule(name: str, check: str) -> Rule:
    """A rule that tokens for projects can meet."""
    return Rule(name, check, PROJECT)
