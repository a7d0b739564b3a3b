"""What is known of the image that a volume was made of."""

from typing import Any

from onestack.core.api import Operations, Raw
from onestack.core.context import Context
from onestack.core.errors import NotFound
from onestack.core.shapes import Name, Shape
from onestack.volume import rules
from onestack.volume.texts import Metadata
from onestack.volume.volumes import access

api = Operations("volumes")

PATH = "/v3/volumes/{volume_id}/action"


class ImageMetadata(Shape):
    """What the image was, or what servers need to know of it."""

    metadata: Metadata


class UnsetBody(Shape, forbid_unknown_fields=True):
    """What is to be forgotten."""

    key: Name


class ImageMetadataView(Shape):
    """What is known of the image."""

    metadata: dict[str, Any]


class NoSuchKey(NotFound):
    message = "Metadata {key} could not be found."


@api.post(
    PATH,
    rules.rule("volume_extension:volume_image_metadata:set", rules.WRITE),
    action="os-set_image_metadata",
)
def set_image_metadata(ctx: Context, volume_id: str, body: ImageMetadata) -> ImageMetadataView:
    """Say more of the image that a volume was made of."""
    volume = access.held(ctx, volume_id)
    volume.image_metadata = {**(volume.image_metadata or {}), **body.metadata}
    return ImageMetadataView(metadata=volume.image_metadata)


@api.post(
    PATH,
    rules.rule("volume_extension:volume_image_metadata:show", rules.READ),
    action="os-show_image_metadata",
    reads=True,
)
def show_image_metadata(ctx: Context, volume_id: str) -> ImageMetadataView:
    """Show what is known of the image that a volume was made of."""
    return ImageMetadataView(metadata=access.seen(ctx, volume_id).image_metadata or {})


@api.post(
    PATH,
    rules.rule("volume_extension:volume_image_metadata:remove", rules.WRITE),
    action="os-unset_image_metadata",
)
def unset_image_metadata(ctx: Context, volume_id: str, body: UnsetBody) -> Raw:
    """Forget one thing of the image that a volume was made of."""
    volume = access.held(ctx, volume_id)
    known = dict(volume.image_metadata or {})
    if body.key not in known:
        raise NoSuchKey(key=body.key)
    del known[body.key]
    volume.image_metadata = known or None
    return Raw(b"")
