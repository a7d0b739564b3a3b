"""Who may do what with servers, in the words that the operations share."""

from typing import Any, Protocol

from onestack.core.context import Context
from onestack.core.errors import ApiError
from onestack.core.policy import Rule

SHARED = {
    "context_is_admin": "role:admin",
    "project_member_api": "role:member and project_id:%(project_id)s",
    "project_reader_api": "role:reader and project_id:%(project_id)s",
    "project_manager_api": "role:manager and project_id:%(project_id)s",
    "project_manager_or_admin": "rule:project_manager_api or rule:context_is_admin",
    "project_member_or_admin": "rule:project_member_api or rule:context_is_admin",
    "project_reader_or_admin": "rule:project_reader_api or rule:context_is_admin",
}
PROJECT = frozenset({"project"})  # servers belong to projects, and so do those who use them

ADMIN = "rule:context_is_admin"
ANYONE = "@"
MANAGER = "rule:project_manager_or_admin"
MEMBER = "rule:project_member_or_admin"
READER = "rule:project_reader_or_admin"
OWN_USER = "(rule:context_is_admin) or user_id:%(user_id)s"


class Owned(Protocol):
    """What belongs to a project, and was made by one of its users."""

    project_id: Any
    user_id: Any


# Upstream names this one after what it is about, not after the operations that ask it.
ATTACH_EXTERNAL = Rule("network:attach_external_network", ADMIN, PROJECT)


def rule(name: str, check: str = ADMIN) -> Rule:
    """A rule under upstream's name, that tokens for projects can meet."""
    return Rule(f"os_compute_api:{name}", check, PROJECT)


def allow_own(ctx: Context, *, rule: Rule | None = None) -> None:
    """Refuse who may not do this within the project of their token."""
    own = {"project_id": ctx.caller.project_id, "user_id": ctx.caller.user_id}
    ctx.allow(own, rule=rule)


def is_allowed_own(ctx: Context, judged: Rule) -> bool:
    """Whether another rule than the operation's lets the caller do this in their project."""
    own = {"project_id": ctx.caller.project_id, "user_id": ctx.caller.user_id}
    return ctx.policy.decide(judged.name, ctx.caller.credentials, own) is True


def allow_or_hide(ctx: Context, record: Owned, hidden: ApiError) -> None:
    """Refuse who may not do this to a thing; another project's is as if it were not there."""
    is_theirs = record.project_id != ctx.caller.project_id
    target = {"project_id": record.project_id, "user_id": record.user_id}
    if is_theirs and ctx.policy.decide(ctx.rule.name, ctx.caller.credentials, target) is not True:
        ctx.decided = True
        raise hidden
    ctx.allow(target)


def is_admin(ctx: Context) -> bool:
    """Whether the caller stands above projects."""
    return ctx.policy.decide("context_is_admin", ctx.caller.credentials, None) is True
