"""Delete an image, and then its data."""

from onestack.core import event, log
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import Forbidden
from onestack.image import rules
from onestack.image.images import access
from onestack.image.images.events import payload
from onestack.image.store import StoreSlot

api = Operations("images")


class Protected(Forbidden):
    message = "Image {image_id} is protected and cannot be deleted."


@api.delete("/v2/images/{image_id}", rules.rule("delete_image", rules.WRITE), threaded=True)
def delete(ctx: Context, image_id: str) -> None:
    """Delete an image; an upload that is under way ends."""
    record = access.owned(ctx, image_id)
    if record.protected:
        raise Protected(image_id=image_id)
    name = record.data
    ctx.session.delete(record)
    event.emit(ctx.session, "image.delete", payload(record), record.owner, image_id)
    ctx.release()
    if name is not None:
        try:
            ctx.cloud.get(StoreSlot).store.delete(name)
        except OSError as error:
            # The image is gone all the same; upkeep finds what nobody refers to.
            log.exception("an image's data could not be deleted", error, image=image_id)
