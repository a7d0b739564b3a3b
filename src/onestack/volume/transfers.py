"""Transfers: a volume changes hands between two projects."""

import datetime as dt

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.api import Operations
from onestack.core.db import Record
from onestack.volume.volumes.record import TOPIC

api = Operations("volume transfers")


class TransferRecord(Record):
    """An offer of a volume to whoever knows the key; only a digest of the key is kept."""

    __tablename__ = "volume_transfers"
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    volume_id: Mapped[str] = mapped_column(
        ForeignKey("volumes.id", ondelete="CASCADE"), unique=True
    )
    project_id: Mapped[str] = mapped_column(index=True)
    name: Mapped[str | None]
    salt: Mapped[str]
    digest: Mapped[str]
    takes_snapshots: Mapped[bool]
    created_at: Mapped[dt.datetime]
