"""Where a backend does not have what it should have, or has what nobody knows."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core.context import Cloud
from onestack.core.drift import Disagreement, Inspection
from onestack.volume.attachments.record import AttachmentRecord
from onestack.volume.backend import Backend, Have
from onestack.volume.snapshots.record import SnapshotRecord
from onestack.volume.volumes.record import VolumeRecord

SETTLED = ("available", "in-use", "reserved")
KEPT = (*SETTLED, "maintenance", "awaiting-transfer")
RESET = "openstack --os-cloud onestack-admin volume set --state error ID, then delete it"
STRAY = "see the backend's folder; what no row knows may be removed there"


def inspection() -> Inspection:
    """How backends are asked, and what is compared."""
    return Inspection("backend", Backend, "inventory", check)


def check(session: Session, _cloud: Cloud, host: str, had: list[Have]) -> Iterable[Disagreement]:
    """Compare rows of volumes, snapshots and attachments with what a backend keeps."""
    here = {(each.kind, each.id): each.size_gb for each in had}
    volumes = session.scalars(select(VolumeRecord).where(VolumeRecord.host == host))
    known: set[tuple[str, str]] = set()
    for volume in volumes:
        known |= {("volume", volume.id), ("export", volume.id)}  # as old clients are connected
        size = here.get(("volume", volume.id))
        if volume.status in KEPT and size is None:
            yield Disagreement("volume", volume.id, host, "is not in its backend", RESET)
        elif volume.status in SETTLED and size != volume.size:
            text = f"has {size} GB in its backend, and should have {volume.size}"
            yield Disagreement("volume", volume.id, host, text, RESET)
        yield from _holders(session, volume, host)
    owned = select(SnapshotRecord).join(VolumeRecord, SnapshotRecord.volume_id == VolumeRecord.id)
    for snapshot in session.scalars(owned.where(VolumeRecord.host == host)):
        known.add(("snapshot", snapshot.id))
        if snapshot.status == "available" and ("snapshot", snapshot.id) not in here:
            yield Disagreement("snapshot", snapshot.id, host, "is not in its backend", RESET)
    known |= {("export", each) for each in session.scalars(select(AttachmentRecord.id))}
    for kind, item in sorted(here.keys() - known):
        yield Disagreement(kind, item, host, "is in the backend, and nobody knows it", STRAY)


def _holders(session: Session, volume: VolumeRecord, host: str) -> Iterable[Disagreement]:
    """A volume is in use when, and only when, somebody has it."""
    wanted = select(AttachmentRecord.id).where(AttachmentRecord.volume_id == volume.id)
    is_held = session.scalars(wanted.limit(1)).first() is not None
    if volume.status == "in-use" and not is_held:
        yield Disagreement("volume", volume.id, host, "is in use by nobody", RESET)
    elif volume.status == "available" and is_held:
        yield Disagreement("volume", volume.id, host, "is available, and somebody has it", RESET)
