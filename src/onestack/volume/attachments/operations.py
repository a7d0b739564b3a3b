"""Attachments for clients other than compute: who connects to volumes by itself."""

from typing import Annotated, Any, Literal

import msgspec
from sqlalchemy import select

from onestack.core.api import Operations
from onestack.core.bus import Bus
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict
from onestack.core.shapes import UNSET, Id, Link, Shape, UnsetType, since
from onestack.volume import listing, rules
from onestack.volume.attachments import view as shown
from onestack.volume.attachments.connect import mark, reserve, told
from onestack.volume.attachments.record import (
    AttachmentNotFound,
    AttachmentRecord,
    attachments_to,
)
from onestack.volume.attachments.settle import rest, settle
from onestack.volume.attachments.view import AttachmentBrief, AttachmentView
from onestack.volume.backend import Backend, Connection, Connector
from onestack.volume.listing import Found, ListQuery
from onestack.volume.places import address
from onestack.volume.volumes import access
from onestack.volume.volumes.record import VolumeRecord, locked

api = Operations("attachments")

EXPORT_TIMEOUT_S = 30.0
SORTABLE = {
    name: getattr(AttachmentRecord, name) for name in ("id", "created_at", "attach_status")
} | {"volume_id": AttachmentRecord.volume_id, "status": AttachmentRecord.attach_status}
EXACT = {
    "volume_id": AttachmentRecord.volume_id,
    "instance_id": AttachmentRecord.server_id,
    "attach_status": AttachmentRecord.attach_status,
    "status": AttachmentRecord.attach_status,
}


class OfServer(Conflict):
    message = "Detach volume from instance {server_id} using the Compute API"


class NotConnected(BadRequest):
    message = "The attachment has no connector yet."


class AttachmentBody(Shape):
    """Which volume, for which server, and who connects to it."""

    volume_uuid: Id
    instance_uuid: Id | None = None
    connector: dict[str, Any] | None = None
    mode: Annotated[Literal["rw", "ro"] | UnsetType | None, since("3.54")] = UNSET


class ConnectorBody(Shape):
    """Who connects."""

    connector: dict[str, Any]


class AttachmentQuery(ListQuery):
    """Which attachments to list."""

    volume_id: str | None = None
    instance_id: str | None = None
    attach_status: str | None = None
    status: str | None = None


class AttachmentList(Shape):
    """Attachments in short."""

    attachments: list[AttachmentBrief]
    attachments_links: list[Link] | UnsetType = UNSET


class AttachmentDetailList(Shape):
    """Attachments with details."""

    attachments: list[AttachmentView]
    attachments_links: list[Link] | UnsetType = UNSET


class Remaining(Shape):
    """Who has the volume still."""

    attachments: list[AttachmentBrief]


@api.get("/v3/attachments", rules.rule("volume:attachment_get_all", rules.READ), since="3.27")
def index(ctx: Context, query: AttachmentQuery) -> AttachmentList:
    """List attachments."""
    found = _found(ctx, query)
    items = [shown.brief(row) for row in _records(found)]
    return AttachmentList(attachments=items, attachments_links=found.links)


@api.get(
    "/v3/attachments/detail", rules.rule("volume:attachment_get_all", rules.READ), since="3.27"
)
def detail(ctx: Context, query: AttachmentQuery) -> AttachmentDetailList:
    """List attachments with details."""
    found = _found(ctx, query)
    items = [shown.view(row) for row in _records(found)]
    return AttachmentDetailList(attachments=items, attachments_links=found.links)


@api.get(
    "/v3/attachments/{attachment_id}",
    rules.rule("volume:attachment_get", rules.READ),
    key="attachment",
    since="3.27",
)
def show(ctx: Context, attachment_id: str) -> AttachmentView:
    """Show an attachment."""
    return shown.view(_seen(ctx, attachment_id))


@api.post(
    "/v3/attachments",
    rules.rule("volume:attachment_create", rules.WRITE),
    key="attachment",
    since="3.27",
    threaded=True,
)
def create(ctx: Context, body: AttachmentBody) -> AttachmentView:
    """Reserve a volume, and connect to it when the body says who does."""
    volume = access.seen(ctx, body.volume_uuid)
    mode = body.mode if isinstance(body.mode, str) else "rw"
    attachment = reserve(ctx.session, volume, body.instance_uuid, mode=mode)
    if body.connector:
        _connect(ctx, attachment, connector_of(body.connector))
    return shown.view(attachment)


@api.put(
    "/v3/attachments/{attachment_id}",
    rules.rule("volume:attachment_update", rules.WRITE),
    key="attachment",
    since="3.27",
    threaded=True,
)
def update(ctx: Context, attachment_id: str, body: ConnectorBody) -> AttachmentView:
    """Connect to a volume that is reserved."""
    attachment = _own(ctx, attachment_id)
    _connect(ctx, attachment, connector_of(body.connector))
    return shown.view(attachment)


@api.post(
    "/v3/attachments/{attachment_id}/action",
    rules.rule("volume:attachment_complete", rules.WRITE),
    action="os-complete",
    since="3.44",
    status=204,
)
def complete(ctx: Context, attachment_id: str) -> None:
    """Say that the server has the volume."""
    attachment = _own(ctx, attachment_id)
    if attachment.connector is None:
        raise NotConnected
    mark(ctx.session, attachment, "attached")


@api.delete(
    "/v3/attachments/{attachment_id}",
    rules.rule("volume:attachment_delete", rules.WRITE),
    since="3.27",
    status=200,
    threaded=True,
)
def delete(ctx: Context, attachment_id: str) -> Remaining:
    """Cut an attachment off, and forget it."""
    attachment = _own(ctx, attachment_id)
    volume_id = attachment.volume_id
    cut(ctx, attachment)
    return Remaining(attachments=[shown.brief(e) for e in attachments_to(ctx.session, volume_id)])


def cut(ctx: Context, attachment: AttachmentRecord) -> None:
    """Have the backend end an export, and forget the attachment; waits for the backend."""
    volume = ctx.session.get_one(VolumeRecord, attachment.volume_id)
    attachment_id, volume_id, host = attachment.id, volume.id, volume.host
    attachment.attach_status = "detaching"
    if host is not None:
        ctx.release()
        backend(ctx, host).unexport(volume_id, attachment_id)
    held = locked(ctx.session, volume_id)
    found = ctx.session.get(AttachmentRecord, attachment_id)
    if found is not None:
        ctx.session.delete(found)
        ctx.session.flush()
    if held is not None and held.status == "error":
        rest(ctx.session, held)  # what was wrong was the attachment
    elif held is not None:
        settle(ctx.session, held)


def backend(ctx: Context, host: str | None) -> Backend:
    """The backend of a host, to be asked while the database is not held."""
    remote: Backend = ctx.cloud.get(Bus).remote(Backend, address(host), EXPORT_TIMEOUT_S)
    return remote


def connector_of(given: dict[str, Any]) -> Connector:
    """Who connects, of the words that clients describe themselves with."""
    try:
        known = {"host": given.get("host"), "address": given.get("ip") or "",
                 "initiator": given.get("initiator") or ""}  # fmt: skip
        return msgspec.convert(known, Connector)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid connector: {error}") from None


def _connect(ctx: Context, attachment: AttachmentRecord, connector: Connector) -> None:
    volume = locked(ctx.session, attachment.volume_id)
    if volume is None or volume.host is None:
        raise AttachmentNotFound(attachment_id=attachment.id)
    attachment.attach_status, attachment.attached_host = "attaching", connector.host
    attachment.connector = msgspec.to_builtins(connector)
    ctx.session.flush()
    settle(ctx.session, volume)
    attachment_id, volume_id, host = attachment.id, volume.id, volume.host
    ctx.release()
    connection: Connection = backend(ctx, host).export(volume_id, attachment_id, connector)
    known = ctx.session.get(AttachmentRecord, attachment_id)
    if known is None:
        raise AttachmentNotFound(attachment_id=attachment_id)
    known.connection_info = told(known, connection)
    attachment.connection_info = known.connection_info


def _found(ctx: Context, query: AttachmentQuery) -> Found:
    listing.check_filters(ctx, query)
    statement = select(AttachmentRecord.id, AttachmentRecord).where(
        listing.owned(ctx, query, AttachmentRecord.project_id), *listing.exact(query, EXACT)
    )
    return listing.find(ctx, statement, query, AttachmentRecord.id, SORTABLE)


def _records(found: Found) -> list[AttachmentRecord]:
    return [row.AttachmentRecord for row in found.rows]


def _seen(ctx: Context, attachment_id: str) -> AttachmentRecord:
    found = ctx.session.get(AttachmentRecord, attachment_id)
    if found is None or rules.sees(ctx) not in (None, found.project_id):
        raise AttachmentNotFound(attachment_id=attachment_id[:64])
    ctx.allow(found)
    return found


def _own(ctx: Context, attachment_id: str) -> AttachmentRecord:
    """An attachment that its client may change: none that a server has by compute."""
    found = _seen(ctx, attachment_id)
    if found.is_of_server:
        raise OfServer(server_id=found.server_id)
    return found
