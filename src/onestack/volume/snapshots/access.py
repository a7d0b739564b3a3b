"""Which snapshot an operation is about, judged."""

from onestack.core.context import Context
from onestack.volume import rules
from onestack.volume.snapshots.record import SnapshotRecord, snapshot_of


def seen(ctx: Context, snapshot_id: str, *, held: bool = False) -> SnapshotRecord:
    """The snapshot, when the caller may know of it and do this to it."""
    found = snapshot_of(ctx.session, snapshot_id, rules.sees(ctx))
    if held:
        ctx.session.refresh(found, with_for_update=True)
    ctx.allow(found)
    return found
