"""Who may do what, in the words that identity's operations share."""

SHARED = {
    "admin_required": "role:admin",
    "service_role": "role:service",
    "service_or_admin": "rule:admin_required or rule:service_role",
    "owner": "user_id:%(user_id)s",
    "admin_or_owner": "rule:admin_required or rule:owner",
    "token_subject": "user_id:%(target.token.user_id)s",
    "service_admin_or_token_subject": "rule:service_or_admin or rule:token_subject",
    "domain_managed_target_role": (
        "'manager':%(target.role.name)s or 'member':%(target.role.name)s or "
        "'reader':%(target.role.name)s"
    ),
}

ANYONE = "@"
ADMIN = "rule:admin_required"
READ = "rule:admin_required or (role:reader and system_scope:all)"
OWNER = "user_id:%(target.user.id)s"
ABOVE = frozenset({"system", "project"})  # a token for one domain makes and unmakes none


def domain_reader(attribute: str) -> str:
    """Readers of the domain that the target's attribute names."""
    return f"(role:reader and domain_id:%({attribute})s)"


def domain_manager(attribute: str) -> str:
    """Managers of the domain that the target's attribute names."""
    return f"(role:manager and domain_id:%({attribute})s)"


def either(*checks: str) -> str:
    """One rule that holds when any of `checks` does."""
    return " or ".join(checks)
