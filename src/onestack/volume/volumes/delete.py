"""Delete a volume, or force it away."""

from functools import partial

from sqlalchemy import select

from onestack.core.api import Operations, Reply
from onestack.core.context import Context
from onestack.core.shapes import Shape
from onestack.volume import rules
from onestack.volume.attachments.record import attachments_to
from onestack.volume.snapshots.record import InvalidSnapshot, SnapshotRecord
from onestack.volume.volumes import access
from onestack.volume.volumes.record import InvalidVolume, VolumeRecord, set_status
from onestack.volume.volumes.removal import DeleteVolume

api = Operations("volumes")

# A volume that is being made may go too: its creation is replaced by the deletion.
DELETABLE = frozenset(("available", "error", "error_restoring", "error_extending",
                       "error_managing", "creating", "downloading"))  # fmt: skip
FORCE = rules.rule("volume:force_delete", rules.ADMIN)
DELETABLE_SNAPSHOT = ("available", "error")


class NotDeletable(InvalidVolume):
    message = (
        "Invalid volume: Volume status must be available or error or error_restoring or "
        "error_extending or error_managing and must not be migrating, attached, belong to a "
        "group, have snapshots, awaiting a transfer, or be disassociated from snapshots after "
        "volume transfer."
    )


class DeleteQuery(Shape):
    """What else goes, and with what right."""

    cascade: bool = False
    force: bool = False


@api.delete("/v3/volumes/{volume_id}", rules.rule("volume:delete", rules.WRITE), status=202)
def delete(ctx: Context, volume_id: str, query: DeleteQuery) -> Reply:
    """Delete a volume."""
    if query.force and ctx.version >= (3, 23):
        ctx.allow(access.seen(ctx, volume_id), rule=FORCE)
        check = partial(_check_forced, ctx)
    else:
        check = partial(_check, ctx, query.cascade)
    volume = access.starting(ctx, volume_id, DeleteVolume, check)
    set_status(volume, "deleting")
    return Reply(status=202)


@api.post(
    "/v3/volumes/{volume_id}/action",
    rules.rule("volume_extension:volume_admin_actions:force_delete", rules.ADMIN),
    action="os-force_delete",
    status=202,
)
def force_delete(ctx: Context, volume_id: str) -> Reply:
    """Delete a volume whatever state it is in, unless compute has it."""
    volume = access.starting(ctx, volume_id, DeleteVolume, partial(_check_forced, ctx))
    set_status(volume, "deleting")
    return Reply(status=202)


def _check(ctx: Context, cascade: bool, volume: VolumeRecord) -> None:
    if volume.status not in DELETABLE or attachments_to(ctx.session, volume.id):
        raise NotDeletable
    of_volume = select(SnapshotRecord.status).where(SnapshotRecord.volume_id == volume.id)
    statuses = list(ctx.session.scalars(of_volume))
    if statuses and not cascade:
        raise NotDeletable
    if any(each not in DELETABLE_SNAPSHOT for each in statuses):
        raise InvalidSnapshot(reason="Snapshots of the volume are not available or error.")


def _check_forced(ctx: Context, volume: VolumeRecord) -> None:
    if any(each.is_of_server for each in attachments_to(ctx.session, volume.id)):
        raise NotDeletable
