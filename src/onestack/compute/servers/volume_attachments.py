"""Volumes of servers: which a server has, and how it gets one and lets go of it."""

from collections.abc import Sequence
from typing import Annotated, Any

from sqlalchemy import select

from onestack import volume
from onestack.compute import rules
from onestack.compute.hypervisor import Hypervisor
from onestack.compute.lenient import Flag, flag
from onestack.compute.servers import access, instance_actions
from onestack.compute.servers.connector import connector_of
from onestack.compute.servers.disks import device_name
from onestack.compute.servers.notifications import described
from onestack.compute.servers.record import BlockDeviceRecord, ServerRecord, disks_of
from onestack.compute.servers.spec import volume_disk
from onestack.compute.servers.states import CHANGING_S, check_state, is_changing, is_shut_down
from onestack.compute.servers.wanted import Tag, Text, Uuid
from onestack.core import clock
from onestack.core.api import Operations
from onestack.core.bus import agent_address
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.flow import Ask, Child, Failure, Flow, Next, Sleep, step
from onestack.core.shapes import Shape, field, since, until

api = Operations("volume attachments")

PATH = "/v2.1/servers/{server_id}/os-volume_attachments"
CHANGEABLE = (
    "active", "paused", "stopped", "suspended", "resized", "soft-delete", "shelved",
    "shelved_offloaded",
)  # fmt: skip
WITH_GUEST = ("active", "paused", "stopped", "suspended", "resized")
DETACH_S = 120.0


class NotAttached(NotFound):
    message = "Instance {server_id} is not attached to volume {volume_id}."


class RootDevice(BadRequest):
    message = "Cannot detach a root device volume"


class DeviceInUse(Conflict):
    message = "The supplied device path ({path}) is in use."


class NoSwap(BadRequest):
    message = "Volumes of servers are not swapped here: detach one and attach the other."


class AttachWanted(Shape, forbid_unknown_fields=True):
    """The volume that a server shall have."""

    volume_id: Uuid = field(name="volumeId")
    device: Text | None = None
    tag: Annotated[Tag | None, since("2.49")] = None
    delete_on_termination: Annotated[Flag, since("2.79")] = False


class AttachUpdate(Shape, forbid_unknown_fields=True):
    """What changes of an attachment; all but one thing must be said as it is."""

    volume_id: Uuid = field(name="volumeId")
    id: str | None = None
    server_id: str | None = field(default=None, name="serverId")
    device: str | None = None
    tag: str | None = None
    delete_on_termination: Flag | None = None


class VolumeAttachment(Shape):
    """A volume that a server has."""

    id: Annotated[str, until("2.88")]
    volume_id: str = field(name="volumeId")
    server_id: str = field(name="serverId")
    device: str | None
    tag: Annotated[str | None, since("2.70")]
    delete_on_termination: Annotated[bool, since("2.79")]
    attachment_id: Annotated[str | None, since("2.89")]
    bdm_uuid: Annotated[str, since("2.89")]


class NewAttachment(Shape):
    """A volume that a server is about to have."""

    id: str
    volume_id: str = field(name="volumeId")
    server_id: str = field(name="serverId")
    device: str | None
    tag: Annotated[str | None, since("2.70")]
    delete_on_termination: Annotated[bool, since("2.79")]


class AttachmentList(Shape):
    """The volumes that a server has."""

    attachments: list[VolumeAttachment] = field(name="volumeAttachments")


class AttachmentQuery(Shape):
    """Which part of the list to show."""

    limit: int | None = None
    offset: int | None = None


def _rule(name: str, check: str = rules.MEMBER) -> Any:
    return rules.rule(f"os-volumes-attachments:{name}", check)


@api.get(PATH, _rule("index", rules.READER))
def index(ctx: Context, server_id: str, query: AttachmentQuery) -> AttachmentList:
    """List a server's volumes."""
    server = access.owned(ctx, server_id)
    found = [each for each in disks_of(ctx.session, server.id) if each.volume_id]
    begin = max(query.offset or 0, 0)
    end = None if query.limit is None else begin + max(query.limit, 0)
    return AttachmentList(attachments=[view(each) for each in found[begin:end]])


@api.get(PATH + "/{volume_id}", _rule("show", rules.READER), key="volumeAttachment")
def show(ctx: Context, server_id: str, volume_id: str) -> VolumeAttachment:
    """Show how a server has a volume."""
    server = access.owned(ctx, server_id)
    return view(_disk(ctx, server, volume_id))


@api.post(PATH, _rule("create"), key="volumeAttachment")
def create(ctx: Context, server_id: str, body: AttachWanted) -> NewAttachment:
    """Attach a volume to a server."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "attach_volume", CHANGEABLE)
    owner = None if rules.is_admin(ctx) else server.project_id
    found = volume.volume_of(ctx.session, body.volume_id, owner)
    present = disks_of(ctx.session, server.id)
    if any(each.volume_id == body.volume_id for each in present):
        raise BadRequest(f"Invalid volume: volume {body.volume_id} already attached")
    taken = [each.device_name for each in present if each.device_name]
    if body.device and f"/dev/{body.device.removeprefix('/dev/')}" in taken:
        raise DeviceInUse(path=body.device)
    disk = BlockDeviceRecord(
        id=clock.new_id(), server_id=server.id, source_type="volume", destination_type="volume",
        position=max((each.position for each in present), default=-1) + 1,
        volume_id=found.id, size_gb=found.size, tag=body.tag,
        device_name=device_name(body.device, taken),
        delete_on_termination=flag(body.delete_on_termination),
    )  # fmt: skip
    ctx.session.add(disk)
    ctx.session.flush()
    disk.attachment_id = volume.reserve(ctx.session, found, server.id, is_of_server=True).id
    AttachVolume.start(ctx.session, disk)
    instance_actions.begin(ctx.session, server, "attach_volume", ctx.caller)
    return NewAttachment(
        id=found.id, volume_id=found.id, server_id=server.id, device=disk.device_name,
        tag=disk.tag, delete_on_termination=disk.delete_on_termination,
    )  # fmt: skip


@api.put(PATH + "/{volume_id}", _rule("update"), status=202, key="volumeAttachment", since="2.85")
def update(ctx: Context, server_id: str, volume_id: str, body: AttachUpdate) -> None:
    """Say whether a volume is deleted with its server."""
    server = access.owned(ctx, server_id)
    disk = _disk(ctx, server, volume_id)
    if body.volume_id != volume_id:
        raise NoSwap
    known = {"server_id": server.id, "device": disk.device_name, "tag": disk.tag}
    for name, value in known.items():
        given = getattr(body, name)
        if given is not None and given != value:
            raise BadRequest(f"The {name} property is not allowed to be changed.")
    if body.delete_on_termination is not None:
        disk.delete_on_termination = flag(body.delete_on_termination)


@api.delete(PATH + "/{volume_id}", _rule("delete"), status=202)
def delete(ctx: Context, server_id: str, volume_id: str) -> None:
    """Detach a volume from a server."""
    server = access.unlocked(ctx, server_id)
    disk = _disk(ctx, server, volume_id)
    check_state(server, "detach_volume", CHANGEABLE)
    if disk.is_root and server.vm_state != "shelved_offloaded":
        raise RootDevice
    DetachVolume.start(ctx.session, disk)
    for each in volume.attachments_of(ctx.session, [server.id]):
        if each.id == disk.attachment_id:
            volume.mark(ctx.session, each, "detaching")
    instance_actions.begin(ctx.session, server, "detach_volume", ctx.caller)


def view(disk: BlockDeviceRecord) -> VolumeAttachment:
    """A volume of a server as clients see it."""
    return VolumeAttachment(
        id=str(disk.volume_id), volume_id=str(disk.volume_id), server_id=disk.server_id,
        device=disk.device_name, tag=disk.tag, attachment_id=disk.attachment_id,
        delete_on_termination=disk.delete_on_termination, bdm_uuid=disk.id,
    )  # fmt: skip


class AttachVolume(Flow[BlockDeviceRecord]):
    """A volume is exported to the server's host, and plugged into its guest."""

    event = "compute.instance.volume.attach"

    failure: str = ""

    @step()
    def connect(self) -> Next:
        server = self.session.get_one(ServerRecord, self.subject.server_id)
        if is_changing(server):
            return Sleep(CHANGING_S)
        if server.host is None:
            return self.finish  # it is connected when the server is somewhere again
        state = {"connector": connector_of(self.session, server.host)}
        attachment = attachment_of(self)
        return Child(volume.Connect, attachment, state=state, then=self.plug, otherwise=self.undo)

    @step()
    def plug(self) -> Next:
        """What is under way may start the guest without this volume, so it ends first."""
        server = self.session.get_one(ServerRecord, self.subject.server_id)
        if is_changing(server):
            return Sleep(CHANGING_S)
        is_there = server.host is not None and server.vm_state in WITH_GUEST
        if not is_there or is_shut_down(server):
            return self.finish
        attachments = volume.attachments_of(self.session, [server.id])
        asked = {"guest_id": server.id, "disk": volume_disk(server, self.subject, attachments)}
        return Ask(
            agent_address(str(server.host), "hypervisor"), Hypervisor.attach_disk, asked,
            then=self.finish, otherwise=self.undo,
        )  # fmt: skip

    @step()
    def finish(self) -> Next:
        volume.mark(self.session, attachment_of(self), "attached", self.subject.device_name)
        self.subject.is_attached = True
        server = self.session.get_one(ServerRecord, self.subject.server_id)
        instance_actions.finish(self.session, server)
        return None

    @step()
    def undo(self, failure: Failure) -> Next:
        """The server does not get it: the volume is free again."""
        self.failure = failure.text
        return Child(volume.Disconnect, attachment_of(self), then=self.give_up)

    @step()
    def give_up(self) -> Next:
        server = self.session.get_one(ServerRecord, self.subject.server_id)
        failure = Failure("VolumeAttachFailed", self.failure, "attach")
        instance_actions.finish(self.session, server, failure)
        self.session.delete(self.subject)
        return None

    def failed(self, failure: Failure) -> None:
        server = self.session.get_one(ServerRecord, self.subject.server_id)
        instance_actions.finish(self.session, server, failure)

    def describe(self) -> dict[str, Any]:
        return _described(self)


class DetachVolume(Flow[BlockDeviceRecord]):
    """A volume is taken out of the guest, which must have let go of it, and cut off then.

    The guest is left alone when it is gone.
    """

    event = "compute.instance.volume.detach"
    preempts = True

    is_guest_gone: bool = False
    deletes_volume: bool = False

    @step()
    def unplug(self) -> Next:
        server = self.session.get_one(ServerRecord, self.subject.server_id)
        is_there = server.host is not None and server.vm_state in WITH_GUEST
        if not self.is_guest_gone and is_changing(server):
            return Sleep(CHANGING_S)
        if self.is_guest_gone or not is_there:
            return self.disconnect
        asked = {"guest_id": server.id, "disk_id": str(self.subject.volume_id)}
        return Ask(
            agent_address(str(server.host), "hypervisor"), Hypervisor.detach_disk, asked,
            then=self.disconnect, timeout_s=DETACH_S,
        )  # fmt: skip

    @step()
    def disconnect(self) -> Next:
        """A guest that was started meanwhile may have it again."""
        server = self.session.get_one(ServerRecord, self.subject.server_id)
        if not self.is_guest_gone and is_changing(server):
            return self.unplug
        self.subject.is_attached = False
        attachment = attachment_of(self)
        if attachment is None:
            return self.forget
        state = {"deletes_volume": self.deletes_volume}
        return Child(volume.Disconnect, attachment, state=state, then=self.forget)

    @step()
    def forget(self) -> Next:
        server = self.session.get_one(ServerRecord, self.subject.server_id)
        if not self.is_guest_gone:
            instance_actions.finish(self.session, server)
        self.session.delete(self.subject)
        return None

    def failed(self, failure: Failure) -> None:
        """The guest holds on to it: it has it still."""
        attachment = attachment_of(self)
        if attachment is not None and self.subject.is_attached:
            volume.mark(self.session, attachment, "attached", self.subject.device_name)
        server = self.session.get_one(ServerRecord, self.subject.server_id)
        instance_actions.finish(self.session, server, failure)

    def describe(self) -> dict[str, Any]:
        return _described(self)


def attachment_of(flow: Flow[BlockDeviceRecord]) -> Any:
    """What the volume service knows of a server's volume."""
    found: Sequence[Any] = volume.attachments_of(flow.session, [flow.subject.server_id])
    return next((each for each in found if each.id == flow.subject.attachment_id), None)


def _disk(ctx: Context, server: ServerRecord, volume_id: str) -> BlockDeviceRecord:
    found = ctx.session.scalar(
        select(BlockDeviceRecord).where(
            BlockDeviceRecord.server_id == server.id, BlockDeviceRecord.volume_id == volume_id
        )
    )
    if found is None:
        raise NotAttached(server_id=server.id, volume_id=volume_id[:64])
    return found


def _described(flow: Flow[BlockDeviceRecord]) -> dict[str, Any]:
    server = flow.session.get(ServerRecord, flow.subject.server_id)
    known = described(server) if server is not None else {}
    return {**known, "volume_id": flow.subject.volume_id}
