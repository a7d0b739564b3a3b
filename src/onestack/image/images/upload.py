"""Upload an image's data: inspected, counted and hashed while it passes by, and kept only whole."""

from collections.abc import Iterable, Iterator
from typing import cast

import msgspec
from sqlalchemy import Table, update
from sqlalchemy.orm import Session

from onestack.core import clock, event, log
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.db import Database
from onestack.core.errors import ApiError, BadRequest, Conflict, Gone
from onestack.image import rules
from onestack.image.images import access
from onestack.image.images.events import payload
from onestack.image.images.reading import Reading
from onestack.image.images.record import ImageRecord, touch
from onestack.image.settings import ImageSettings
from onestack.image.store import DataMissing, Examined, StoreSlot

api = Operations("image data")

HASH = "sha512"
SIGN_OF_LIFE_S = 20.0

# Signs of life change nothing that clients see, so they go past what notices changes.
_IMAGES = cast(Table, ImageRecord.__table__)


class NotQueued(Conflict):
    message = "Image status transition from {status} to saving is not allowed"


class FormatsMissing(BadRequest):
    message = "Properties disk_format, container_format must be set prior to saving data."


class NoSuchStore(BadRequest):
    message = "Store {store} is not known."


class DeletedMeanwhile(Gone):
    message = (
        "Image {image_id} could not be found after upload. The image may have been deleted "
        "during the upload."
    )


class Ticket(msgspec.Struct, frozen=True):
    """The right to upload to an image, and the name that its data will have."""

    image_id: str
    name: str


class Arrival:
    """What becomes of data that comes, and what the image is meanwhile."""

    status: str
    refusal: type[ApiError]

    def pieces(self, stream: Iterable[bytes]) -> Iterator[bytes]:
        """The pieces to keep."""
        yield from stream

    def arrived(self, ctx: Context, record: ImageRecord, size: int) -> None:
        """Note that all of it came."""
        raise NotImplementedError


class Upload(Arrival):
    """Data that is good for use as soon as all of it is there."""

    status = "saving"
    refusal = NotQueued

    def __init__(self, record: ImageRecord) -> None:
        if record.disk_format is None or record.container_format is None:
            raise FormatsMissing
        self._reading = Reading(record.disk_format, record.container_format)

    def pieces(self, stream: Iterable[bytes]) -> Iterator[bytes]:
        return self._reading.pieces(stream)

    def arrived(self, ctx: Context, record: ImageRecord, _size: int) -> None:
        activate(ctx.session, record, self._reading.examined())


@api.put(
    "/v2/images/{image_id}/file",
    rules.rule("upload_image", rules.WRITE),
    status=204,
    streams=True,
)
def upload(ctx: Context, image_id: str) -> None:
    """Upload an image's data; of several uploads at once, one begins and the others are refused."""
    record = access.owned(ctx, image_id)
    wanted = ctx.request.headers.get("x-image-meta-store")
    if wanted not in (None, ctx.cloud.get(StoreSlot).store.name):
        raise NoSuchStore(store=str(wanted)[:80])
    receive(ctx, record)


def receive(ctx: Context, record: ImageRecord, arrival: Arrival | None = None) -> None:
    """Take the request's body as the data of an image that waits for it."""
    if record.status != "queued":
        raise (arrival or Upload).refusal(status=record.status)
    arrival = arrival or Upload(record)
    ticket = _begin(ctx, record, arrival.status)
    try:
        stream = ctx.request.stream
        stream.limit(ctx.cloud.get(ImageSettings).size_max_bytes)
        pieces = _alive(ctx.cloud.get(Database), ticket, arrival.pieces(stream))
        size = ctx.cloud.get(StoreSlot).store.put(ticket.name, pieces)
        _finish(ctx, ticket, arrival, size)
    except BaseException as error:
        ctx.abandon()
        _take_back(ctx, ticket, arrival.status)
        if isinstance(error, DataMissing):
            raise DeletedMeanwhile(image_id=ticket.image_id) from None
        raise


def activate(session: Session, record: ImageRecord, examined: Examined) -> None:
    """Let an image be used: its data is there, and is what it should be."""
    record.status, record.size = "active", examined.size
    record.virtual_size, record.checksum = examined.virtual_size, examined.checksum
    record.os_hash_algo, record.os_hash_value = HASH, examined.sha512
    touch(record)
    for name in ("image.upload", "image.activate"):
        event.emit(session, name, payload(record), record.owner, record.id)


def _begin(ctx: Context, record: ImageRecord, status: str) -> Ticket:
    ticket = Ticket(record.id, clock.new_id())
    record.status, record.data = status, ticket.name
    record.upload_seen_at = clock.now()
    touch(record)
    event.emit(ctx.session, "image.prepare", payload(record), record.owner, record.id)
    ctx.release()
    return ticket


def _alive(database: Database, ticket: Ticket, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces; while they come, the image's row says now and then that they do."""
    seen_at = clock.monotonic()
    for piece in pieces:
        yield piece
        if clock.monotonic() - seen_at >= SIGN_OF_LIFE_S:
            seen_at = clock.monotonic()
            _give_sign_of_life(database, ticket)


def _give_sign_of_life(database: Database, ticket: Ticket) -> None:
    with database.transaction() as session:
        ours = update(_IMAGES).where(_IMAGES.c.id == ticket.image_id, _IMAGES.c.data == ticket.name)
        told = session.connection().execute(ours.values(upload_seen_at=clock.now()))
    if not told.rowcount:
        raise DeletedMeanwhile(image_id=ticket.image_id)


def _finish(ctx: Context, ticket: Ticket, arrival: Arrival, size: int) -> None:
    record = ctx.session.get(ImageRecord, ticket.image_id, with_for_update=True)
    if record is None or record.data != ticket.name:
        raise DeletedMeanwhile(image_id=ticket.image_id)
    record.upload_seen_at = None
    arrival.arrived(ctx, record, size)
    ctx.release()


def _take_back(ctx: Context, ticket: Ticket, status: str) -> None:
    """Let the image wait for its data again, and keep nothing of what came.

    Where this fails too, upkeep does it a while later.
    """
    try:
        record = ctx.session.get(ImageRecord, ticket.image_id, with_for_update=True)
        is_ours = record is not None and record.data == ticket.name
        if record is not None and is_ours and record.status == status:
            record.status, record.data, record.upload_seen_at = "queued", None, None
            touch(record)
            is_ours = False
        ctx.release()
        if not is_ours:
            ctx.cloud.get(StoreSlot).store.delete(ticket.name)
    except Exception as error:
        log.exception("an upload could not be taken back", error, image=ticket.image_id)
