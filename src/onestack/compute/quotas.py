"""Quotas: how much of everything a project may have, and each of its users."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, bindparam, column, delete, func, select, table
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import quota
from onestack.core.db import Record
from onestack.core.errors import ApiError, Forbidden

# What there is a limit of, and the limit where nobody set another.
DEFAULTS = {
    "instances": 10,
    "cores": 20,
    "ram": 51200,
    "metadata_items": 128,
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
    "key_pairs": 100,
    "server_groups": 10,
    "server_group_members": 10,
    # The network's: kept for clients before 2.36, and asked by nobody.
    "fixed_ips": -1,
    "floating_ips": -1,
    "security_groups": -1,
    "security_group_rules": -1,
}


class QuotaRecord(Record):
    """A limit that somebody set, for a project, for one of its users, or for everybody."""

    __tablename__ = "compute_quotas"
    topic = "compute"

    scope: Mapped[str] = mapped_column(primary_key=True)
    resource: Mapped[str] = mapped_column(primary_key=True)
    most: Mapped[int]


class QuotaExceeded(Forbidden):
    message = (
        "Quota exceeded for {resource}: Requested {wanted}, but already used {used} of {limit} "
        "{resource}"
    )


class TooManyKeypairs(Forbidden):
    message = "Quota exceeded, too many key pairs."


class TooManyServerGroups(Forbidden):
    message = "Quota exceeded, too many server groups."


class TooManyMembers(Forbidden):
    message = "Quota exceeded, too many servers in group"


_REFUSALS: dict[str, type[ApiError]] = {
    "key_pairs": TooManyKeypairs,
    "server_groups": TooManyServerGroups,
    "server_group_members": TooManyMembers,
}
# By their names: these nouns ask this module, so that it cannot ask theirs.
_SERVERS = table(
    "servers", column("project_id"), column("user_id"), column("vcpus"), column("memory_mb")
)
_GROUPS = table("server_groups", column("project_id"), column("user_id"))
_MEMBERS = table("server_group_members", column("group_id"))
_KEYPAIRS = table("keypairs", column("user_id"))
_SET = select(QuotaRecord.scope, QuotaRecord.resource, QuotaRecord.most).where(
    QuotaRecord.scope.in_(bindparam("scopes", expanding=True))
)


def _counts(*marks: str) -> dict[str, Select[tuple[Any]]]:
    """Statements that count what those have whose ids are the parameters of these names."""
    servers = [_SERVERS.c[name] == bindparam(name) for name in marks]
    groups = [_GROUPS.c[name] == bindparam(name) for name in marks]
    return {
        "instances": select(func.count()).select_from(_SERVERS).where(*servers),
        "cores": select(func.sum(_SERVERS.c.vcpus)).where(*servers),
        "ram": select(func.sum(_SERVERS.c.memory_mb)).where(*servers),
        "server_groups": select(func.count()).select_from(_GROUPS).where(*groups),
    }


_USAGE, _USAGE_OF_USER = _counts("project_id"), _counts("project_id", "user_id")


def check(session: Session, project_id: str, user_id: str, wanted: Mapping[str, int]) -> None:
    """Let the session add so many servers (`instances`, `cores`, `ram`) or server groups to a
    project, or refuse; what it adds before its commit is counted by whoever checks next."""
    own_scope = user_scope(project_id, user_id)
    order = [class_scope("default"), project_scope(project_id), own_scope]
    rows = session.execute(_SET, {"scopes": order}).all()
    limits = _merged([row for row in rows if row.scope != own_scope], order)
    own = {row.resource: row.most for row in rows if row.scope == own_scope}
    refusal = _refusal(wanted)
    quota.check(session, f"compute:{project_id}", limits, usage_of(project_id), wanted, refusal)
    narrowed = {name: amount for name, amount in wanted.items() if name in own}
    if narrowed:
        usage = usage_of(project_id, user_id)
        quota.check(session, f"compute:{project_id}", own, usage, narrowed, refusal)


def check_keypairs(session: Session, user_id: str) -> None:
    """Let the session add a key pair to a user, or refuse; key pairs belong to no project."""
    count: Select[Any] = select(func.count()).where(_KEYPAIRS.c.user_id == user_id)
    limits = defaults(session)
    quota.check(
        session, f"compute:user:{user_id}", limits,
        quota.Usage({"key_pairs": count}), {"key_pairs": 1}, TooManyKeypairs,
    )  # fmt: skip


def check_members(session: Session, project_id: str, group_id: str, wanted: int = 1) -> None:
    """Let the session add servers to a group, or refuse."""
    count: Select[Any] = select(func.count()).where(_MEMBERS.c.group_id == group_id)
    quota.check(
        session, f"compute:{project_id}", limits_of(session, project_id),
        quota.Usage({"server_group_members": count}), {"server_group_members": wanted},
        TooManyMembers,
    )  # fmt: skip


def defaults(session: Session) -> dict[str, int]:
    """The limits of whoever has none of their own."""
    return _limits(session, ())


def limits_of_class(session: Session, name: str) -> dict[str, int]:
    """The limits of a class, by resource."""
    return _limits(session, (class_scope(name),))


def limits_of(session: Session, project_id: str) -> dict[str, int]:
    """A project's limits, by resource; -1 is no limit."""
    return _limits(session, (project_scope(project_id),))


def limits_of_user(session: Session, project_id: str, user_id: str) -> dict[str, int]:
    """The limits set for one user within a project: only those that somebody did set."""
    rows = session.execute(_SET, {"scopes": [user_scope(project_id, user_id)]})
    return {resource: most for _, resource, most in rows}


def usage_of(project_id: str, user_id: str | None = None) -> quota.Usage:
    """What a project has, or one of its users, as statements that count it."""
    values = {"project_id": project_id}
    if user_id is None:
        return quota.Usage(_USAGE, values)
    return quota.Usage(_USAGE_OF_USER, {**values, "user_id": user_id})


def keep(session: Session, scope: str, limits: Mapping[str, int]) -> None:
    """Set limits of a scope; those that are not mentioned stay."""
    for resource, most in limits.items():
        record = session.get(QuotaRecord, (scope, resource))
        if record is None:
            session.add(QuotaRecord(scope=scope, resource=resource, most=most))
        else:
            record.most = most


def forget(session: Session, scope: str) -> None:
    """Let a scope have the limits of everybody."""
    session.execute(delete(QuotaRecord).where(QuotaRecord.scope == scope))


def counted(session: Session, project_id: str, user_id: str | None = None) -> dict[str, int]:
    """What a project has, or one of its users, of each resource that is counted."""
    return usage_of(project_id, user_id).counted(session)


def _limits(session: Session, scopes: tuple[str, ...]) -> dict[str, int]:
    """Defaults, overridden by what is set for everybody, and then by each of the scopes."""
    order = [class_scope("default"), *scopes]
    return _merged(session.execute(_SET, {"scopes": order}).all(), order)


def _merged(rows: Sequence[Any], order: Sequence[str]) -> dict[str, int]:
    """Limits, those of later scopes before those of earlier ones."""
    found = {**DEFAULTS}
    for _, resource, most in sorted(rows, key=lambda row: order.index(row.scope)):
        found[resource] = most
    return found


def _refusal(wanted: Mapping[str, int]) -> type[ApiError]:
    return _REFUSALS.get(next(iter(wanted)), QuotaExceeded) if len(wanted) == 1 else QuotaExceeded


def project_scope(project_id: str) -> str:
    """Where a project's limits are kept."""
    return f"project:{project_id}"


def user_scope(project_id: str, user_id: str) -> str:
    """Where the limits of a user within a project are kept."""
    return f"user:{project_id}:{user_id}"


def class_scope(name: str) -> str:
    """Where the limits of a class are kept; everybody is of the class `default`."""
    return f"class:{name}"
