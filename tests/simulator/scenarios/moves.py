"""A server gets another size, another disk or another host; whatever goes wrong, it is whole in the
end: one guest, where its row says, and claims that are its own."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack import image, placement
from onestack.compute import nodes
from onestack.compute.decisions import DecisionRecord
from onestack.compute.drivers.simulated import HostFailed, SimulatedHypervisor
from onestack.compute.hosts import Hosts
from onestack.compute.hypervisor import GuestSpec, Hypervisor
from onestack.compute.migrations import record as migrations
from onestack.compute.migrations.record import MigrationRecord
from onestack.compute.nodes import ComputeNodeRecord
from onestack.compute.servers import instance_actions
from onestack.compute.servers.delete import Delete
from onestack.compute.servers.evacuate import EvacuateServer
from onestack.compute.servers.instance_actions import ActionRecord
from onestack.compute.servers.migrate import MigrateLive
from onestack.compute.servers.moving import Arrive, TurnBack
from onestack.compute.servers.reboot import RebootServer, ResetServer
from onestack.compute.servers.rebuild import RebuildServer
from onestack.compute.servers.record import BlockDeviceRecord, DeletedServerRecord, ServerRecord
from onestack.compute.servers.rescue import RescueServer, UnrescueServer
from onestack.compute.servers.resize import ConfirmResize, ResizeServer, RevertResize
from onestack.compute.servers.shelve import (
    OffloadGuest,
    OffloadServer,
    ShelvedServerRecord,
    ShelveServer,
    UnshelveServer,
)
from onestack.compute.servers.snapshot import SnapshotServer, SnapshotVolumes
from onestack.compute.servers.start import StartServer
from onestack.compute.servers.suspend import ResumeServer, SuspendServer
from onestack.compute.settings import ComputeSettings
from onestack.core import clock, trace
from onestack.core.agents import AgentRecord
from onestack.core.bus import agent_address
from onestack.core.context import Caller, Cloud
from onestack.core.db import Database
from onestack.core.flow import Flow
from onestack.core.seal import Seal
from onestack.image.images.record import ImagePropertyRecord, ImageRecord
from onestack.image.images.snapshots import Snapshots
from onestack.image.store import StoreSlot
from onestack.image.tickets import Gate
from onestack.placement import Claim, Snapshot
from onestack.placement.record import (
    AllocationRecord,
    ConsumerRecord,
    InventoryRecord,
    ProviderAggregateRecord,
    ProviderRecord,
    ProviderTraitRecord,
)
from onestack.volume.snapshots.record import SnapshotRecord
from onestack.volume.snapshots.take import CreateSnapshot
from tests.simulator.drivers import Served
from tests.simulator.scenario import Scenario
from tests.simulator.scenarios.power import server
from tests.simulator.scenarios.volume import Volumes, snapshot

HOSTS = ("north", "south")
AGES = dt.timedelta(days=1)
SMALL = {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}
LARGE = {"VCPU": 2, "MEMORY_MB": 1024, "DISK_GB": 2}
CALLER = Caller("u", "u", "default", project_id="p")
SEAL = Seal(b"k" * 32)
FLOWS = (
    StartServer, RebootServer, ResetServer, SuspendServer, ResumeServer, RebuildServer, Arrive,
    TurnBack, ResizeServer, ConfirmResize, RevertResize, MigrateLive, EvacuateServer,
    SnapshotServer, RescueServer, UnrescueServer, ShelveServer, OffloadGuest, OffloadServer,
    UnshelveServer, Delete,
)  # fmt: skip


class Host(SimulatedHypervisor):
    """Refuses what it is told to refuse, and sends nothing anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses: set[str] = set()

    def snapshot(self, guest_id: str, url: str, disk_format: str) -> None:
        self._may("snapshot")
        self._of(guest_id)

    def create(self, guest: GuestSpec) -> Any:
        self._may("create")
        return super().create(guest)

    def start(self, guest: GuestSpec) -> Any:
        self._may("start")
        return super().start(guest)

    def migrate(self, guest: GuestSpec, address: str) -> None:
        self._may("migrate")
        super().migrate(guest, address)

    def send_disks(self, guest_id: str, address: str) -> None:
        self._may("send_disks")
        super().send_disks(guest_id, address)

    def _may(self, name: str) -> None:
        if name in self.refuses:
            raise HostFailed


class Moves(Scenario):
    """Two hosts, and a server on the first."""

    flows = FLOWS
    records = (
        ShelvedServerRecord, BlockDeviceRecord, ActionRecord, MigrationRecord, DecisionRecord,
        ServerRecord, DeletedServerRecord, ComputeNodeRecord, AgentRecord, AllocationRecord,
        ConsumerRecord, InventoryRecord, ProviderAggregateRecord, ProviderTraitRecord,
        ProviderRecord, ImagePropertyRecord, ImageRecord,
    )  # fmt: skip
    flow: ClassVar[type[Flow[Any]]]
    before: ClassVar[tuple[str, str]] = ("active", "running")
    after: ClassVar[tuple[str, str | None]]  # the server's state, and whether its guest runs
    host: ClassVar[str | None] = HOSTS[0]  # where it is in the end
    held: ClassVar[dict[str, int]] = SMALL
    result = "Success"
    refuses: ClassVar[dict[str, set[str]]] = {}

    def wire(self, database: Database) -> Cloud:
        hosts = Hosts(database, Snapshot(database), ComputeSettings())
        return Cloud(hosts, Gate("http://control", SEAL))

    def prepare(self, session: Session) -> None:
        now = clock.now()
        described = {"driver": "simulated", "hypervisor_type": "fake", "hypervisor_version": 1,
                     "vcpus": 8, "memory_mb": 8192, "disk_gb": 100}  # fmt: skip
        for host in HOSTS:
            agent = AgentRecord(
                id=f"{host:0<32}".encode().hex()[:32], host=host, kind="hypervisor",
                driver="simulated", boot="b", description=described, created_at=now,
                started_at=now, changed_at=now, seen_at=now + AGES,
            )  # fmt: skip
            session.add(agent)
            session.flush()
            nodes.enrol(session, agent)
        session.add(self.server())
        session.flush()
        if self.host_before is not None:
            claim(session, "s", self.host_before, SMALL)

    host_before: ClassVar[str | None] = HOSTS[0]

    def server(self) -> ServerRecord:
        return server(vm_state=self.before[0], host=self.host_before, extra_specs={})

    def agents(self) -> Mapping[str, Any]:
        found = {host: Host() for host in HOSTS}
        for host, methods in self.refuses.items():
            found[host].refuses = methods
        if self.host_before is not None:
            here = found[self.host_before]
            SimulatedHypervisor.start(here, GuestSpec(id="s", name="i", vcpus=1, memory_mb=512))
            here._powered("s", self.before[1])  # type: ignore[arg-type]
        return {
            agent_address(host, "hypervisor"): Served(each, Hypervisor)
            for host, each in found.items()
        }

    def begin(self, session: Session) -> None:
        if session.scalar(select(ActionRecord.id)) is not None:
            return
        found = session.get_one(ServerRecord, "s")
        with trace.recording("req-1"):
            self.flow.start(session, found, **self.state(session, found))
            instance_actions.begin(session, found, "verb")

    def state(self, session: Session, found: ServerRecord) -> dict[str, Any]:
        """What the flow begins with."""
        return {}

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        found = session.get_one(ServerRecord, "s")
        guests = {
            host: each.power
            for host in HOSTS
            for each in agents[agent_address(host, "hypervisor")].driver.guests()
        }
        assert (found.vm_state, found.task_state, found.host) == (self.after[0], None, self.host)
        assert guests == ({} if self.after[1] is None else {self.host: self.after[1]})
        assert claims(session) == ({} if self.host is None else {("s", self.host): self.held})
        (noted,) = session.scalars(select(ActionRecord))
        assert [each["result"] for each in noted.events] == [self.result]


class Start(Moves):
    flow, before, after = StartServer, ("stopped", "shutdown"), ("active", "running")


class Reboot(Moves):
    flow, after = RebootServer, ("active", "running")


class Reset(Moves):
    flow, before, after = ResetServer, ("error", "crashed"), ("active", "running")


class Suspend(Moves):
    flow, after = SuspendServer, ("suspended", "suspended")


class Resume(Moves):
    flow, before, after = ResumeServer, ("suspended", "suspended"), ("active", "running")


class Rebuild(Moves):
    flow, after = RebuildServer, ("active", "running")

    def state(self, session: Session, found: ServerRecord) -> dict[str, Any]:
        return {"was_stopped": False}


class RebuildFails(Rebuild):
    """The host does not make the new guest: the server is in error, and still holds its place."""

    after, result = ("error", None), "Error"
    refuses: ClassVar[dict[str, set[str]]] = {"north": {"create"}}


class Files:
    """A store whose data is somewhere."""

    name = "files"

    def path(self, name: str) -> str | None:
        return None


class Rescue(Moves):
    """A server starts from a rescue image, with its own disks beside it."""

    flow, after = RescueServer, ("rescued", "running")

    def wire(self, database: Database) -> Cloud:
        cloud = super().wire(database)
        cloud.put(Snapshots(database, "files"))
        cloud.put(StoreSlot(Files()))  # type: ignore[arg-type]
        return cloud

    def prepare(self, session: Session) -> None:
        super().prepare(session)
        now = clock.now()
        session.add(
            ImageRecord(
                id="i", name="rescue", owner="p", status="active", visibility="private",
                protected=False, os_hidden=False, disk_format="raw", container_format="bare",
                min_disk=0, min_ram=0, size=1, data="d", created_at=now, updated_at=now,
            )
        )  # fmt: skip

    def state(self, session: Session, found: ServerRecord) -> dict[str, Any]:
        return {"image_id": "i", "disk_id": "rescue-1"}


class Unrescue(Moves):
    flow, before, after = UnrescueServer, ("rescued", "running"), ("active", "running")


class Resize(Moves):
    """To another host; there it is confirmed, or taken back, later."""

    flow, after, host, held = ResizeServer, ("resized", "running"), "south", LARGE

    def state(self, session: Session, found: ServerRecord) -> dict[str, Any]:
        return {"migration_id": migration(session, found, "resize", LARGE).id, "can_stay": False}

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        found = session.get_one(ServerRecord, "s")
        (way,) = session.scalars(select(MigrationRecord))
        assert (found.vm_state, found.task_state, found.host) == ("resized", None, "south")
        assert (found.vcpus, way.status) == (2, "finished")
        assert claims(session) == {("s", "south"): LARGE, (way.uuid, "north"): SMALL}
        powers = [powers_of(agents, host) for host in HOSTS]
        assert powers == [["shutdown"], ["running"]]


class ResizeThenDelete(Resize):
    """The delete comes while the resize is under way, or when it is over."""

    can_be_interrupted = True

    def interrupt(self, session: Session) -> None:
        found = session.get(ServerRecord, "s")
        if found is not None and found.task_state != "deleting":
            Delete.start(session, found)

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        if not was_interrupted:
            super().check(session, agents, was_interrupted=False)
            return
        assert session.get(ServerRecord, "s") is None
        assert claims(session) == {}
        assert [powers_of(agents, host) for host in HOSTS] == [[], []]


class ResizeFails(Resize):
    """The other host does not start the guest: the server turns back."""

    after, host, held, result = ("active", "running"), "north", SMALL, "Error"
    refuses: ClassVar[dict[str, set[str]]] = {"south": {"start"}}
    check = Moves.check


class SendingFails(ResizeFails):
    """The disks do not get there."""

    refuses: ClassVar[dict[str, set[str]]] = {"north": {"send_disks"}}


class NoRoom(ResizeFails):
    """Nowhere is room for the new size."""

    asks = False
    refuses: ClassVar[dict[str, set[str]]] = {}

    def state(self, session: Session, found: ServerRecord) -> dict[str, Any]:
        huge = {**LARGE, "MEMORY_MB": 1_000_000}
        return {"migration_id": migration(session, found, "resize", huge).id, "can_stay": True}


class Confirm(Moves):
    """A server that was resized keeps its new size; nothing is left where it was."""

    flow, before, after = ConfirmResize, ("resized", "running"), ("active", "running")
    host, host_before, held = "south", "south", LARGE

    def prepare(self, session: Session) -> None:
        super().prepare(session)
        found = session.get_one(ServerRecord, "s")
        found.host, found.vm_state = "north", "active"
        way = migration(session, found, "resize", LARGE)
        found.host, found.vm_state, way.dest_host = "south", "resized", "south"
        migrations.give_size(found, way.new_flavor)
        migrations.set_status(way, "finished")
        migrations.take_over(session, found, way)
        claim(session, way.uuid, "north", SMALL)
        claim(session, "s", "south", LARGE)

    def agents(self) -> Mapping[str, Any]:
        agents = super().agents()
        north = agents[agent_address("north", "hypervisor")].driver
        SimulatedHypervisor.start(north, GuestSpec(id="s", name="i", vcpus=1, memory_mb=512))
        north._powered("s", "shutdown")
        return agents

    def state(self, session: Session, found: ServerRecord) -> dict[str, Any]:
        (way,) = session.scalars(select(MigrationRecord))
        return {"migration_id": way.id}


class Revert(Confirm):
    """A server that was resized is what and where it was before."""

    flow, host, held = RevertResize, "north", SMALL


class Live(Moves):
    """A server moves while it runs."""

    flow, after, host = MigrateLive, ("active", "running"), "south"

    def state(self, session: Session, found: ServerRecord) -> dict[str, Any]:
        return {"migration_id": migration(session, found, "live-migration", SMALL).id}


class LiveFails(Live):
    """It does not get there, and stays where it is."""

    host, result = "north", "Error"
    refuses: ClassVar[dict[str, set[str]]] = {"north": {"migrate"}}


class LiveThenDelete(Live):
    """The delete comes while the server moves, or when it is there."""

    can_be_interrupted = True
    interrupt = ResizeThenDelete.interrupt

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        if not was_interrupted:
            super().check(session, agents, was_interrupted=False)
            return
        assert session.get(ServerRecord, "s") is None
        assert claims(session) == {}
        assert [powers_of(agents, host) for host in HOSTS] == [[], []]


class Evacuate(Live):
    """The first host is lost, with what was on it."""

    flow = EvacuateServer

    def agents(self) -> Mapping[str, Any]:
        agents = super().agents()
        agents[agent_address("north", "hypervisor")].driver.destroy("s")
        return agents

    def state(self, session: Session, found: ServerRecord) -> dict[str, Any]:
        return {"migration_id": migration(session, found, "evacuation", SMALL).id}


class MakeImage(Moves):
    """An image is made of the server's disk."""

    flow, after = SnapshotServer, ("active", "running")

    def state(self, session: Session, found: ServerRecord) -> dict[str, Any]:
        # An image that will be made has its data from the start: nothing is sent here.
        wanted = image.Draft("made", "p", needs_data=self.result != "Success")
        return {"image_id": image.draft(session, wanted)}

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        super().check(session, agents, was_interrupted=was_interrupted)
        statuses = list(session.scalars(select(ImageRecord.status)))
        assert statuses == (["active"] if self.result == "Success" else [])


class MakingImageFails(MakeImage):
    """The host cannot: no image is left."""

    result = "Error"
    refuses: ClassVar[dict[str, set[str]]] = {"north": {"snapshot"}}


class Shelve(MakeImage):
    """The server becomes an image, and leaves its host."""

    flow, after, host = ShelveServer, ("shelved_offloaded", None), None

    def state(self, session: Session, found: ServerRecord) -> dict[str, Any]:
        return {"was_running": True, **super().state(session, found)}


class ShelvingFails(Shelve):
    """There is no image, so the server goes on."""

    after, host, result = ("active", "running"), "north", "Error"
    refuses: ClassVar[dict[str, set[str]]] = {"north": {"snapshot"}}


class Offload(Moves):
    """A shelved server that is still on its host leaves it."""

    flow, before, after = OffloadServer, ("shelved", "shutdown"), ("shelved_offloaded", None)
    host = None


class Unshelve(Moves):
    """A server that is nowhere comes back, and the image that it came from goes."""

    flow, before, after = UnshelveServer, ("shelved_offloaded", "none"), ("active", "running")
    host_before, host = None, "north"

    def prepare(self, session: Session) -> None:
        super().prepare(session)
        image_id = image.draft(session, image.Draft("shelved", "p"))
        shelved = {"server_id": "s", "image_id": image_id, "shelved_at": clock.now()}
        session.add(ShelvedServerRecord(**shelved))

    def state(self, session: Session, found: ServerRecord) -> dict[str, Any]:
        return {"host": "north"}

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        super().check(session, agents, was_interrupted=was_interrupted)
        is_back = self.result == "Success"
        assert len(session.scalars(select(ImageRecord.id)).all()) == (0 if is_back else 1)


class UnshelvingFails(Unshelve):
    """The host does not make the guest: the server stays shelved, and nothing is held."""

    after, host, result = ("shelved_offloaded", None), None, "Error"
    refuses: ClassVar[dict[str, set[str]]] = {"north": {"create"}}


class MakeImageOfVolumes(Volumes):
    """Each volume of a server is snapshotted."""

    flows = (SnapshotVolumes, CreateSnapshot)
    records = (*Volumes.records, ActionRecord, ServerRecord)

    def prepare(self, session: Session) -> None:
        super().prepare(session)
        session.add(server())

    def begin(self, session: Session) -> None:
        if session.scalar(select(ActionRecord.id)) is not None:
            return
        found = session.get_one(ServerRecord, "s")
        session.add(snapshot())
        session.flush()
        with trace.recording("req-1"):
            SnapshotVolumes.start(session, found, snapshot_ids=["s"])
            instance_actions.begin(session, found, "createImage")

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        assert session.get_one(SnapshotRecord, "s").status == "available"
        found = session.get_one(ServerRecord, "s")
        assert (found.vm_state, found.task_state) == ("active", None)
        (noted,) = session.scalars(select(ActionRecord))
        assert [each["result"] for each in noted.events] == ["Success"]


def migration(
    session: Session, found: ServerRecord, kind: str, size: Mapping[str, int]
) -> MigrationRecord:
    """A way of the server to a size."""
    record = migrations.begin(session, found, kind, CALLER)
    record.new_flavor = record.old_flavor | {
        "vcpus": size["VCPU"], "memory_mb": size["MEMORY_MB"], "root_gb": size["DISK_GB"],
    }  # fmt: skip
    return record


def claim(session: Session, consumer_id: str, host: str, amounts: Mapping[str, int]) -> None:
    provider = nodes.find(session, host).id
    wanted = Claim(consumer_id=consumer_id, amounts={provider: dict(amounts)}, project_id="p")
    placement.replace(session, [wanted])


def claims(session: Session) -> dict[tuple[str, str], dict[str, int]]:
    """What is held, by whom and on which host."""
    hosts = {row.id: row.host for row in session.scalars(select(ComputeNodeRecord))}
    found: dict[tuple[str, str], dict[str, int]] = {}
    for row in session.scalars(select(AllocationRecord)):
        of = found.setdefault((row.consumer_id, hosts[row.provider_id]), {})
        of[row.resource_class] = row.used
    return found


def powers_of(agents: Mapping[str, Any], host: str) -> list[str]:
    return [each.power for each in agents[agent_address(host, "hypervisor")].driver.guests()]


SCENARIOS: list[Scenario] = [
    Start(), Reboot(), Reset(), Suspend(), Resume(), Rebuild(), RebuildFails(), Rescue(),
    Unrescue(), MakeImageOfVolumes(), Resize(),
    ResizeThenDelete(), ResizeFails(), SendingFails(), NoRoom(), Confirm(), Revert(), Live(),
    LiveFails(), LiveThenDelete(), Evacuate(), MakeImage(), MakingImageFails(), Shelve(),
    ShelvingFails(), Offload(), Unshelve(), UnshelvingFails(),
]  # fmt: skip
