"""Role assignments as rows: who has which role on what."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Record

SYSTEM = "system"


class AssignmentRecord(Record):
    """One role of one user or group on one project, domain or the system."""

    __tablename__ = "assignments"
    topic = "identity"

    actor_kind: Mapped[str] = mapped_column(primary_key=True)  # user or group
    actor_id: Mapped[str] = mapped_column(primary_key=True, index=True)
    target_kind: Mapped[str] = mapped_column(primary_key=True)  # project, domain or system
    target_id: Mapped[str] = mapped_column(primary_key=True, index=True)
    role_id: Mapped[str] = mapped_column(
        ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    inherited: Mapped[bool] = mapped_column(primary_key=True, default=False)
