"""Who may do what with images, in the words that the operations share."""

from onestack.core.policy import Rule

SHARED = {"context_is_admin": "role:admin"}
PROJECT = frozenset({"project"})  # images belong to projects, and so do those who use them

ADMIN = "rule:context_is_admin"
ANYONE = "@"
OWNER = "project_id:%(project_id)s"
MEMBER = "project_id:%(member_id)s"
SEEN = (
    f"({OWNER} or {MEMBER} or 'community':%(visibility)s or 'public':%(visibility)s or "
    "'shared':%(visibility)s)"
)
READ = f"{ADMIN} or (role:reader and {OWNER})"
READ_SEEN = f"{ADMIN} or (role:reader and {SEEN})"
READ_MEMBERS = f"{ADMIN} or (role:reader and ({OWNER} or {MEMBER}))"
USE_SEEN = f"{ADMIN} or (role:member and {SEEN})"
WRITE = f"{ADMIN} or (role:member and {OWNER})"
WRITE_NEW = f"{ADMIN} or (role:member and {OWNER} and project_id:%(owner)s)"
WRITE_AS_MEMBER = f"{ADMIN} or (role:member and {MEMBER})"


def rule(name: str, check: str) -> Rule:
    """A rule that tokens for projects can meet."""
    return Rule(name, check, PROJECT)


PUBLICIZE = rule("publicize_image", ADMIN)
COMMUNITIZE = rule("communitize_image", WRITE)
# Rules that an operation judges by besides the one that it declares.
JUDGED_TOO = (PUBLICIZE, COMMUNITIZE)
