"""A flavour's rows: its size, what it asks of hosts, and the projects that it is for."""

import datetime as dt
from collections.abc import Iterable

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import clock
from onestack.core.db import Record, RevisionRecord, bump
from onestack.core.errors import NotFound

TOPIC = "compute"
MADE = "compute.first_flavors"  # what an administrator deletes of them stays deleted
# Made once, when the cloud is: id, name, virtual processors, memory in MB and root disk in GB.
FIRST = (
    ("42", "m1.nano", 1, 128, 1),
    ("84", "m1.micro", 1, 192, 1),
    ("1", "m1.tiny", 1, 512, 1),
    ("2", "m1.small", 1, 2048, 20),
    ("3", "m1.medium", 2, 4096, 40),
    ("4", "m1.large", 4, 8192, 80),
    ("5", "m1.xlarge", 8, 16384, 160),
)


class FlavorRecord(Record):
    """A size that servers come in."""

    __tablename__ = "flavors"
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    vcpus: Mapped[int]
    memory_mb: Mapped[int]
    root_gb: Mapped[int]
    ephemeral_gb: Mapped[int] = mapped_column(default=0)
    swap_mb: Mapped[int] = mapped_column(default=0)
    rxtx_factor: Mapped[float] = mapped_column(default=1.0)
    is_public: Mapped[bool] = mapped_column(default=True)
    disabled: Mapped[bool] = mapped_column(default=False)
    description: Mapped[str | None]
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime | None]


class FlavorExtraSpecRecord(Record):
    """What a flavour asks of hosts, or of guests."""

    __tablename__ = "flavor_extra_specs"
    topic = TOPIC

    flavor_id: Mapped[str] = mapped_column(
        ForeignKey("flavors.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class FlavorAccessRecord(Record):
    """A project that a private flavour is for."""

    __tablename__ = "flavor_access"
    topic = TOPIC

    flavor_id: Mapped[str] = mapped_column(
        ForeignKey("flavors.id", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[str] = mapped_column(primary_key=True, index=True)


class FlavorNotFound(NotFound):
    message = "Flavor {flavor_id} could not be found."


def find(
    session: Session, flavor_id: str, project_id: str | None, *, is_admin: bool = False
) -> FlavorRecord:
    """The flavour with this id, if the project may use it; else as if there were none."""
    record = session.get(FlavorRecord, flavor_id)
    if record is None:
        raise FlavorNotFound(flavor_id=flavor_id)
    if record.is_public or is_admin:
        return record
    if project_id is None or session.get(FlavorAccessRecord, (flavor_id, project_id)) is None:
        raise FlavorNotFound(flavor_id=flavor_id)
    return record


def extra_specs_of(session: Session, flavor_id: str) -> dict[str, str]:
    """What a flavour asks of hosts and guests."""
    return extra_specs_by_flavor(session, (flavor_id,)).get(flavor_id, {})


def extra_specs_by_flavor(session: Session, ids: Iterable[str]) -> dict[str, dict[str, str]]:
    """What flavours ask for, by their ids."""
    rows = session.execute(
        select(
            FlavorExtraSpecRecord.flavor_id,
            FlavorExtraSpecRecord.name,
            FlavorExtraSpecRecord.value,
        ).where(FlavorExtraSpecRecord.flavor_id.in_(ids))
    )
    found: dict[str, dict[str, str]] = {}
    for flavor_id, name, value in rows:
        found.setdefault(flavor_id, {})[name] = value
    return found


def bootstrap(session: Session) -> bool:
    """Make the first flavours, once in a cloud's life; whether this was that time."""
    if session.get(RevisionRecord, MADE) is not None:
        return False
    bump(session, MADE)
    now = clock.now()
    session.add_all(
        FlavorRecord(
            id=flavor_id, name=name, vcpus=vcpus, memory_mb=memory_mb, root_gb=root_gb,
            created_at=now,
        )
        for flavor_id, name, vcpus, memory_mb, root_gb in FIRST
    )  # fmt: skip
    return True
