"""Stage an image's data: keep it, unseen and unexamined, until it is imported."""

from onestack.core import event
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import Conflict
from onestack.image import rules
from onestack.image.images import access
from onestack.image.images.events import payload
from onestack.image.images.record import ImageRecord, touch
from onestack.image.images.upload import Arrival, receive

api = Operations("image import")


class NotStageable(Conflict):
    message = "Image status transition from {status} to uploading is not allowed"


class Staging(Arrival):
    """Data that waits to be imported."""

    status = "uploading"
    refusal = NotStageable

    def arrived(self, ctx: Context, record: ImageRecord, size: int) -> None:
        record.size = size
        touch(record)
        event.emit(ctx.session, "image.stage", payload(record), record.owner, record.id)


@api.put(
    "/v2/images/{image_id}/stage",
    rules.rule("modify_image", rules.WRITE),
    status=204,
    streams=True,
)
def stage(ctx: Context, image_id: str) -> None:
    """Upload an image's data to import it afterwards."""
    receive(ctx, access.owned(ctx, image_id), Staging())
