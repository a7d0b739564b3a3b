"""How much a project may have, and how much it has."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import quota
from onestack.core.db import Record
from onestack.core.errors import TooLarge
from onestack.core.listed import among
from onestack.volume.snapshots.record import SnapshotRecord
from onestack.volume.types.record import VolumeTypeRecord
from onestack.volume.volumes.record import TOPIC, VolumeRecord

DEFAULTS = {
    "volumes": 10, "per_volume_gigabytes": -1, "snapshots": 10, "gigabytes": 1000,
    "backups": 10, "backup_gigabytes": 1000, "groups": 10,
}  # fmt: skip
COUNTED = ("volumes", "snapshots", "gigabytes")
DEFAULT_SCOPE = "default"  # what holds for projects that have no limit of their own


class QuotaRecord(Record):
    """One limit, of a project or of all that have none of their own."""

    __tablename__ = "volume_quotas"
    topic = TOPIC

    scope: Mapped[str] = mapped_column(primary_key=True)
    resource: Mapped[str] = mapped_column(primary_key=True)
    hard_limit: Mapped[int]


_LIMITS = select(QuotaRecord.scope, QuotaRecord.resource, QuotaRecord.hard_limit).where(
    among(QuotaRecord.scope, "scopes")
)


class VolumeTooLarge(TooLarge):
    message = "Requested volume size {size}G is larger than maximum allowed limit {limit}G."


class QuotaExceeded(TooLarge):
    """A limit is reached; the wording is of what the limit counts."""

    def __init__(self, text: str | None = None, /, **details: object) -> None:
        name, limit = str(details["resource"]), details["limit"]
        if name.startswith("gigabytes"):
            said = (
                f"Requested volume or snapshot exceeds allowed {name} quota. Requested "
                f"{details['wanted']}G, quota is {limit}G and {details['used']}G has been consumed."
            )
        elif name.startswith("snapshots"):
            said = f"Maximum number of snapshots allowed ({limit}) exceeded"
        else:
            said = f"Maximum number of volumes allowed ({limit}) exceeded for quota '{name}'."
        super().__init__(text or said, **details)


def limits_of(session: Session, scope: str) -> dict[str, int]:
    """The limits of a project, by what they count; per type only where one is set."""
    rows = session.execute(_LIMITS, {"scopes": [DEFAULT_SCOPE, scope]}).all()
    found = dict(DEFAULTS)
    for row in sorted(rows, key=lambda each: each.scope != DEFAULT_SCOPE):
        found[row.resource] = row.hard_limit
    return found


def usage_of(project_id: str, type_id: str | None = None) -> quota.Usage:
    """How to count what a project has, of one type or of all."""
    statements = {name: _counted(name, of_type=type_id is not None) for name in COUNTED}
    return quota.Usage(statements, {"project_id": project_id, "type_id": type_id})


def check(
    session: Session, project_id: str, kind: VolumeTypeRecord, wanted: Mapping[str, int],
    size: int = 0,
) -> None:  # fmt: skip
    """Let the project add what is wanted of a type, or raise `QuotaExceeded`; a volume that shall
    be of a size must be no larger than one may be."""
    limits = limits_of(session, project_id)
    largest = limits["per_volume_gigabytes"]
    if largest != quota.UNLIMITED and size > largest:
        raise VolumeTooLarge(size=size, limit=largest)
    statements, amounts = {}, {}
    for name, amount in wanted.items():
        statements[name], amounts[name] = _counted(name), amount
        of_type = f"{name}_{kind.name}"
        if of_type in limits:
            statements[of_type], amounts[of_type] = _counted(name, of_type=True), amount
    usage = quota.Usage(statements, {"project_id": project_id, "type_id": kind.id})
    quota.check(session, f"volume:{project_id}", limits, usage, amounts, QuotaExceeded)


@cache
def _counted(name: str, *, of_type: bool = False) -> Select[tuple[Any]]:
    if name == "gigabytes":
        parts = [
            _of(select(func.coalesce(func.sum(column), 0)), record, of_type)
            for column, record in (
                (VolumeRecord.size, VolumeRecord), (SnapshotRecord.volume_size, SnapshotRecord),
            )
        ]  # fmt: skip
        return select(parts[0].scalar_subquery() + parts[1].scalar_subquery())
    record = VolumeRecord if name == "volumes" else SnapshotRecord
    return _of(select(func.count(record.id)), record, of_type)


def _of(
    statement: Select[Any], record: type[VolumeRecord] | type[SnapshotRecord], of_type: bool
) -> Select[Any]:
    found = statement.where(record.project_id == bindparam("project_id"))
    return found.where(record.volume_type_id == bindparam("type_id")) if of_type else found
