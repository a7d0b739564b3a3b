"""Which volume an operation is about, judged."""

from collections.abc import Callable
from typing import Any

from onestack.core.context import Context
from onestack.core.db import by_key
from onestack.core.flow import Flow
from onestack.volume import rules
from onestack.volume.volumes.record import InvalidVolume, VolumeNotFound, VolumeRecord, locked


def seen(ctx: Context, volume_id: str) -> VolumeRecord:
    """The volume to show, when the caller may know of it."""
    found = by_key(ctx.session, VolumeRecord, volume_id)
    return _judged(ctx, found, volume_id)


def held(ctx: Context, volume_id: str) -> VolumeRecord:
    """The volume to change; nobody else changes it until the request is over."""
    return _judged(ctx, locked(ctx.session, volume_id), volume_id)


def starting(
    ctx: Context, volume_id: str, flow: type[Flow[VolumeRecord]],
    check: Callable[[VolumeRecord], None], **state: Any,
) -> VolumeRecord:  # fmt: skip
    """The volume, held, with a flow begun on it if `check` does not refuse.

    A flow's own row is taken before its volume's, as its steps do it; so what was checked before is
    checked again when nobody else can change it.
    """
    volume = seen(ctx, volume_id)
    check(volume)
    flow.start(ctx.session, volume, **state)
    held_volume = locked(ctx.session, volume_id)
    if held_volume is None:
        raise VolumeNotFound(volume_id=volume_id[:64])
    check(held_volume)
    return held_volume


def in_status(volume: VolumeRecord, *statuses: str) -> None:
    """Refuse what a volume's state does not allow."""
    if volume.status not in statuses:
        raise InvalidVolume(
            reason=f"Volume {volume.id} status must be {' or '.join(statuses)}, "
            f"but current status is: {volume.status}."
        )


def _judged(ctx: Context, found: VolumeRecord | None, volume_id: str) -> VolumeRecord:
    if found is None or rules.sees(ctx) not in (None, found.project_id):
        raise VolumeNotFound(volume_id=volume_id[:64])
    ctx.allow(found)
    return found
