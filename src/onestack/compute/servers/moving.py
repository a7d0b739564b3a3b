"""What all moves of servers share: a host is chosen, a server arrives on one, or goes back."""

from typing import Any, Literal

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from onestack import volume
from onestack.compute import placing
from onestack.compute.hypervisor import Guest, Hypervisor
from onestack.compute.migrations.record import (
    OPEN,
    MigrationRecord,
    give_back,
    give_size,
    let_go,
    set_status,
)
from onestack.compute.nodes import find as find_node
from onestack.compute.servers import networking
from onestack.compute.servers.connector import connector_of
from onestack.compute.servers.record import BlockDeviceRecord, ServerRecord, disks_of, touch
from onestack.compute.servers.spec import spec_of
from onestack.compute.servers.states import show_power
from onestack.core import agents, clock
from onestack.core.agents import NoSuchAgent
from onestack.core.bus import agent_address
from onestack.core.errors import BadRequest
from onestack.core.flow import Ask, Child, Failure, Flow, Next, Sleep, Step, step

COPY_S = 6 * 3600.0  # how long a disk may be on its way
CREATE_S = 1800.0
WIRING_S = 300.0
LOOK_S = 30.0


class Unavailable(BadRequest):
    """Who moves a server may not know the names of hosts."""

    message = "Service is unavailable at this time."


def check_is_up(session: Session, server: ServerRecord) -> None:
    """Refuse to ask a host for its guest that does not answer: from there, it is evacuated."""
    if not is_up(session, str(server.host)):
        raise Unavailable


def is_up(session: Session, host: str) -> bool:
    """Whether a host's hypervisor was heard of lately, and nobody said that it is down."""
    try:
        return agents.of_host(session, host, "hypervisor").is_alive
    except NoSuchAgent:
        return False


def agent(host: str | None) -> str:
    """Where a host's hypervisor is asked."""
    return agent_address(str(host), "hypervisor")


def is_volume_backed(session: Session, server: ServerRecord) -> bool:
    """Whether a server's root disk is a volume."""
    disks = disks_of(session, server.id)
    return any(each.is_root and each.destination_type == "volume" for each in disks)


def place(
    flow: Flow[ServerRecord], size: dict[str, Any], *, host: str | None = None,
    avoid: tuple[str | None, ...] = (),
) -> placing.Placed | None:  # fmt: skip
    """Choose a host for a server of this size, and claim what it takes there."""
    server = flow.subject
    root_gb = 0 if is_volume_backed(flow.session, server) else size["root_gb"]
    disk_gb = placing.disk_gb(root_gb, size["ephemeral_gb"], size["swap_mb"])
    wanted = placing.Size(size["vcpus"], size["memory_mb"], disk_gb, size["extra_specs"])
    spec = placing.spec_of(
        flow.session, server, wanted, host=host, avoid=[each for each in avoid if each]
    )
    placed = placing.place(flow.session, flow.cloud, [spec])
    return placed[0] if placed else None


def note_destination(session: Session, migration: MigrationRecord, placed: placing.Placed) -> None:
    """Note where a migration goes."""
    migration.dest_host = placed.host
    migration.dest_address = find_node(session, placed.host).address
    set_status(migration, "migrating")


class Arrive(Flow[ServerRecord]):
    """A server's ports and volumes come to the host that the server is on, then its guest runs."""

    shown_in = ""  # what a server's task is says whoever moves it
    deadline_s = COPY_S

    how: Literal["create", "start", "rest"]
    wiring_since: float = 0.0

    @step()
    def bind(self) -> Next:
        networking.bind(self.session, self.subject)
        for disk in _volumes(self.session, self.subject):
            disk.is_attached = False
        self.wiring_since = clock.now().timestamp()
        return self.connect

    @step()
    def connect(self) -> Next:
        """One volume at a time is exported to the host; then this looks again."""
        for disk in _volumes(self.session, self.subject):
            if not disk.is_attached:
                disk.is_attached = True
                state = {"connector": connector_of(self.session, str(self.subject.host))}
                attachment = _attachment(self.session, disk)
                return Child(volume.Connect, attachment, state=state, then=self.connect)
        mark_attached(self.session, self.subject)
        return self.wait_for_ports

    @step()
    def wait_for_ports(self) -> Next:
        if self.how == "rest" or networking.are_wired(self.session, self.subject):
            return self.run
        if clock.now().timestamp() - self.wiring_since > WIRING_S:
            raise Failure("VirtualInterfaceCreateException", "Virtual Interface creation failed")
        return Sleep(LOOK_S)

    @step()
    def run(self) -> Next:
        if self.how == "rest":
            return None
        is_new = self.how == "create"
        guest = spec_of(self.session, self.cloud, self.subject, is_new=is_new)
        method = Hypervisor.create if is_new else Hypervisor.start
        return Ask(
            agent(self.subject.host), method, {"guest": guest}, then=self.running,
            timeout_s=CREATE_S,
        )  # fmt: skip

    @step()
    def running(self, guest: Guest) -> Next:
        show_power(self.subject, guest.power)
        return None


class TurnBack(Flow[ServerRecord]):
    """A server is again what and where it was before a migration."""

    shown_in = ""
    deadline_s = COPY_S

    migration_id: int
    status: str  # the migration's in the end
    destination: str = ""

    @step()
    def clear(self) -> Next:
        """What came to the other host goes; one that is dead hears of it when it comes back."""
        migration = self.session.get_one(MigrationRecord, self.migration_id)
        self.destination = migration.dest_host or ""
        if self.destination in ("", migration.source_host):
            return self.restore
        return Ask(
            agent(self.destination), Hypervisor.destroy, {"guest_id": self.subject.id},
            then=self.restore, otherwise=self.restore, timeout_s=CREATE_S,
        )  # fmt: skip

    @step()
    def restore(self) -> Next:
        server = self.subject
        migration = self.session.get_one(MigrationRecord, self.migration_id)
        give_back(self.session, server, migration)
        give_size(server, migration.old_flavor)
        server.host = migration.source_host
        set_status(migration, self.status)
        touch(server)
        how = "start" if migration.old_state == "active" else "rest"
        return Child(Arrive, server, state={"how": how}, then=self.restored)

    @step()
    def restored(self) -> Next:
        migration = self.session.get_one(MigrationRecord, self.migration_id)
        self.subject.vm_state = migration.old_state
        return None


def attachments(session: Session, server: ServerRecord) -> list[str]:
    """The attachments of a server's volumes."""
    return [str(each.attachment_id) for each in _volumes(session, server)]


def connect(
    session: Session, attachment_id: str, connector: dict[str, Any], then: Step, otherwise: Step,
    *, is_shared: bool = False,
) -> Next:  # fmt: skip
    """Have a volume exported to a host, alone or not, by an attachment that is there."""
    attachment = session.get(volume.Connect.subject_type, attachment_id)
    if attachment is None:
        return then
    state = {"connector": connector, "is_shared": is_shared}
    return Child(volume.Connect, attachment, state=state, then=then, otherwise=otherwise)


def mark_attached(session: Session, server: ServerRecord) -> None:
    """Tell the volume service that a server has its volumes."""
    for disk in _volumes(session, server):
        attachment = _attachment(session, disk)
        if attachment.attach_status != "attached":
            volume.mark(session, attachment, "attached", disk.device_name)


def hosts_of(session: Session, server: ServerRecord) -> list[str]:
    """The hosts that may have something of a server's guest, since it is on its way."""
    ways = session.scalars(_open(server.id)).all()
    return [host for each in ways for host in (each.source_host, each.dest_host) if host]


def forget(session: Session, server_id: str) -> None:
    """The migrations of a server that is gone hold nothing."""
    for each in session.scalars(_open(server_id)).all():
        let_go(session, each)
        set_status(each, "error")


def _open(server_id: str) -> Select[MigrationRecord]:
    return select(MigrationRecord).where(
        MigrationRecord.server_id == server_id, MigrationRecord.status.in_(OPEN)
    )


def _volumes(session: Session, server: ServerRecord) -> list[BlockDeviceRecord]:
    return [each for each in disks_of(session, server.id) if each.attachment_id is not None]


def _attachment(session: Session, disk: BlockDeviceRecord) -> Any:
    found = volume.attachments_of(session, [disk.server_id])
    return next(each for each in found if each.id == disk.attachment_id)
