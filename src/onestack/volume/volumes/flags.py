"""What is said of a volume besides: its state when an administrator knows better, whether servers
boot from it, whether it is read only."""

from typing import Literal

from onestack.core.api import Operations, Raw
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import Shape
from onestack.volume import rules
from onestack.volume.volumes import access
from onestack.volume.volumes.record import set_status

api = Operations("volumes")

PATH = "/v3/volumes/{volume_id}/action"
STATUSES = frozenset(
    ("creating", "available", "deleting", "error", "error_deleting", "error_managing", "managing",
     "attaching", "detaching", "in-use", "maintenance", "reserved", "retyping", "extending",
     "error_extending", "awaiting-transfer", "uploading", "downloading", "reverting",
     "error_restoring", "restoring-backup", "backing-up")
)  # fmt: skip


class ResetBody(Shape, forbid_unknown_fields=True):
    """What the volume's state is from now on."""

    status: str | None = None
    attach_status: Literal["attached", "detached"] | None = None
    migration_status: (
        Literal["migrating", "error", "success", "completing", "none", "starting"] | None
    ) = None


class BootableBody(Shape, forbid_unknown_fields=True):
    """Whether servers can boot from it."""

    bootable: bool | str


class ReadonlyBody(Shape, forbid_unknown_fields=True):
    """Whether nobody may write to it."""

    readonly: bool | str


@api.post(
    PATH,
    rules.rule("volume_extension:volume_admin_actions:reset_status", rules.ADMIN),
    action="os-reset_status",
    status=202,
)
def reset_status(ctx: Context, volume_id: str, body: ResetBody) -> None:
    """Say what state a volume is in; nothing is done to the volume."""
    if body.status is None and body.attach_status is None and body.migration_status is None:
        raise BadRequest("Must specify 'status', 'attach_status' or 'migration_status'")
    if body.status is not None and body.status.lower() not in STATUSES:
        raise BadRequest(f"Must specify a valid status, not {body.status[:80]!r}")
    volume = access.held(ctx, volume_id)
    if body.status is not None:
        set_status(volume, body.status.lower())


@api.post(
    PATH,
    rules.rule("volume_extension:volume_actions:set_bootable", rules.WRITE),
    action="os-set_bootable",
)
def set_bootable(ctx: Context, volume_id: str, body: BootableBody) -> Raw:
    """Say whether servers can boot from a volume."""
    access.held(ctx, volume_id).is_bootable = flag(body.bootable)
    return Raw(b"")


@api.post(
    PATH,
    rules.rule("volume:update_readonly_flag", rules.WRITE),
    action="os-update_readonly_flag",
    status=202,
)
def update_readonly(ctx: Context, volume_id: str, body: ReadonlyBody) -> None:
    """Say whether a volume may be written to, by who attaches it from now on."""
    volume = access.held(ctx, volume_id)
    access.in_status(volume, "available")
    volume.is_readonly = flag(body.readonly)


def flag(given: bool | str) -> bool:
    """A truth value, as clients write it."""
    if isinstance(given, bool):
        return given
    text = given.strip().lower()
    if text in ("true", "1", "yes", "on", "t", "y"):
        return True
    if text in ("false", "0", "no", "off", "f", "n"):
        return False
    raise BadRequest(f"{given[:40]!r} is neither true nor false")
