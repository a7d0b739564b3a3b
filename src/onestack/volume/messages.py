"""Messages: what went wrong with a user's volume, in words for that user."""

import datetime as dt

from sqlalchemy import delete
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import clock, trace
from onestack.core.db import Record
from onestack.volume.snapshots.record import SnapshotRecord
from onestack.volume.volumes.record import TOPIC, VolumeRecord, new_id

KEPT = dt.timedelta(days=30)


class MessageRecord(Record):
    """Something that a user asked for and did not get, and why."""

    __tablename__ = "volume_messages"
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(index=True)
    resource_type: Mapped[str]
    resource_id: Mapped[str]
    event_id: Mapped[str]
    text: Mapped[str]
    request_id: Mapped[str | None]
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)


def tell(session: Session, record: VolumeRecord | SnapshotRecord, code: str, text: str) -> None:
    """Leave a message about a volume or a snapshot; messages that are too old go."""
    now = clock.now()
    session.execute(delete(MessageRecord).where(MessageRecord.expires_at < now))
    kind = "VOLUME" if isinstance(record, VolumeRecord) else "VOLUME_SNAPSHOT"
    session.add(
        MessageRecord(
            id=new_id(), project_id=record.project_id, resource_type=kind, resource_id=record.id,
            event_id=f"VOLUME_{kind}_{code}", text=text[:1000], request_id=trace.current_id(),
            created_at=now, expires_at=now + KEPT,
        )
    )  # fmt: skip
