"""Upload an image's data: inspected, counted and hashed while it passes by, and kept only whole."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Table, update

from onestack.core import clock, event, log
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.db import Database
from onestack.core.errors import BadRequest, Conflict, Gone
from onestack.core.streams import Upload
from onestack.image import rules
from onestack.image.images import access
from onestack.image.images.events import payload
from onestack.image.images.record import ImageRecord, touch
from onestack.image.inspection import Finding, Inspector
from onestack.image.settings import ImageSettings
from onestack.image.store import DataMissing, StoreSlot

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


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to upload to an image, and the name that its data will have."""

    image_id: str
    name: str
    disk_format: str
    container_format: str


class Reading:
    """Data on its way into the store."""

    def __init__(self, database: Database, ticket: Ticket) -> None:
        self._database, self._ticket = database, ticket
        self._inspector = Inspector(ticket.disk_format, ticket.container_format)
        self._seen_at = clock.monotonic()
        self.checksum = hashlib.md5(usedforsecurity=False)
        self.hash = hashlib.sha512()
        self.finding: Finding | None = None

    def pieces(self, stream: Upload) -> Iterator[bytes]:
        """The stream's pieces; it ends in an error when they are not what was declared."""
        # Two hashes are what an upload costs most, so each has a thread; neither runs far ahead.
        with ThreadPoolExecutor(1, "checksum") as beside:
            counted: Future[None] | None = None
            for piece in stream:
                self._inspector.feed(piece)
                if counted is not None:
                    counted.result()
                counted = beside.submit(self.checksum.update, piece)
                self.hash.update(piece)
                yield piece
                self._give_sign_of_life()
        self.finding = self._inspector.finish()

    def _give_sign_of_life(self) -> None:
        now = clock.monotonic()
        if now - self._seen_at < SIGN_OF_LIFE_S:
            return
        self._seen_at = now
        ticket = self._ticket
        with self._database.transaction() as session:
            ours = update(_IMAGES).where(
                _IMAGES.c.id == ticket.image_id, _IMAGES.c.data == ticket.name
            )
            told = session.connection().execute(ours.values(upload_seen_at=clock.now()))
        if not told.rowcount:
            raise DeletedMeanwhile(image_id=ticket.image_id)


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


def receive(ctx: Context, record: ImageRecord) -> None:
    """Take the request's body as the data of an image that waits for it."""
    ticket = _begin(ctx, record)
    reading = Reading(ctx.cloud.get(Database), ticket)
    try:
        stream = ctx.request.stream
        stream.limit(ctx.cloud.get(ImageSettings).size_max_bytes)
        size = ctx.cloud.get(StoreSlot).store.put(ticket.name, reading.pieces(stream))
        _finish(ctx, ticket, reading, size)
    except BaseException as error:
        ctx.abandon()
        _take_back(ctx, ticket)
        if isinstance(error, DataMissing):
            raise DeletedMeanwhile(image_id=ticket.image_id) from None
        raise


def _begin(ctx: Context, record: ImageRecord) -> Ticket:
    if record.status != "queued":
        raise NotQueued(status=record.status)
    if record.disk_format is None or record.container_format is None:
        raise FormatsMissing
    ticket = Ticket(record.id, clock.new_id(), record.disk_format, record.container_format)
    record.status, record.data = "saving", ticket.name
    record.upload_seen_at = clock.now()
    touch(record)
    event.emit(ctx.session, "image.prepare", payload(record), record.owner, record.id)
    ctx.release()
    return ticket


def _finish(ctx: Context, ticket: Ticket, reading: Reading, size: int) -> None:
    record = ctx.session.get(ImageRecord, ticket.image_id, with_for_update=True)
    if record is None or record.data != ticket.name:
        raise DeletedMeanwhile(image_id=ticket.image_id)
    record.status, record.size = "active", size
    record.virtual_size = reading.finding.virtual_size if reading.finding else None
    record.checksum = reading.checksum.hexdigest()
    record.os_hash_algo, record.os_hash_value = HASH, reading.hash.hexdigest()
    record.upload_seen_at = None
    touch(record)
    for name in ("image.upload", "image.activate"):
        event.emit(ctx.session, name, payload(record), record.owner, record.id)
    ctx.release()


def _take_back(ctx: Context, ticket: Ticket) -> None:
    """Let the image wait for its data again, and keep nothing of what came.

    Where this fails too, upkeep does it a while later.
    """
    try:
        record = ctx.session.get(ImageRecord, ticket.image_id, with_for_update=True)
        is_ours = record is not None and record.data == ticket.name
        if record is not None and is_ours and record.status == "saving":
            record.status, record.data, record.upload_seen_at = "queued", None, None
            touch(record)
            is_ours = False
        ctx.release()
        if not is_ours:
            ctx.cloud.get(StoreSlot).store.delete(ticket.name)
    except Exception as error:
        log.exception("an upload could not be taken back", error, image=ticket.image_id)
