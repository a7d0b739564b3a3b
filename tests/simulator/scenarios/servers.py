"""Servers come, with ports and volumes, get more of them while they run, and go; whatever goes
wrong, there is one guest or none, and nobody holds what is nobody's."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack import network, volume
from onestack.compute import nodes
from onestack.compute.hypervisor import GuestSpec
from onestack.compute.servers import contents, instance_actions, networking, reconcile
from onestack.compute.servers.build import Build
from onestack.compute.servers.delete import Delete
from onestack.compute.servers.instance_actions import ActionRecord
from onestack.compute.servers.interfaces import AttachInterface, DetachInterface
from onestack.compute.servers.moving import Arrive
from onestack.compute.servers.record import (
    BlockDeviceRecord,
    DeletedServerRecord,
    InterfaceRecord,
    ServerRecord,
)
from onestack.compute.servers.volume_attachments import AttachVolume, DetachVolume
from onestack.core import agents, clock, trace
from onestack.core.bus import agent_address
from onestack.core.context import Cloud
from onestack.core.db import Database
from onestack.network.ports.record import PortRecord
from onestack.network.wirings.flow import WireHost
from onestack.volume.attachments.record import AttachmentRecord
from onestack.volume.backend import Backend, Have
from onestack.volume.drivers.simulated import SimulatedBackend
from onestack.volume.messages import MessageRecord
from onestack.volume.snapshots.record import SnapshotRecord
from onestack.volume.volumes.record import VolumeRecord
from onestack.volume.volumes.removal import DeleteVolume
from tests.simulator.drivers import Served
from tests.simulator.scenario import Scenario
from tests.simulator.scenarios import volume as volumes
from tests.simulator.scenarios.moves import HOSTS, SMALL, Host, Moves, claims
from tests.simulator.scenarios.network import Wired


class Servers(Moves):
    """Two hosts, and a server that nobody built yet."""

    flows = (Build, Delete, DetachVolume)
    records = (*Moves.records,)
    before = ("building", "none")
    host_before = None
    host = None  # wherever it is put
    after: ClassVar[tuple[str, str | None]] = ("active", "running")
    can_be_interrupted = False

    def begin(self, session: Session) -> None:
        if session.scalar(select(ActionRecord.id)) is not None:
            return
        found = session.get_one(ServerRecord, "s")
        with trace.recording("req-1"):
            Build.start(session, found, **self.state(session, found))
            instance_actions.begin(session, found, "create")

    def interrupt(self, session: Session) -> None:
        found = session.get(ServerRecord, "s")
        if found is not None and found.task_state != "deleting":
            Delete.start(session, found)

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        if was_interrupted:
            self.check_gone(session, agents)
            return
        found = session.get_one(ServerRecord, "s")
        assert (found.vm_state, found.task_state) == (self.after[0], None)
        is_there = self.after[1] is not None
        assert (found.host in HOSTS) is is_there
        assert guests(agents) == ({found.host: ["s"]} if is_there else {})
        assert claims(session) == ({("s", found.host): SMALL} if is_there else {})
        noted = session.scalars(select(ActionRecord)).first()
        assert noted is not None
        assert [each["result"] for each in noted.events] == [self.result]

    def check_gone(self, session: Session, agents: Mapping[str, Any]) -> None:
        """Nothing is left of the server but that it was there."""
        assert session.get(ServerRecord, "s") is None
        assert session.get_one(DeletedServerRecord, "s").vm_state == "deleted"
        assert guests(agents) == {}
        assert claims(session) == {}
        assert list(session.scalars(select(BlockDeviceRecord))) == []


class BuildServer(Servers):
    """A server is built, or deleted while it is."""

    can_be_interrupted = True


class BuildServerElsewhere(Servers):
    """The host that has more room refuses."""

    refuses: ClassVar[dict[str, set[str]]] = {HOSTS[0]: {"create"}}

    def prepare(self, session: Session) -> None:
        super().prepare(session)
        agent = agents.of_host(session, HOSTS[1], "hypervisor")
        agent.description = {**agent.description, "memory_mb": 2048}
        nodes.enrol(session, agent)

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        super().check(session, agents, was_interrupted=was_interrupted)
        assert session.get_one(ServerRecord, "s").host == HOSTS[1]


class BuildServerNowhere(Servers):
    """All hosts refuse: the server says so, and holds nothing."""

    refuses: ClassVar[dict[str, set[str]]] = {host: {"create"} for host in HOSTS}
    after = ("error", None)
    result = "Error"


class ThereIsNoRoom(Servers):
    """No host has room for it, so none is asked."""

    result = "Error"

    def agents(self) -> Mapping[str, Any]:
        return {}

    def server(self) -> ServerRecord:
        found = super().server()
        found.vcpus = 1000
        return found

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        found = session.get_one(ServerRecord, "s")
        assert (found.vm_state, found.task_state, found.host) == ("error", None, None)
        assert "No valid host" in (found.fault or {})["message"]
        assert claims(session) == {}


class WithVolume(Servers):
    """A server that starts from a volume, which is made for it and goes with it."""

    flows = (
        Build, Delete, DetachVolume, volume.CreateVolume, DeleteVolume, volume.Connect,
        volume.Disconnect,
    )  # fmt: skip
    records = (AttachmentRecord, SnapshotRecord, VolumeRecord, MessageRecord, *Moves.records)
    can_be_interrupted = True

    def prepare(self, session: Session) -> None:
        super().prepare(session)
        session.add(volumes.agent("east"))
        session.add(disk(source_type="blank", boot_index=0, delete_on_termination=True))

    def state(self, session: Session, found: ServerRecord) -> dict[str, Any]:
        return {"has_volumes": True}

    def agents(self) -> Mapping[str, Any]:
        backend = Served(SimulatedBackend(), Backend)
        return {**super().agents(), agent_address("east", "backend"): backend}

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        super().check(session, agents, was_interrupted=was_interrupted)
        kept = agents[agent_address("east", "backend")].driver.inventory()
        if was_interrupted:
            assert kept == []
            assert list(session.scalars(select(VolumeRecord))) == []
            return
        (found,) = session.scalars(select(VolumeRecord))
        (attachment,) = session.scalars(select(AttachmentRecord))
        assert (found.status, attachment.attach_status) == ("in-use", "attached")
        assert sorted(each.kind for each in kept) == ["export", "volume"]


class Running(Servers):
    """A server that runs on the first host, and a volume that is free."""

    before = ("active", "running")
    host_before = HOSTS[0]
    flows = (
        AttachVolume, DetachVolume, Delete, volume.Connect, volume.Disconnect, DeleteVolume,
    )  # fmt: skip
    records = WithVolume.records

    def prepare(self, session: Session) -> None:
        super().prepare(session)
        session.add(volumes.agent("east"))
        session.add(volumes.row(host="east", pool="simulated", status="available"))

    def agents(self) -> Mapping[str, Any]:
        backend = SimulatedBackend()
        backend.create("v", 1)
        served = Served(backend, Backend)
        return {**super().agents(), agent_address("east", "backend"): served}


class Attach(Running):
    """A volume is attached, or the server is deleted meanwhile."""

    can_be_interrupted = True

    def begin(self, session: Session) -> None:
        if session.scalar(select(ActionRecord.id)) is not None:
            return
        found = session.get_one(ServerRecord, "s")
        plugged = disk(source_type="volume", volume_id="v")
        session.add(plugged)
        session.flush()
        reserved = volume.reserve(
            session, session.get_one(VolumeRecord, "v"), "s", is_of_server=True
        )
        plugged.attachment_id = reserved.id
        with trace.recording("req-1"):
            AttachVolume.start(session, plugged)
            instance_actions.begin(session, found, "attach_volume")

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        super().check(session, agents, was_interrupted=was_interrupted)
        status = session.get_one(VolumeRecord, "v").status
        kept = agents[agent_address("east", "backend")].driver.inventory()
        attachments = session.scalars(select(AttachmentRecord)).all()
        if was_interrupted:
            found = [(each.attach_status, each.id) for each in attachments]
            assert (status, found) == ("available", [])
            assert kept == [Have("volume", "v", 1)]
            return
        assert (status, [each.attach_status for each in attachments]) == ("in-use", ["attached"])
        assert disks_of_guest(agents) == ["v"]


class Detach(Running):
    """A volume is detached, or the server is deleted meanwhile."""

    can_be_interrupted = True

    def prepare(self, session: Session) -> None:
        super().prepare(session)
        reserved = volume.reserve(
            session, session.get_one(VolumeRecord, "v"), "s", is_of_server=True
        )
        volume.mark(session, reserved, "attached")
        session.add(
            disk(source_type="volume", volume_id="v", attachment_id=reserved.id, is_attached=True)
        )

    def begin(self, session: Session) -> None:
        if session.scalar(select(ActionRecord.id)) is not None:
            return
        found = session.get_one(ServerRecord, "s")
        plugged = session.get_one(BlockDeviceRecord, "d")
        with trace.recording("req-1"):
            DetachVolume.start(session, plugged)
            instance_actions.begin(session, found, "detach_volume")

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        super().check(session, agents, was_interrupted=was_interrupted)
        assert session.get_one(VolumeRecord, "v").status == "available"
        assert list(session.scalars(select(BlockDeviceRecord))) == []
        assert list(session.scalars(select(AttachmentRecord))) == []
        if not was_interrupted:
            assert disks_of_guest(agents) == []


class Networked(Servers):
    """A server with a port of its own, on hosts whose switches are wired."""

    flows = (Build, Delete, DetachVolume, WireHost)
    records = (InterfaceRecord, *Wired.records[:-1], *Moves.records)
    can_be_interrupted = True

    def wire(self, database: Database) -> Cloud:
        network.on_wired(networking.wired)
        return super().wire(database)

    def prepare(self, session: Session) -> None:
        Wired.prepare(Wired(), session)
        port = session.get_one(PortRecord, "p")
        port.device_id, port.device_owner, port.is_made_for_device = "s", "compute:nova", True
        super().prepare(session)
        session.add(InterfaceRecord(port_id="p", server_id="s", position=0))

    def agents(self) -> Mapping[str, Any]:
        return {**super().agents(), **Wired.agents(Wired())}

    def state(self, session: Session, found: ServerRecord) -> dict[str, Any]:
        return {"has_ports": True}

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        super().check(session, agents, was_interrupted=was_interrupted)
        port = session.get(PortRecord, "p")
        if was_interrupted:
            assert port is None
            return
        found = session.get_one(ServerRecord, "s")
        assert port is not None
        assert (port.host, port.status) == (found.host, "ACTIVE")


class AttachPort(Networked):
    """A running server gets a port."""

    flows = (AttachInterface, DetachInterface, WireHost)
    before = ("active", "running")
    host_before = HOSTS[0]
    can_be_interrupted = False

    def begin(self, session: Session) -> None:
        if session.scalar(select(ActionRecord.id)) is not None:
            return
        found = session.get_one(ServerRecord, "s")
        network.bind(session, ["p"], HOSTS[0])
        with trace.recording("req-1"):
            AttachInterface.start(
                session, session.get_one(InterfaceRecord, "p"), began=clock.now().timestamp()
            )
            instance_actions.begin(session, found, "attach_interface")

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        super().check(session, agents, was_interrupted=was_interrupted)
        assert nics_of_guest(agents) == ["p"]


class DetachPort(Networked):
    """A running server lets go of its port."""

    flows = (AttachInterface, DetachInterface, WireHost)
    before = ("active", "running")
    host_before = HOSTS[0]
    can_be_interrupted = False

    def begin(self, session: Session) -> None:
        if session.scalar(select(ActionRecord.id)) is not None:
            return
        found = session.get_one(ServerRecord, "s")
        with trace.recording("req-1"):
            DetachInterface.start(session, session.get_one(InterfaceRecord, "p"))
            instance_actions.begin(session, found, "detach_interface")

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        Servers.check(self, session, agents, was_interrupted=was_interrupted)
        assert session.get(PortRecord, "p") is None
        assert list(session.scalars(select(InterfaceRecord))) == []


class HostIsBack(Servers):
    """A host came back without its guest, and with one that nobody knows."""

    flows = (reconcile.Reconcile, reconcile.Revive, Arrive)
    before = ("active", "running")
    host_before = HOSTS[0]
    host = HOSTS[0]

    def agents(self) -> Mapping[str, Any]:
        found = super().agents()
        driver = found[agent_address(HOSTS[0], "hypervisor")].driver
        driver.destroy("s")
        Host.start(driver, GuestSpec(id="stray", name="i", vcpus=1, memory_mb=1))
        return found

    def begin(self, session: Session) -> None:
        found = session.get_one(ServerRecord, "s")
        if found.description is None:
            reconcile.begin(session, HOSTS[0], is_back=True)
            found.description = "looked at"

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        found = session.get_one(ServerRecord, "s")
        assert (found.vm_state, found.task_state, found.host) == ("active", None, HOSTS[0])
        assert guests(agents) == {HOSTS[0]: ["s"]}
        assert claims(session) == {("s", HOSTS[0]): SMALL}


class CompareHosts(HostIsBack):
    """Hosts are looked at now and then: a guest that is off from within is off."""

    flows = (reconcile.compare_hosts, reconcile.Reconcile, reconcile.Revive, Arrive)
    runs = 1

    def agents(self) -> Mapping[str, Any]:
        found = Servers.agents(self)
        found[agent_address(HOSTS[0], "hypervisor")].driver.stop("s", 0)
        return found

    def begin(self, session: Session) -> None:
        """Nobody asks for it."""

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        found = session.get_one(ServerRecord, "s")
        assert (found.vm_state, found.power_state, found.task_state) == ("stopped", 4, None)


class ForgetDeleted(Scenario):
    """Servers that are gone are forgotten when their time is over, not before."""

    flows = (contents.forget_deleted_servers,)
    runs = 2
    records = (DeletedServerRecord,)

    def prepare(self, session: Session) -> None:
        for name, left_s in {"old": -60.0, "new": 24 * 3600.0}.items():
            gone = clock.now() - dt.timedelta(seconds=contents.DELETED_KEPT_S - left_s)
            session.add(
                DeletedServerRecord(
                    id=name, number=1, project_id="p", user_id="u", name=name, hostname=name,
                    flavor_id="1", flavor_name="m1.tiny", vcpus=1, memory_mb=512, root_gb=1,
                    vm_state="deleted", reservation_id="r-1", created_at=gone, updated_at=gone,
                    terminated_at=gone,
                )
            )  # fmt: skip

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        assert list(session.scalars(select(DeletedServerRecord.id))) == ["new"]


def disk(**more: Any) -> BlockDeviceRecord:
    """A volume of the server."""
    return BlockDeviceRecord(
        id="d", server_id="s", position=0, destination_type="volume", size_gb=1,
        device_name="/dev/vdb", **more,
    )  # fmt: skip


def guests(agents: Mapping[str, Any]) -> dict[str, list[str]]:
    """The guests on each host that has any."""
    found = {
        host: [each.id for each in agents[agent_address(host, "hypervisor")].driver.guests()]
        for host in HOSTS
    }
    return {host: ids for host, ids in found.items() if ids}


def disks_of_guest(agents: Mapping[str, Any]) -> list[str]:
    (guest,) = agents[agent_address(HOSTS[0], "hypervisor")].driver.guests()
    return list(guest.disks)


def nics_of_guest(agents: Mapping[str, Any]) -> list[str]:
    (guest,) = agents[agent_address(HOSTS[0], "hypervisor")].driver.guests()
    return list(guest.nics)


SCENARIOS: list[Scenario] = [
    BuildServer(), BuildServerElsewhere(), BuildServerNowhere(), ThereIsNoRoom(), WithVolume(),
    Attach(), Detach(), Networked(), AttachPort(), DetachPort(), HostIsBack(), CompareHosts(),
    ForgetDeleted(),
]  # fmt: skip
