"""An image's tags, one by one."""

import msgspec

from onestack.core import event
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest, NotFound
from onestack.image import rules
from onestack.image.images import access
from onestack.image.images.attributes import Tag, checked_tags
from onestack.image.images.events import payload
from onestack.image.images.record import ImageTagRecord, tags_of, touch

api = Operations("image tags")


class TagNotFound(NotFound):
    message = "Tag {tag} of image {image_id} could not be found."


@api.put(
    "/v2/images/{image_id}/tags/{tag_value}", rules.rule("modify_image", rules.WRITE), status=204
)
def add(ctx: Context, image_id: str, tag_value: str) -> None:
    """Put a tag on an image; one that it has stays."""
    record = access.owned(ctx, image_id)
    try:
        tag = msgspec.convert(tag_value, Tag)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid tag: {error}") from None
    tags = tags_of(ctx.session, image_id)
    if tag in tags:
        return
    checked_tags([*tags, tag])
    ctx.session.add(ImageTagRecord(image_id=image_id, value=tag))
    touch(record)
    event.emit(ctx.session, "image.update", payload(record), record.owner, image_id)


@api.delete("/v2/images/{image_id}/tags/{tag_value}", rules.rule("modify_image", rules.WRITE))
def remove(ctx: Context, image_id: str, tag_value: str) -> None:
    """Take a tag off an image."""
    record = access.owned(ctx, image_id)
    tag = ctx.session.get(ImageTagRecord, (image_id, tag_value))
    if tag is None:
        raise TagNotFound(tag=tag_value[:80], image_id=image_id)
    ctx.session.delete(tag)
    touch(record)
    event.emit(ctx.session, "image.update", payload(record), record.owner, image_id)
