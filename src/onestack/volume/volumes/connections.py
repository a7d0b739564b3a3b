"""How volumes were attached before there were attachments: one action after another."""

from typing import Annotated, Any, Literal

from sqlalchemy import select

from onestack.core import clock
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import Id, Meta, Shape, Short
from onestack.volume import rules
from onestack.volume.attachments.connect import reserve, told
from onestack.volume.attachments.operations import OfServer, backend, connector_of, cut
from onestack.volume.attachments.record import AttachmentRecord, attachments_to
from onestack.volume.attachments.settle import rest
from onestack.volume.volumes import access
from onestack.volume.volumes.record import InvalidVolume, VolumeRecord, set_status

api = Operations("volumes")

PATH = "/v3/volumes/{volume_id}/action"
ACTIONS = "volume_extension:volume_actions"


class AttachBody(Shape, forbid_unknown_fields=True):
    """Which server or host has the volume, and as what."""

    mountpoint: Annotated[str, Meta(min_length=1, max_length=255)]
    instance_uuid: Id | None = None
    host_name: Short | None = None
    mode: Literal["rw", "ro"] = "rw"


class DetachBody(Shape, forbid_unknown_fields=True):
    """Which attachment ends, when there are several."""

    attachment_id: Id | None = None


class ForceDetachBody(Shape, forbid_unknown_fields=True):
    """Which attachment ends, and who had it."""

    attachment_id: Id | None = None
    connector: dict[str, Any] | None = None


class ConnectorBody(Shape, forbid_unknown_fields=True):
    """Who connects."""

    connector: dict[str, Any]


class TerminateBody(ConnectorBody, forbid_unknown_fields=True):
    """Who connected."""

    force: bool | str | None = None


@api.post(PATH, rules.rule(f"{ACTIONS}:reserve", rules.WRITE), action="os-reserve", status=202)
def reserve_volume(ctx: Context, volume_id: str) -> None:
    """Say that a volume is about to be attached."""
    volume = access.held(ctx, volume_id)
    access.in_status(volume, "available", *(("in-use",) if volume.is_multiattach else ()))
    set_status(volume, "attaching")


@api.post(PATH, rules.rule(f"{ACTIONS}:unreserve", rules.WRITE), action="os-unreserve", status=202)
def unreserve_volume(ctx: Context, volume_id: str) -> None:
    """Say that a volume is not attached after all."""
    volume = access.held(ctx, volume_id)
    if volume.status == "attaching":
        rest(ctx.session, volume)


@api.post(PATH, rules.rule(f"{ACTIONS}:attach", rules.WRITE), action="os-attach", status=202)
def attach(ctx: Context, volume_id: str, body: AttachBody) -> None:
    """Say that a server or a host has a volume."""
    if (body.instance_uuid is None) == (body.host_name is None):
        raise BadRequest("Invalid request to attach volume: one of instance_uuid and host_name "
                         "is expected")  # fmt: skip
    volume = access.held(ctx, volume_id)
    if volume.status == "attaching" and not attachments_to(ctx.session, volume.id):
        set_status(volume, "available")  # it was reserved for this
    if volume.is_readonly and body.mode == "rw":
        raise InvalidVolume(reason=f"Volume {volume.id} is read only.")
    attachment = reserve(ctx.session, volume, body.instance_uuid, mode=body.mode)
    attachment.attached_host, attachment.mountpoint = body.host_name, body.mountpoint
    attachment.attach_status, attachment.attached_at = "attached", clock.now()
    ctx.session.flush()
    rest(ctx.session, volume)


@api.post(
    PATH, rules.rule(f"{ACTIONS}:detach", rules.WRITE), action="os-detach", status=202,
    threaded=True,
)  # fmt: skip
def detach(ctx: Context, volume_id: str, body: DetachBody) -> None:
    """Say that nobody has a volume any more."""
    _detach(ctx, access.held(ctx, volume_id), body.attachment_id)


@api.post(
    PATH,
    rules.rule("volume_extension:volume_admin_actions:force_detach", rules.ADMIN),
    action="os-force_detach",
    status=202,
    threaded=True,
)
def force_detach(ctx: Context, volume_id: str, body: ForceDetachBody) -> None:
    """Cut off whoever has a volume, unless it is a server's by compute."""
    _detach(ctx, access.held(ctx, volume_id), body.attachment_id)


@api.post(
    PATH,
    rules.rule(f"{ACTIONS}:begin_detaching", rules.WRITE),
    action="os-begin_detaching",
    status=202,
)
def begin_detaching(ctx: Context, volume_id: str) -> None:
    """Say that a volume is about to be detached."""
    volume = access.held(ctx, volume_id)
    access.in_status(volume, "in-use")
    _refuse_servers(ctx, volume)
    set_status(volume, "detaching")


@api.post(
    PATH,
    rules.rule(f"{ACTIONS}:roll_detaching", rules.WRITE),
    action="os-roll_detaching",
    status=202,
)
def roll_detaching(ctx: Context, volume_id: str) -> None:
    """Say that a volume is not detached after all."""
    volume = access.held(ctx, volume_id)
    _refuse_servers(ctx, volume)
    if volume.status == "detaching":
        rest(ctx.session, volume)


@api.post(
    PATH,
    rules.rule(f"{ACTIONS}:initialize_connection", rules.WRITE),
    action="os-initialize_connection",
    threaded=True,
)
def initialize_connection(
    ctx: Context, volume_id: str, body: ConnectorBody
) -> dict[str, dict[str, Any]]:
    """Have a volume exported to a host; its attachment is called like the volume."""
    volume = access.held(ctx, volume_id)
    access.in_status(volume, "available", "attaching", "in-use", "reserved")
    _refuse_servers(ctx, volume)
    connector, host = connector_of(body.connector), volume.host
    mode = "ro" if volume.is_readonly else "rw"
    ctx.release()
    connection = backend(ctx, host).export(volume_id, volume_id, connector, is_shared=True)
    return {"connection_info": told(AttachmentRecord(attach_mode=mode), connection)}


@api.post(
    PATH,
    rules.rule(f"{ACTIONS}:terminate_connection", rules.WRITE),
    action="os-terminate_connection",
    status=202,
    threaded=True,
)
def terminate_connection(ctx: Context, volume_id: str, body: TerminateBody) -> None:
    """End what `os-initialize_connection` began."""
    volume = access.held(ctx, volume_id)
    _refuse_servers(ctx, volume)
    connector_of(body.connector)
    host = volume.host
    ctx.release()
    backend(ctx, host).unexport(volume_id, volume_id)


def _detach(ctx: Context, volume: VolumeRecord, attachment_id: str | None) -> None:
    found = list(attachments_to(ctx.session, volume.id))
    if attachment_id is not None:
        found = [each for each in found if each.id == attachment_id]
    if len(found) > 1:
        raise InvalidVolume(
            reason="Detach volume failed: More than one attachment, but no attachment_id provided."
        )
    if not found and attachment_id is not None:
        raise InvalidVolume(reason="Detach volume failed: there is no such attachment.")
    if not found:
        if volume.status != "available":  # who asks twice is told the same
            access.in_status(volume, "in-use", "detaching", "attaching", "reserved")
            rest(ctx.session, volume)
        return
    _refuse_server(found[0])
    if volume.status == "detaching":
        set_status(volume, "in-use")
    cut(ctx, found[0])


def _refuse_servers(ctx: Context, volume: VolumeRecord) -> None:
    of_volume = select(AttachmentRecord).where(AttachmentRecord.volume_id == volume.id)
    for each in ctx.session.scalars(of_volume):
        _refuse_server(each)


def _refuse_server(attachment: AttachmentRecord) -> None:
    """What compute attached, only compute lets go of."""
    if attachment.is_of_server:
        raise OfServer(server_id=attachment.server_id)
