"""A migration's row: from where to where a server goes, and what it holds until it is over."""

import datetime as dt
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack import placement
from onestack.compute.flavors.record import FlavorRecord
from onestack.compute.servers.record import TOPIC, ServerRecord
from onestack.core import clock
from onestack.core.context import Caller
from onestack.core.db import Record
from onestack.core.errors import NotFound
from onestack.placement import Claim

OPEN = (
    "accepted", "queued", "preparing", "running", "pre-migrating", "migrating", "post-migrating",
    "finished", "reverting", "confirming",
)  # fmt: skip
SIZE = ("vcpus", "memory_mb", "root_gb", "ephemeral_gb", "swap_mb", "extra_specs")


class MigrationRecord(Record):
    """One way of one server; it outlives the server.

    While a server is being moved, its claim on the host that it leaves is the migration's, in
    placement under the migration's own id.
    """

    __tablename__ = "migrations"
    topic = TOPIC

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(unique=True)
    server_id: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]  # resize, migration, live-migration or evacuation
    status: Mapped[str]
    source_host: Mapped[str | None]
    dest_host: Mapped[str | None]
    dest_address: Mapped[str | None]
    old_flavor: Mapped[dict[str, Any]]  # the size that the server comes with
    new_flavor: Mapped[dict[str, Any]]
    old_state: Mapped[str]  # what the server was doing before
    project_id: Mapped[str]
    user_id: Mapped[str]
    created_at: Mapped[dt.datetime] = mapped_column(index=True)
    updated_at: Mapped[dt.datetime] = mapped_column(index=True)


class MigrationNotFound(NotFound):
    message = "Migration {migration_id} could not be found."


def begin(
    session: Session, server: ServerRecord, kind: str, caller: Caller,
    flavor: FlavorRecord | None = None, specs: dict[str, str] | None = None,
) -> MigrationRecord:  # fmt: skip
    """A migration of a server, to a size of its own or the one that it has."""
    now = clock.now()
    old = size_of(server)
    record = MigrationRecord(
        uuid=str(UUID(clock.new_id())), server_id=server.id, kind=kind, status="accepted",
        source_host=server.host, old_flavor=old,
        new_flavor=old if flavor is None else _size_of_flavor(flavor, specs or {}),
        old_state=server.vm_state, project_id=caller.project_id or server.project_id,
        user_id=caller.user_id, created_at=now, updated_at=now,
    )  # fmt: skip
    session.add(record)
    session.flush()
    return record


def set_status(record: MigrationRecord, status: str) -> None:
    """Note how far a migration is."""
    record.status, record.updated_at = status, clock.now()


def open_of(session: Session, server_id: str) -> MigrationRecord | None:
    """The migration of a server that is not over."""
    wanted = select(MigrationRecord).where(
        MigrationRecord.server_id == server_id, MigrationRecord.status.in_(OPEN)
    )
    return session.scalars(wanted.order_by(MigrationRecord.id.desc())).first()


def size_of(server: ServerRecord) -> dict[str, Any]:
    """What a server has of its flavour."""
    known = {"id": server.flavor_id, "name": server.flavor_name}
    return known | {name: getattr(server, name) for name in SIZE}


def give_size(server: ServerRecord, size: dict[str, Any]) -> None:
    """Let a server have another flavour."""
    server.flavor_id, server.flavor_name = size["id"], size["name"]
    for name in SIZE:
        setattr(server, name, size[name])


def take_over(session: Session, server: ServerRecord, record: MigrationRecord) -> None:
    """From here on the migration holds what the server held, which may claim anew."""
    _pass_on(session, server, server.id, record.uuid, "MIGRATION")


def give_back(session: Session, server: ServerRecord, record: MigrationRecord) -> None:
    """The server holds what the migration held, and nothing else."""
    _pass_on(session, server, record.uuid, server.id, "INSTANCE")


def let_go(session: Session, record: MigrationRecord) -> None:
    """The migration holds nothing any more."""
    placement.release(session, record.uuid)


def _size_of_flavor(flavor: FlavorRecord, specs: dict[str, str]) -> dict[str, Any]:
    known = {"id": flavor.id, "name": flavor.name, "extra_specs": specs}
    return known | {name: getattr(flavor, name) for name in SIZE if name != "extra_specs"}


def _pass_on(
    session: Session, server: ServerRecord, holder: str, heir: str, type_of_heir: str
) -> None:
    """What one consumer holds of a server's host, the other holds from here on."""
    held = placement.holdings(session, holder)
    if held:
        theirs = Claim(
            consumer_id=heir, amounts=held, project_id=server.project_id,
            user_id=server.user_id, type=type_of_heir,
        )  # fmt: skip
        placement.replace(session, [Claim(consumer_id=holder, amounts={}), theirs])
