"""A server's rows: itself, its disks, its tags, and what became of those that are gone."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, cast

from sqlalchemy import JSON, ForeignKey, Index, Table, bindparam, delete, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import clock
from onestack.core.db import Record, bump
from onestack.core.errors import NotFound
from onestack.core.listed import among

TOPIC = "compute"


class ServerColumns:
    """What is known of a server, whether it is there or gone."""

    id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]  # counted through the whole cloud; hypervisors name guests by it
    project_id: Mapped[str]
    user_id: Mapped[str]
    name: Mapped[str]
    description: Mapped[str | None]
    hostname: Mapped[str]
    # What it was made of. The flavour and the image may have changed, or be gone, since.
    image_id: Mapped[str | None]
    image_properties: Mapped[dict[str, Any]] = mapped_column(default=dict)
    flavor_id: Mapped[str]
    flavor_name: Mapped[str]
    vcpus: Mapped[int]
    memory_mb: Mapped[int]
    root_gb: Mapped[int]
    ephemeral_gb: Mapped[int] = mapped_column(default=0)
    swap_mb: Mapped[int] = mapped_column(default=0)
    extra_specs: Mapped[dict[str, Any]] = mapped_column(default=dict)
    key_name: Mapped[str | None]
    public_key: Mapped[str | None]
    user_data: Mapped[str | None]
    guest_password: Mapped[str | None]  # as the guest encrypted it
    has_config_drive: Mapped[bool] = mapped_column(default=False)
    # Where it is.
    pinned_zone: Mapped[str | None]  # the zone that its creator asked for
    availability_zone: Mapped[str | None]
    host: Mapped[str | None]
    # What it is doing.
    vm_state: Mapped[str]
    task_state: Mapped[str | None]
    power_state: Mapped[int] = mapped_column(default=0)
    progress: Mapped[int] = mapped_column(default=0)
    locked_by: Mapped[str | None]  # owner or admin
    locked_reason: Mapped[str | None]
    fault: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    # What its creator said of it besides.
    metadata_items: Mapped[dict[str, Any]] = mapped_column(default=dict)
    access_ip_v4: Mapped[str | None]
    access_ip_v6: Mapped[str | None]
    disk_config: Mapped[str] = mapped_column(default="MANUAL")
    reservation_id: Mapped[str]
    launch_index: Mapped[int] = mapped_column(default=0)
    root_device_name: Mapped[str | None]
    security_groups: Mapped[list[str]] = mapped_column(default=list)  # names, for ports to come
    scheduler_hints: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    trusted_certificates: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    launched_at: Mapped[dt.datetime | None]
    terminated_at: Mapped[dt.datetime | None]


class ServerRecord(ServerColumns, Record):
    """A server."""

    __tablename__ = "servers"
    __table_args__ = (
        Index("ix_servers_project_id_created_at", "project_id", "created_at"),
        Index("ix_servers_created_at_id", "created_at", "id"),
        Index("ix_servers_updated_at", "updated_at"),
        Index("ix_servers_host", "host"),
    )
    topic = TOPIC

    @property
    def guest_name(self) -> str:
        """What its hypervisor calls it."""
        return f"instance-{self.number:08x}"


class DeletedServerRecord(ServerColumns, Record):
    """A server that is gone, kept a while for those who ask what changed or what was used."""

    __tablename__ = "deleted_servers"
    __table_args__ = (
        Index("ix_deleted_servers_project_id_terminated_at", "project_id", "terminated_at"),
        Index("ix_deleted_servers_terminated_at", "terminated_at"),
    )
    topic = TOPIC


class BlockDeviceRecord(Record):
    """A disk of a server: one of its own, or a volume.

    `source_type` is what it is made of (image, volume, snapshot, blank), `destination_type` what it
    becomes (local, volume).
    """

    __tablename__ = "server_block_devices"
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    server_id: Mapped[str] = mapped_column(ForeignKey("servers.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    source_type: Mapped[str]
    destination_type: Mapped[str]
    image_id: Mapped[str | None]
    snapshot_id: Mapped[str | None]
    volume_id: Mapped[str | None] = mapped_column(index=True)
    attachment_id: Mapped[str | None]
    volume_type: Mapped[str | None]
    size_gb: Mapped[int | None]
    boot_index: Mapped[int | None]
    device_name: Mapped[str | None]
    disk_bus: Mapped[str | None]
    device_type: Mapped[str | None]
    guest_format: Mapped[str | None]
    tag: Mapped[str | None]
    delete_on_termination: Mapped[bool] = mapped_column(default=False)
    is_attached: Mapped[bool] = mapped_column(default=False)  # the guest has it

    @property
    def is_root(self) -> bool:
        return self.boot_index == 0


class InterfaceRecord(Record):
    """A port that a server has, in the server's own order."""

    __tablename__ = "server_interfaces"
    topic = TOPIC

    port_id: Mapped[str] = mapped_column(primary_key=True)
    server_id: Mapped[str] = mapped_column(ForeignKey("servers.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    tag: Mapped[str | None]


class ServerTagRecord(Record):
    """A tag of a server."""

    __tablename__ = "server_tags"
    topic = TOPIC

    server_id: Mapped[str] = mapped_column(
        ForeignKey("servers.id", ondelete="CASCADE"), primary_key=True
    )
    tag: Mapped[str] = mapped_column(primary_key=True, index=True)


class ServerNotFound(NotFound):
    message = "Instance {server_id} could not be found."


_SERVERS = cast(Table, ServerRecord.__table__)
_DELETED = cast(Table, DeletedServerRecord.__table__)
_NAMES = [each.name for each in _DELETED.c]
# Built once: what a statement costs is mostly its building.
_DISKS_OF = (
    select(BlockDeviceRecord)
    .where(BlockDeviceRecord.server_id == bindparam("server"))
    .order_by(BlockDeviceRecord.position)
)
_INTERFACES_OF = (
    select(InterfaceRecord)
    .where(InterfaceRecord.server_id == bindparam("server"))
    .order_by(InterfaceRecord.position)
)
_TAGS_OF = (
    select(ServerTagRecord.server_id, ServerTagRecord.tag)
    .where(among(ServerTagRecord.server_id, "servers"))
    .order_by(ServerTagRecord.tag)
)


def find(session: Session, server_id: str) -> ServerRecord:
    """The server with this id."""
    record = session.get(ServerRecord, server_id)
    if record is None:
        raise ServerNotFound(server_id=server_id[:64])
    return record


def disks_of(session: Session, server_id: str) -> Sequence[BlockDeviceRecord]:
    """A server's disks, in their order."""
    return session.scalars(_DISKS_OF, {"server": server_id}).all()


def interfaces_of(session: Session, server_id: str) -> Sequence[InterfaceRecord]:
    """A server's ports, in their order."""
    return session.scalars(_INTERFACES_OF, {"server": server_id}).all()


def tags_of(session: Session, server_ids: Iterable[str]) -> dict[str, list[str]]:
    """Servers' tags, sorted, by the servers' ids."""
    rows = session.execute(_TAGS_OF, {"servers": list(server_ids)})
    found: dict[str, list[str]] = {}
    for server_id, tag in rows:
        found.setdefault(server_id, []).append(tag)
    return found


def touch(server: ServerRecord) -> None:
    """Note that a server changed now."""
    server.updated_at = clock.now()


def bury(session: Session, server: ServerRecord) -> None:
    """Take a server away, and keep what it was."""
    now = clock.now()
    server.vm_state, server.task_state, server.fault = "deleted", None, None
    server.terminated_at = server.updated_at = now
    session.flush()
    kept = select(*[_SERVERS.c[name] for name in _NAMES]).where(_SERVERS.c.id == server.id)
    connection = session.connection()
    connection.execute(insert(_DELETED).from_select(_NAMES, kept))
    connection.execute(delete(_SERVERS).where(_SERVERS.c.id == server.id))
    session.expunge(server)
    bump(session, TOPIC)


def forget(session: Session, keep_s: float) -> None:
    """Forget the servers that are gone for longer."""
    oldest = clock.now() - dt.timedelta(seconds=keep_s)
    session.execute(delete(DeletedServerRecord).where(DeletedServerRecord.terminated_at < oldest))
