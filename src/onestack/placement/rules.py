"""Who may do what: placement serves administrators and the other services."""

from onestack.core.policy import Rule

ADMIN_OR_SERVICE = "role:admin or role:service"
SERVICE = "role:service"
OWN_PROJECT = "role:admin or role:service or (role:reader and project_id:%(project_id)s)"
PROJECT = frozenset({"project"})


def rule(name: str, check: str = ADMIN_OR_SERVICE) -> Rule:
    """A rule of placement, under upstream's name."""
    return Rule(f"placement:{name}", check, scopes=PROJECT)
