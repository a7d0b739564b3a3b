"""Tickets: how hosts fetch and send images' data, with an address that is good for one image, one
purpose and a while."""

from typing import Annotated
from urllib.parse import urlencode

from onestack.core.api import PUBLIC, Operations
from onestack.core.context import Cloud, Context
from onestack.core.download import Source
from onestack.core.errors import Forbidden
from onestack.core.seal import Seal
from onestack.core.shapes import Meta, Shape
from onestack.core.streams import Download
from onestack.image.images.record import WITH_DATA, ImageNotFound, ImageRecord
from onestack.image.images.snapshots import Snapshots
from onestack.image.images.upload import receive
from onestack.image.store import StoreSlot
from onestack.image.style import ROOT

TICKET_S = 6 * 3600.0

api = Operations("image data for hosts")


class BadTicket(Forbidden):
    message = "The ticket is not for this, or its time is over."


class Gate:
    """Where hosts find this cloud's images, and what their tickets are signed with."""

    def __init__(self, url: str, seal: Seal) -> None:
        self._url, self._seal = url, seal.derive("image tickets")

    def address(self, purpose: str, image_id: str) -> str:
        """An address for a purpose, GET or PUT."""
        grant = self._seal.grant(f"{purpose} {image_id}", TICKET_S)
        return f"{self._url}{ROOT}/v2/images/{image_id}/data?{urlencode({'ticket': grant})}"

    def check(self, purpose: str, image_id: str, ticket: str) -> None:
        """Refuse what was not given for this."""
        if not self._seal.admits(f"{purpose} {image_id}", ticket):
            raise BadTicket


class TicketQuery(Shape):
    """What a host shows instead of a token."""

    ticket: Annotated[str, Meta(max_length=200)]


@api.get("/v2/images/{image_id}/data", PUBLIC, threaded=True)
def fetch(ctx: Context, image_id: str, query: TicketQuery) -> Download:
    """Download an image's data with a ticket."""
    ctx.cloud.get(Gate).check("GET", image_id, query.ticket)
    record = _with_data(ctx.cloud, image_id)
    return Download(ctx.cloud.get(StoreSlot).store.open(record.data or ""), size=record.size)


@api.put("/v2/images/{image_id}/data", PUBLIC, status=204, streams=True)
def send(ctx: Context, image_id: str, query: TicketQuery) -> None:
    """Upload an image's data with a ticket; once it is there, again changes nothing."""
    ctx.cloud.get(Gate).check("PUT", image_id, query.ticket)
    record = ctx.session.get(ImageRecord, image_id, with_for_update=True)
    if record is None:
        raise ImageNotFound(image_id=image_id[:64])
    if record.status == "active":
        return
    if record.status == "saving":
        # The host that had the ticket died on the way: what it sent is replaced.
        record.status = "queued"
    receive(ctx, record)


def source(cloud: Cloud, image_id: str) -> Source:
    """Where a host finds an image's data; `ImageNotFound` when there is none."""
    record = _with_data(cloud, image_id)
    path = cloud.get(StoreSlot).store.path(record.data or "")
    return Source(
        url=cloud.get(Gate).address("GET", image_id),
        size=record.size or 0,
        sha512=record.os_hash_value or "",
        disk_format=record.disk_format or "raw",
        path=path,
    )


def upload_url(cloud: Cloud, image_id: str) -> str:
    """Where a host sends the data of an image that waits for it."""
    return cloud.get(Gate).address("PUT", image_id)


def _with_data(cloud: Cloud, image_id: str) -> ImageRecord:
    record = cloud.get(Snapshots).get(image_id).record
    if not record.data or record.size is None or record.status not in WITH_DATA:
        raise ImageNotFound(image_id=image_id[:64])
    return record
