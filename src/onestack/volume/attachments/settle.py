"""What a volume's state is, as far as its attachments make it."""

from sqlalchemy.orm import Session

from onestack.volume.attachments.record import attachments_to
from onestack.volume.volumes.record import VolumeRecord, set_status

# Which state of a volume its attachments make, the strongest first: who waits until one of several
# servers has let go of it waits for the end of `detaching`.
STATES = (
    ("detaching", "detaching"), ("attached", "in-use"), ("attaching", "attaching"),
    ("error_detaching", "error"), ("reserved", "reserved"),
)  # fmt: skip
# What is no matter of attachments.
BUSY = frozenset(
    ("creating", "downloading", "deleting", "error", "error_deleting", "error_extending",
     "extending", "uploading", "reverting", "maintenance", "awaiting-transfer")
)  # fmt: skip


def settle(session: Session, volume: VolumeRecord) -> None:
    """Let a volume be as its attachments make it, unless something else is under way."""
    if volume.status not in BUSY:
        rest(session, volume)


def rest(session: Session, volume: VolumeRecord) -> None:
    """Whatever was under way is over: the volume is as its attachments make it."""
    known = {each.attach_status for each in attachments_to(session, volume.id)}
    following = (state for status, state in STATES if status in known)
    set_status(volume, next(following, "available"))
