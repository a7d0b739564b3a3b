"""Decisions of the scheduler, kept so that everybody can be told why a server is where it is."""

import datetime as dt
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.api import Operations
from onestack.core.db import Record

api = Operations("scheduling decisions")


class DecisionRecord(Record):
    """Where a server was put, or why nowhere."""

    __tablename__ = "scheduling_decisions"

    id: Mapped[int] = mapped_column(primary_key=True)
    server_id: Mapped[str] = mapped_column(index=True)
    project_id: Mapped[str]
    request_id: Mapped[str | None]
    decided_at: Mapped[dt.datetime] = mapped_column(index=True)
    host: Mapped[str | None]
    verdicts: Mapped[dict[str, Any]]
