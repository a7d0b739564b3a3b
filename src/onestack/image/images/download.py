"""Download an image's data, or a part of it."""

from onestack.core import conditions
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import Forbidden
from onestack.core.streams import Download
from onestack.image import rules
from onestack.image.images import access
from onestack.image.images.record import WITH_DATA
from onestack.image.store import StoreSlot

api = Operations("image data")


class Deactivated(Forbidden):
    message = "The requested image has been deactivated. Image data download is forbidden."


@api.get(
    "/v2/images/{image_id}/file",
    rules.rule("download_image", rules.USE_SEEN),
    threaded=True,
)
def download(ctx: Context, image_id: str) -> Download | None:
    """Download an image's data; an image that has none yet is answered without content."""
    record = access.seen(ctx, image_id).record
    if record.status == "deactivated" and not access.is_admin(ctx):
        raise Deactivated
    if record.status not in WITH_DATA or not record.data or record.size is None:
        return None
    headers = ctx.request.headers
    part = conditions.byte_range(headers, record.size)
    if part is None:
        part = conditions.content_range(headers, record.size)
    return Download(
        ctx.cloud.get(StoreSlot).store.open(record.data),
        size=record.size,
        headers={"Content-MD5": record.checksum or ""},
        part=part,
    )
