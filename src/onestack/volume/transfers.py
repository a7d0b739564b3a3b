"""Transfers: a volume changes hands between two projects."""

import datetime as dt
import hashlib
import hmac
import secrets
from typing import Annotated

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core import clock, event
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.db import Record
from onestack.core.errors import BadRequest, NotFound
from onestack.core.moments import precise
from onestack.core.shapes import UNSET, Id, Link, Shape, UnsetType, since
from onestack.volume import listing, quotas, rules
from onestack.volume.listing import Found, ListQuery, links
from onestack.volume.snapshots.record import SnapshotRecord
from onestack.volume.texts import Text
from onestack.volume.types.record import VolumeTypeRecord
from onestack.volume.volumes import access
from onestack.volume.volumes.record import (
    TOPIC,
    InvalidVolume,
    VolumeRecord,
    locked,
    new_id,
    set_status,
)

api = Operations("volume transfers")

KEY_BYTES = 16


class TransferRecord(Record):
    """An offer of a volume to whoever knows the key; only a digest of the key is kept."""

    __tablename__ = "volume_transfers"
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    volume_id: Mapped[str] = mapped_column(
        ForeignKey("volumes.id", ondelete="CASCADE"), unique=True
    )
    project_id: Mapped[str] = mapped_column(index=True)
    name: Mapped[str | None]
    salt: Mapped[str]
    digest: Mapped[str]
    takes_snapshots: Mapped[bool]
    created_at: Mapped[dt.datetime]


class TransferNotFound(NotFound):
    message = "Transfer {transfer_id} could not be found."


class InvalidKey(BadRequest):
    message = "Invalid auth key: Attempt to transfer {transfer_id} with invalid auth key."


class TransferBody(Shape, forbid_unknown_fields=True):
    """Which volume, and whether its snapshots go with it."""

    volume_id: Id
    name: Text | None = None
    no_snapshots: Annotated[bool, since("3.55")] = False


class AcceptBody(Shape, forbid_unknown_fields=True):
    """What the giver told the taker."""

    auth_key: Text


class AcceptRequest(Shape):
    """The body of an acceptance."""

    accept: AcceptBody


class TransferBrief(Shape):
    """A transfer in a list without details."""

    id: str
    volume_id: str
    name: str | None
    links: list[Link]


class TransferView(TransferBrief):
    """A transfer; the key is shown once, to who made it."""

    created_at: str | None
    source_project_id: Annotated[str, since("3.57")]
    destination_project_id: Annotated[str | None, since("3.57")]
    accepted: Annotated[bool, since("3.57")]
    no_snapshots: Annotated[bool, since("3.55")]
    auth_key: str | UnsetType = UNSET


class Accepted(Shape):
    """A transfer that is over."""

    transfer: TransferBrief


class TransferList(Shape):
    """Transfers in short."""

    transfers: list[TransferBrief]
    transfers_links: list[Link] | UnsetType = UNSET


class TransferDetailList(Shape):
    """Transfers with details."""

    transfers: list[TransferView]
    transfers_links: list[Link] | UnsetType = UNSET


def _declare(path: str, first: str | None) -> None:
    """The operations, under the path of their extension or, later, under their own."""
    list_rule = rules.rule("volume:get_all_transfers", rules.READ)
    show_rule = rules.rule("volume:get_transfer", rules.READ)
    one = f"{path}/{{transfer_id}}"
    api.get(path, list_rule, since=first)(index)
    api.get(f"{path}/detail", list_rule, since=first)(detail)
    api.get(one, show_rule, key="transfer", since=first)(show)
    api.post(path, rules.rule("volume:create_transfer", rules.WRITE), key="transfer",
             status=202, since=first)(create)  # fmt: skip
    api.post(f"{one}/accept", rules.rule("volume:accept_transfer", "role:admin or role:member"),
             status=202, since=first)(accept)  # fmt: skip
    api.delete(one, rules.rule("volume:delete_transfer", rules.WRITE), status=202,
               since=first)(delete)  # fmt: skip


def index(ctx: Context, query: ListQuery) -> TransferList:
    """List transfers."""
    found = _found(ctx, query)
    items = [_brief(ctx, row.TransferRecord) for row in found.rows]
    return TransferList(transfers=items, transfers_links=found.links)


def detail(ctx: Context, query: ListQuery) -> TransferDetailList:
    """List transfers with details."""
    found = _found(ctx, query)
    items = [_view(ctx, row.TransferRecord) for row in found.rows]
    return TransferDetailList(transfers=items, transfers_links=found.links)


def show(ctx: Context, transfer_id: str) -> TransferView:
    """Show a transfer."""
    return _view(ctx, _seen(ctx, transfer_id))


def create(ctx: Context, body: TransferBody) -> TransferView:
    """Offer a volume to whoever knows the key in the answer."""
    volume = access.held(ctx, body.volume_id)
    if volume.status != "available":
        raise InvalidVolume(reason="status must be available")
    key = secrets.token_hex(KEY_BYTES // 2)
    salt = secrets.token_hex(KEY_BYTES // 2)
    record = TransferRecord(
        id=new_id(), volume_id=volume.id, project_id=volume.project_id, name=body.name, salt=salt,
        digest=_digest(salt, key), takes_snapshots=not body.no_snapshots, created_at=clock.now(),
    )  # fmt: skip
    set_status(volume, "awaiting-transfer")
    ctx.session.add(record)
    event.emit(ctx.session, "transfer.create", {"id": record.id, "volume_id": volume.id},
               record.project_id, volume.id)  # fmt: skip
    shown = _view(ctx, record)
    shown.auth_key = key
    return shown


def accept(ctx: Context, transfer_id: str, body: AcceptRequest) -> Accepted:
    """Take a volume that is offered."""
    ctx.allow()
    record = ctx.session.get(TransferRecord, transfer_id, with_for_update=True)
    if record is None:
        raise TransferNotFound(transfer_id=transfer_id[:64])
    if not hmac.compare_digest(record.digest, _digest(record.salt, body.accept.auth_key)):
        raise InvalidKey(transfer_id=transfer_id)
    volume = locked(ctx.session, record.volume_id)
    if volume is None or volume.status != "awaiting-transfer":
        raise InvalidVolume(reason="Volume is not awaiting a transfer")
    _hand_over(ctx, record, volume)
    shown = _brief(ctx, record)
    ctx.session.delete(record)
    return Accepted(transfer=shown)


def delete(ctx: Context, transfer_id: str) -> None:
    """Offer a volume no longer."""
    record = _seen(ctx, transfer_id)
    volume = locked(ctx.session, record.volume_id)
    if volume is not None and volume.status == "awaiting-transfer":
        set_status(volume, "available")
    ctx.session.delete(record)


_declare("/v3/os-volume-transfer", None)
_declare("/v3/volume-transfers", "3.55")


def _hand_over(ctx: Context, record: TransferRecord, volume: VolumeRecord) -> None:
    """Let the volume, and perhaps its snapshots, be the taker's, within the taker's quota."""
    taker = ctx.caller.project_id or ""
    kind = ctx.session.get_one(VolumeTypeRecord, volume.volume_type_id)
    of_volume = select(SnapshotRecord).where(SnapshotRecord.volume_id == volume.id)
    snapshots = list(ctx.session.scalars(of_volume)) if record.takes_snapshots else []
    more = {
        "volumes": 1,
        "snapshots": len(snapshots),
        "gigabytes": volume.size + sum(each.volume_size for each in snapshots),
    }
    quotas.check(ctx.session, taker, kind, more)
    taken: list[VolumeRecord | SnapshotRecord] = [volume, *snapshots]
    for each in taken:
        each.project_id, each.user_id = taker, ctx.caller.user_id
    set_status(volume, "available")
    event.emit(ctx.session, "transfer.accept", {"id": record.id, "volume_id": volume.id},
               taker, volume.id)  # fmt: skip


def _digest(salt: str, key: str) -> str:
    return hmac.new(salt.encode(), key.encode(), hashlib.sha256).hexdigest()


def _found(ctx: Context, query: ListQuery) -> Found:
    statement = select(TransferRecord.id, TransferRecord).where(
        listing.owned(ctx, query, TransferRecord.project_id)
    )
    columns = {name: getattr(TransferRecord, name) for name in ("id", "name", "created_at")}
    return listing.find(ctx, statement, query, TransferRecord.id, columns)


def _seen(ctx: Context, transfer_id: str) -> TransferRecord:
    found = ctx.session.get(TransferRecord, transfer_id)
    if found is None or rules.sees(ctx) not in (None, found.project_id):
        raise TransferNotFound(transfer_id=transfer_id[:64])
    ctx.allow(found)
    return found


def _brief(ctx: Context, record: TransferRecord) -> TransferBrief:
    shown = links(ctx, "volume-transfers", record.id)
    return TransferBrief(id=record.id, volume_id=record.volume_id, name=record.name, links=shown)


def _view(ctx: Context, record: TransferRecord) -> TransferView:
    return TransferView(
        id=record.id,
        volume_id=record.volume_id,
        name=record.name,
        links=links(ctx, "volume-transfers", record.id),
        created_at=precise(record.created_at),
        source_project_id=record.project_id,
        destination_project_id=None,
        accepted=False,
        no_snapshots=not record.takes_snapshots,
    )
