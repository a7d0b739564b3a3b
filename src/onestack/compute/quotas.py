"""Quotas: how much of everything a project may have, and each of its users."""

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import Select, Table, bindparam, column, func, select, table
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.compute.keypairs import KeypairRecord
from onestack.compute.server_groups import ServerGroupMemberRecord, ServerGroupRecord
from onestack.core import quota
from onestack.core.api import Operations
from onestack.core.db import Record
from onestack.core.errors import ApiError, Forbidden

api = Operations("quotas")

DEFAULT_CLASS = "class:default"
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
}
COUNTED = ("instances", "cores", "ram", "server_groups")  # of a project, and of a user in it


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
_SERVERS = table(
    "servers", column("project_id"), column("user_id"), column("vcpus"), column("memory_mb")
)
_GROUPS = cast(Table, ServerGroupRecord.__table__)
_SET = select(QuotaRecord.scope, QuotaRecord.resource, QuotaRecord.most).where(
    QuotaRecord.scope.in_(bindparam("scopes", expanding=True))
)


def check(session: Session, project_id: str, user_id: str, wanted: Mapping[str, int]) -> None:
    """Let the session add so many servers (`instances`, `cores`, `ram`) or server groups to a
    project, or refuse; what it adds before its commit is counted by whoever checks next."""
    limits, own = limits_of(session, project_id), limits_of_user(session, project_id, user_id)
    refusal = _refusal(wanted)
    quota.check(session, f"compute:{project_id}", limits, usage_of(project_id), wanted, refusal)
    narrowed = {name: amount for name, amount in wanted.items() if name in own}
    if narrowed:
        usage = usage_of(project_id, user_id)
        quota.check(session, f"compute:{project_id}", own, usage, narrowed, refusal)


def check_keypairs(session: Session, user_id: str) -> None:
    """Let the session add a key pair to a user, or refuse; key pairs belong to no project."""
    count: Select[Any] = select(func.count()).where(KeypairRecord.user_id == user_id)
    limits = defaults(session)
    quota.check(
        session, f"compute:user:{user_id}", limits, {"key_pairs": count}, {"key_pairs": 1},
        TooManyKeypairs,
    )  # fmt: skip


def check_members(session: Session, project_id: str, group_id: str, wanted: int = 1) -> None:
    """Let the session add servers to a group, or refuse."""
    count: Select[Any] = select(func.count()).where(ServerGroupMemberRecord.group_id == group_id)
    quota.check(
        session, f"compute:{project_id}", limits_of(session, project_id),
        {"server_group_members": count}, {"server_group_members": wanted}, TooManyMembers,
    )  # fmt: skip


def defaults(session: Session) -> dict[str, int]:
    """The limits of whoever has none of their own."""
    return _limits(session, ())


def limits_of(session: Session, project_id: str) -> dict[str, int]:
    """A project's limits, by resource; -1 is no limit."""
    return _limits(session, (_project(project_id),))


def limits_of_user(session: Session, project_id: str, user_id: str) -> dict[str, int]:
    """The limits set for one user within a project: only those that somebody did set."""
    rows = session.execute(_SET, {"scopes": [_user(project_id, user_id)]})
    return {resource: most for _, resource, most in rows}


def usage_of(project_id: str, user_id: str | None = None) -> dict[str, Select[tuple[Any]]]:
    """What a project has, or one of its users, as statements that count it."""
    servers = [_SERVERS.c.project_id == project_id]
    groups = [_GROUPS.c.project_id == project_id]
    if user_id is not None:
        servers.append(_SERVERS.c.user_id == user_id)
        groups.append(_GROUPS.c.user_id == user_id)
    return {
        "instances": select(func.count()).select_from(_SERVERS).where(*servers),
        "cores": select(func.sum(_SERVERS.c.vcpus)).where(*servers),
        "ram": select(func.sum(_SERVERS.c.memory_mb)).where(*servers),
        "server_groups": select(func.count()).select_from(_GROUPS).where(*groups),
    }


def _limits(session: Session, scopes: tuple[str, ...]) -> dict[str, int]:
    """Defaults, overridden by what is set for everybody, and then by each of the scopes."""
    order = (DEFAULT_CLASS, *scopes)
    found = {**DEFAULTS}
    rows = session.execute(_SET, {"scopes": list(order)}).all()
    for _, resource, most in sorted(rows, key=lambda row: order.index(row.scope)):
        found[resource] = most
    return found


def _refusal(wanted: Mapping[str, int]) -> type[ApiError]:
    return _REFUSALS.get(next(iter(wanted)), QuotaExceeded) if len(wanted) == 1 else QuotaExceeded


def _project(project_id: str) -> str:
    return f"project:{project_id}"


def _user(project_id: str, user_id: str) -> str:
    return f"user:{project_id}:{user_id}"
