"""Shelve a server: its disk becomes an image, and it takes nothing of any host until it is back."""

import datetime as dt
from typing import Annotated

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack import image, placement
from onestack.compute import nodes, placing, rules
from onestack.compute.hosts import Hosts
from onestack.compute.hypervisor import Guest, Hypervisor
from onestack.compute.lenient import Name
from onestack.compute.migrations import record as migrations
from onestack.compute.nodes import ComputeNodeRecord, HostNotFound
from onestack.compute.servers import access, action, moving, networking, snapshot
from onestack.compute.servers.migrate import HostName, NoHost
from onestack.compute.servers.moving import Arrive, agent
from onestack.compute.servers.record import TOPIC, ServerRecord, disks_of, touch
from onestack.compute.servers.spec import spec_of
from onestack.compute.servers.states import SHUTDOWN, check_state
from onestack.compute.servers.stop import PATIENCE_S
from onestack.compute.servers.zones import InvalidZone
from onestack.core import clock
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.db import Record
from onestack.core.errors import Conflict
from onestack.core.flow import Ask, Child, Failure, Flow, Next, step
from onestack.core.shapes import UNSET, Shape, UnsetType, since

api = Operations("server shelve")

STATES = ("active", "stopped", "paused", "suspended")
SHELVED = ("shelved", "shelved_offloaded")
TO_HOST = rules.rule("os-shelve:unshelve_to_host")


class ShelvedServerRecord(Record):
    """What a server that is shelved comes back from."""

    __tablename__ = "shelved_servers"
    topic = TOPIC

    server_id: Mapped[str] = mapped_column(
        ForeignKey("servers.id", ondelete="CASCADE"), primary_key=True
    )
    image_id: Mapped[str | None]  # none where the root disk is a volume
    shelved_at: Mapped[dt.datetime]


class NotOffloaded(Conflict):
    message = (
        "Server's state is not 'shelved_offloaded': an availability zone or a host can be chosen "
        "for instance {server_id} only then."
    )


class UnshelveBody(Shape, forbid_unknown_fields=True):
    """Where a server comes back."""

    availability_zone: Annotated[Name | UnsetType | None, since("2.77")] = UNSET
    host: Annotated[HostName | UnsetType, since("2.91")] = UNSET


@api.post(action.PATH, action.rule("os-shelve:shelve"), action="shelve", status=202)
def shelve(ctx: Context, server_id: str) -> None:
    """Shelve a server."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "shelve", STATES)
    image_id = None
    if not moving.is_volume_backed(ctx.session, server):
        wanted = snapshot.draft_of(server, f"{server.name}-shelved", {})
        image_id = image.draft(ctx.session, wanted)
    is_running = server.vm_state != "stopped"
    action.begin(ctx, server, "shelve", ShelveServer, image_id=image_id, was_running=is_running)


@api.post(
    action.PATH,
    action.rule("os-shelve:shelve_offload", rules.ADMIN),
    action="shelveOffload",
    status=202,
)
def offload(ctx: Context, server_id: str) -> None:
    """Take a shelved server off its host."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "shelveOffload", ("shelved",))
    action.begin(ctx, server, "shelveOffload", OffloadServer)


@api.post(action.PATH, action.rule("os-shelve:unshelve"), action="unshelve", status=202)
def unshelve(ctx: Context, server_id: str, body: UnshelveBody | None) -> None:
    """Bring a shelved server back, on whichever host has room for it."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "unshelve", SHELVED)
    given = body or UnshelveBody()
    is_somewhere = given.availability_zone is not UNSET or given.host is not UNSET
    if is_somewhere and server.vm_state != "shelved_offloaded":
        raise NotOffloaded(server_id=server.id)
    if given.availability_zone is not UNSET and given.availability_zone is not None:
        _check_zone(ctx, given.availability_zone)
    host = None
    if given.host is not UNSET:
        ctx.allow(server, rule=TO_HOST)
        host = _known(ctx, given.host)
    action.begin(ctx, server, "unshelve", UnshelveServer, host=host)
    if given.availability_zone is not UNSET:
        server.pinned_zone = given.availability_zone


class ShelveServer(Flow[ServerRecord]):
    """Makes the image, then has the host forget the guest."""

    event = "compute.instance.shelve"
    deadline_s = snapshot.UPLOAD_S + 3600

    image_id: str | None
    was_running: bool
    error: str = ""
    reason: str = ""

    @step(shows="shelving")
    def shut_down(self) -> Next:
        return action.ask(self.subject, Hypervisor.stop, self.stopped, patience_s=PATIENCE_S)

    @step(shows="shelving_image_pending_upload")
    def stopped(self, guest: Guest) -> Next:
        if self.image_id is None:
            return self.shelved
        given = {
            "guest_id": self.subject.id, "disk_format": "qcow2",
            "url": image.upload_url(self.cloud, self.image_id),
        }  # fmt: skip
        return Ask(
            agent(self.subject.host), Hypervisor.snapshot, given, then=self.shelved,
            otherwise=self.go_on, timeout_s=snapshot.UPLOAD_S,
        )  # fmt: skip

    @step(shows="shelving_image_uploading")
    def shelved(self) -> Next:
        self.session.merge(
            ShelvedServerRecord(
                server_id=self.subject.id, image_id=self.image_id, shelved_at=clock.now()
            )
        )
        self.subject.vm_state, self.subject.power_state = "shelved", SHUTDOWN
        return Child(OffloadGuest, self.subject, then=self.finish)

    @step(shows="shelving_offloading")
    def finish(self) -> Next:
        action.end(self)
        return None

    @step(shows="shelving")
    def go_on(self, failure: Failure) -> Next:
        """There is no image, so the server stays what it was."""
        self.error, self.reason = failure.error, failure.text
        if not self.was_running:
            return self.refuse
        guest = spec_of(self.session, self.cloud, self.subject)
        return Ask(
            agent(self.subject.host), Hypervisor.start, {"guest": guest}, then=self.refuse,
            otherwise=self.refuse, timeout_s=action.DRIVER_S,
        )  # fmt: skip

    @step(shows="shelving")
    def refuse(self) -> Next:
        raise Failure(self.error, self.reason, "shelve")

    def failed(self, failure: Failure) -> None:
        if self.image_id is not None and self.subject.vm_state != "shelved":
            image.abandon(self.session, self.image_id)
        action.give_up(self, failure)


class OffloadGuest(Flow[ServerRecord]):
    """The guest of a shelved server goes, and whatever it took of its host."""

    shown_in = ""

    @step()
    def destroy(self) -> Next:
        if self.subject.host is None:
            return None
        return Ask(
            agent(self.subject.host), Hypervisor.destroy, {"guest_id": self.subject.id},
            then=self.release, timeout_s=moving.CREATE_S,
        )  # fmt: skip

    @step()
    def release(self) -> Next:
        server = self.subject
        networking.unbind(self.session, server)
        placement.release(self.session, server.id)
        server.vm_state, server.host = "shelved_offloaded", None
        touch(server)
        return None


class OffloadServer(Flow[ServerRecord]):
    """The same, when somebody asks for it."""

    event = "compute.instance.shelve_offload"

    @step(shows="shelving_offloading")
    def offload(self) -> Next:
        return Child(OffloadGuest, self.subject, then=self.finish)

    @step(shows="shelving_offloading")
    def finish(self) -> Next:
        action.end(self)
        return None

    def failed(self, failure: Failure) -> None:
        action.give_up(self, failure)


class UnshelveServer(Flow[ServerRecord]):
    """Claims a place, and makes the guest of the image that was made of it."""

    event = "compute.instance.unshelve"
    deadline_s = moving.COPY_S

    host: str | None = None
    destination: str = ""
    error: str = ""
    reason: str = ""

    @step(shows="unshelving")
    def schedule(self) -> Next:
        server = self.subject
        if server.vm_state == "shelved" and server.host is not None:
            return self.arrive  # it never left its host
        placed = moving.place(self, migrations.size_of(server), host=self.host)
        if placed is None:
            return self.unplaceable
        self.destination = placed.host
        server.host, server.availability_zone = placed.host, placed.zone
        touch(server)
        return self.arrive

    @step(shows="unshelving")
    def unplaceable(self) -> Next:
        raise placing.refusal(self.session, self.subject.id)

    @step(shows="spawning")
    def arrive(self) -> Next:
        how = "create" if self.destination else "start"
        shelved = self.session.get(ShelvedServerRecord, self.subject.id)
        if shelved is not None and self.destination:
            _make_root_of(self.session, self.subject, shelved.image_id)
        return Child(
            Arrive, self.subject, state={"how": how}, then=self.finish, otherwise=self.clear
        )

    @step(shows="spawning")
    def finish(self) -> Next:
        _make_root_of(self.session, self.subject, self.subject.image_id)
        forget(self.session, self.subject.id)
        action.end(self, "active")
        return None

    @step(shows="unshelving")
    def clear(self, failure: Failure) -> Next:
        self.error, self.reason = failure.error, failure.text
        if not self.destination:
            return self.refuse
        return Ask(
            agent(self.destination), Hypervisor.destroy, {"guest_id": self.subject.id},
            then=self.retreat, otherwise=self.retreat, timeout_s=action.DRIVER_S,
        )  # fmt: skip

    @step(shows="unshelving")
    def retreat(self) -> Next:
        networking.unbind(self.session, self.subject)
        placement.release(self.session, self.subject.id)
        self.subject.host = None
        return self.refuse

    @step(shows="unshelving")
    def refuse(self) -> Next:
        raise Failure(self.error, self.reason, "unshelve")

    def failed(self, failure: Failure) -> None:
        _make_root_of(self.session, self.subject, self.subject.image_id)
        action.give_up(self, failure)


def forget(session: Session, server_id: str) -> None:
    """A server needs no image any more to come back from."""
    shelved = session.get(ShelvedServerRecord, server_id)
    if shelved is None:
        return
    if shelved.image_id is not None:
        image.abandon(session, shelved.image_id, even_complete=True)
    session.delete(shelved)


def _make_root_of(session: Session, server: ServerRecord, image_id: str | None) -> None:
    """Note what the root disk is made of when it is made next."""
    for disk in disks_of(session, server.id):
        if disk.is_root and disk.destination_type == "local" and image_id is not None:
            disk.image_id = image_id


def _known(ctx: Context, host: str) -> str:
    try:
        return nodes.find(ctx.session, host).host
    except HostNotFound:
        raise NoHost(host=host) from None


def _check_zone(ctx: Context, zone: str) -> None:
    hosts = ctx.cloud.get(Hosts)
    names = ctx.session.scalars(select(ComputeNodeRecord.host)).all()
    if all(hosts.zone_of(ctx.session, each) != zone for each in names):
        raise InvalidZone
