"""Volumes and snapshots come, are attached, change and go; backend and rows agree in the end."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack import image, volume
from onestack.core import clock
from onestack.core.agents import AgentRecord
from onestack.core.bus import agent_address
from onestack.core.context import Cloud
from onestack.core.flow import Flow
from onestack.core.seal import Seal
from onestack.image.images.record import ImageRecord
from onestack.image.tickets import Gate
from onestack.volume.attachments.connect import Connect, Disconnect, mark, reserve
from onestack.volume.attachments.record import AttachmentRecord
from onestack.volume.backend import Backend, Have
from onestack.volume.drivers.simulated import SimulatedBackend
from onestack.volume.messages import MessageRecord
from onestack.volume.snapshots.record import SnapshotRecord
from onestack.volume.snapshots.take import CreateSnapshot, DeleteSnapshot
from onestack.volume.types.record import DEFAULT_ID
from onestack.volume.volumes.extend import ExtendVolume
from onestack.volume.volumes.record import VolumeRecord, set_status
from onestack.volume.volumes.removal import DeleteVolume
from onestack.volume.volumes.revert import RevertVolume
from onestack.volume.volumes.upload import UploadVolume
from tests.simulator.drivers import Served
from tests.simulator.scenario import Scenario

FLOWS = (
    volume.CreateVolume, DeleteVolume, ExtendVolume, RevertVolume, CreateSnapshot, DeleteSnapshot,
    Connect, Disconnect,
)  # fmt: skip
HOSTS = ("east", "west")
AGES = dt.timedelta(days=1)


class Volumes(Scenario):
    """Two backends, and perhaps a volume on the first."""

    flows: ClassVar[tuple[type[Flow[Any]], ...]] = FLOWS
    records = (AttachmentRecord, SnapshotRecord, VolumeRecord, MessageRecord, AgentRecord)
    has_volume = True

    def prepare(self, session: Session) -> None:
        session.add_all(agent(host) for host in HOSTS)
        if self.has_volume:
            session.add(row(host="east", driver="simulated", pool="simulated", status="available"))

    def agents(self) -> Mapping[str, Any]:
        found = {}
        for host in HOSTS:
            driver = SimulatedBackend()
            if self.has_volume and host == "east":
                driver.create("v", 1)
            found[agent_address(host, "backend")] = Served(driver, Backend)
        return found

    def kept(self, agents: Mapping[str, Any]) -> list[list[Have]]:
        return [each.driver.inventory() for each in agents.values()]


class CreateVolume(Volumes):
    """A volume is made on one backend."""

    has_volume = False

    def begin(self, session: Session) -> None:
        if session.get(VolumeRecord, "v") is None:
            record = row()
            volume.CreateVolume.start(session, record)
            session.add(record)

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        found = session.get_one(VolumeRecord, "v")
        assert (found.status, found.host) == ("available", "west")
        assert self.kept(agents) == [[], [Have("volume", "v", 1)]]


class CreateElsewhere(CreateVolume):
    """The backend that is chosen first refuses."""

    def agents(self) -> Mapping[str, Any]:
        agents = super().agents()
        agents[agent_address("west", "backend")].driver.fail("create", "no room", 100)
        return agents

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        found = session.get_one(VolumeRecord, "v")
        assert (found.status, found.host) == ("available", "east")
        assert self.kept(agents) == [[Have("volume", "v", 1)], []]


class CreateThenDelete(CreateVolume):
    """The deletion comes while the creation is under way, or when it is over."""

    can_be_interrupted = True

    def interrupt(self, session: Session) -> None:
        found = session.get(VolumeRecord, "v")
        if found is not None and found.status != "deleting":
            DeleteVolume.start(session, found)
            set_status(found, "deleting")

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        if not was_interrupted:
            super().check(session, agents, was_interrupted=False)
            return
        assert session.get(VolumeRecord, "v") is None
        assert self.kept(agents) == [[], []]


class ExtendVolumes(Volumes):
    """A volume grows."""

    def begin(self, session: Session) -> None:
        found = session.get_one(VolumeRecord, "v")
        if found.status == "available" and found.size == 1:
            ExtendVolume.start(session, found, old_size=1)
            found.size, found.status = 3, "extending"

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        found = session.get_one(VolumeRecord, "v")
        assert (found.status, found.size) == ("available", 3)
        assert self.kept(agents)[0] == [Have("volume", "v", 3)]


class TakeSnapshot(Volumes):
    """A snapshot is taken, and perhaps deleted meanwhile."""

    can_be_interrupted = True

    def begin(self, session: Session) -> None:
        if (
            session.get(SnapshotRecord, "s") is None
            and session.get_one(VolumeRecord, "v").name is None
        ):
            record = snapshot()
            CreateSnapshot.start(session, record)
            session.add(record)
            session.get_one(VolumeRecord, "v").name = "taken once"

    def interrupt(self, session: Session) -> None:
        found = session.get(SnapshotRecord, "s")
        if found is not None and found.status != "deleting":
            DeleteSnapshot.start(session, found)
            found.status = "deleting"

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        found = session.get(SnapshotRecord, "s")
        kept = self.kept(agents)[0]
        assert (found is None) == was_interrupted
        assert (Have("snapshot", "s", 1) in kept) != was_interrupted
        assert found is None or (found.status, found.progress) == ("available", "100%")


class RevertVolumes(Volumes):
    """A volume goes back to its snapshot."""

    def prepare(self, session: Session) -> None:
        super().prepare(session)
        session.flush()
        session.add(snapshot(status="restoring"))
        session.get_one(VolumeRecord, "v").status = "reverting"

    def agents(self) -> Mapping[str, Any]:
        agents = super().agents()
        agents[agent_address("east", "backend")].driver.snapshot("s", "v")
        return agents

    def begin(self, session: Session) -> None:
        if session.get_one(SnapshotRecord, "s").name is None:
            RevertVolume.start(session, session.get_one(VolumeRecord, "v"), snapshot_id="s")
            session.get_one(SnapshotRecord, "s").name = "reverted to"

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        assert session.get_one(VolumeRecord, "v").status == "available"
        assert session.get_one(SnapshotRecord, "s").status == "available"


class Attach(Volumes):
    """A server is connected to a volume, and lets go of it meanwhile."""

    can_be_interrupted = True
    deletes_volume = False

    def begin(self, session: Session) -> None:
        if session.scalar(select(AttachmentRecord.id)) is not None:
            return
        found = session.get_one(VolumeRecord, "v")
        if found.name is None:
            attachment = reserve(session, found, "server", is_of_server=True)
            Connect.start(session, attachment, connector={"host": "h"})
            found.name = "attached once"

    def interrupt(self, session: Session) -> None:
        attachment = session.scalar(select(AttachmentRecord))
        if attachment is not None and attachment.mountpoint is None:
            Disconnect.start(session, attachment, deletes_volume=self.deletes_volume)
            mark(session, attachment, "detaching", "/dev/vdb")

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        found = session.get(VolumeRecord, "v")
        attachment = session.scalar(select(AttachmentRecord))
        kept = self.kept(agents)[0]
        if was_interrupted:
            assert attachment is None
            assert found is None if self.deletes_volume else found is not None
            assert found is None or found.status == "available"
            assert kept == ([] if found is None else [Have("volume", "v", 1)])
            return
        assert attachment is not None
        assert attachment.connection_info is not None
        assert (attachment.attach_status, found and found.status) == ("attaching", "attaching")
        assert kept == [Have("export", attachment.id), Have("volume", "v", 1)]


class AttachForLife(Attach):
    """The volume goes with its server."""

    deletes_volume = True


class Sender(SimulatedBackend):
    """A backend that notes where it sent what."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: set[str] = set()

    def upload(self, volume_id: str, url: str, disk_format: str) -> None:
        self.sent.add(f"{volume_id} {url.partition('?')[0]} {disk_format}")


class UploadVolumes(Volumes):
    """An image is made of a volume."""

    flows = (*FLOWS, UploadVolume)
    records = (*Volumes.records, ImageRecord)
    cloud = Cloud(Gate("http://control", Seal(b"k" * 32)))

    def agents(self) -> Mapping[str, Any]:
        return {agent_address(host, "backend"): Served(Sender(), Backend) for host in HOSTS}

    def begin(self, session: Session) -> None:
        found = session.get_one(VolumeRecord, "v")
        if found.status == "available" and found.name is None:
            image_id = image.draft(session, image.Draft("of a volume", "p", "raw"))
            UploadVolume.start(session, found, image_id=image_id, disk_format="raw")
            found.name, found.status = image_id, "uploading"

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        found = session.get_one(VolumeRecord, "v")
        address = f"http://control/image/v2/images/{found.name}/data"
        assert found.status == "available"
        assert next(iter(agents.values())).driver.sent == {f"v {address} raw"}


def agent(host: str) -> AgentRecord:
    """A backend that reports for ever."""
    now = clock.now()
    pool = {"name": "simulated", "total_gb": 10, "free_gb": 10}
    return AgentRecord(
        id=f"agent-{host}", host=host, kind="backend", driver="simulated", boot="b",
        description={"driver": "simulated", "pools": [pool]}, created_at=now, started_at=now,
        changed_at=now, seen_at=now + AGES,
    )  # fmt: skip


def row(**more: Any) -> VolumeRecord:
    """A volume that is asked for, but for what is said."""
    known = {"status": "creating", **more}
    return VolumeRecord(
        id="v", project_id="p", user_id="u", size=1, availability_zone="nova",
        volume_type_id=DEFAULT_ID, metadata_={}, created_at=clock.now(), **known,
    )  # fmt: skip


def snapshot(**more: Any) -> SnapshotRecord:
    """A snapshot that is asked for, but for what is said."""
    known = {"status": "creating", "progress": "0%", **more}
    return SnapshotRecord(
        id="s", volume_id="v", project_id="p", user_id="u", volume_size=1,
        volume_type_id=DEFAULT_ID, metadata_={}, created_at=clock.now(), **known,
    )  # fmt: skip


SCENARIOS: list[Scenario] = [
    CreateVolume(), CreateElsewhere(), CreateThenDelete(), ExtendVolumes(), TakeSnapshot(),
    UploadVolumes(), RevertVolumes(), Attach(), AttachForLife(),
]  # fmt: skip
