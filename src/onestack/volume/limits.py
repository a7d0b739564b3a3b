"""What a project may have in all, and has."""

from typing import Any

from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.shapes import Shape
from onestack.volume import quotas, rules

api = Operations("limits")


class Limits(Shape):
    """Absolute limits; there are no rates."""

    rate: list[Any]
    absolute: dict[str, int]


@api.get("/v3/limits", rules.rule("limits_extension:used_limits", rules.READ), key="limits")
def show(ctx: Context) -> Limits:
    """Show what the caller's project may have, and what it has."""
    project_id = ctx.caller.project_id or ""
    ctx.allow({"project_id": ctx.caller.project_id})
    limits = quotas.limits_of(ctx.session, project_id)
    used = quotas.usage_of(project_id).counted(ctx.session)
    return Limits(
        rate=[],
        absolute={
            "maxTotalVolumes": limits["volumes"],
            "maxTotalSnapshots": limits["snapshots"],
            "maxTotalVolumeGigabytes": limits["gigabytes"],
            "maxTotalBackups": limits["backups"],
            "maxTotalBackupGigabytes": limits["backup_gigabytes"],
            "totalVolumesUsed": used["volumes"],
            "totalSnapshotsUsed": used["snapshots"],
            "totalGigabytesUsed": used["gigabytes"],
            "totalBackupsUsed": 0,
            "totalBackupGigabytesUsed": 0,
        },
    )
