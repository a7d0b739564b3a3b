"""The image, or the volume, that a new server starts from."""

import msgspec

from onestack import image
from onestack.compute.flavors.record import FlavorRecord
from onestack.compute.lenient import flag
from onestack.compute.rules import is_admin
from onestack.compute.servers import disks
from onestack.compute.servers.disks import Disk, InvalidMapping
from onestack.compute.servers.wanted import WantedDisk
from onestack.core.context import Context
from onestack.core.errors import BadRequest, NotFound
from onestack.image import Image

GIB = 1 << 30
# What an image says of the disks of new servers, which they have once they are made.
MAPPINGS = frozenset(
    ("mappings", "block_device_mapping", "img_mappings", "img_block_device_mapping")
)


class NoSuchImage(BadRequest):
    message = "Can not find requested image"


class ImageNotActive(BadRequest):
    message = "Image {image_id} is not active."


class FlavorMemoryTooSmall(BadRequest):
    message = "Flavor's memory is too small for requested image."


class DiskSmallerThanImage(BadRequest):
    message = (
        "Flavor's disk is too small for requested image. Flavor disk is {flavor_size} bytes, "
        "image is {image_size} bytes."
    )


class DiskSmallerThanMinimum(BadRequest):
    message = (
        "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk "
        "is {flavor_size} bytes, minimum size is {image_min_disk} bytes."
    )


class DiskOfImage(WantedDisk, forbid_unknown_fields=False):
    """A disk that an image wants; whoever made the image may have kept more of it."""


def image_of(ctx: Context, image_id: str | None) -> Image | None:
    """The image with this id, if the caller may use it and it has its data."""
    if image_id is None:
        return None
    try:
        found = image.describe(ctx.session, image_id, ctx.caller.project_id, is_admin(ctx))
    except NotFound:
        raise NoSuchImage from None
    if found.status != "active":
        raise ImageNotActive(image_id=image_id)
    return found


def disks_of(found: Image | None) -> list[Disk]:
    """The disks that an image wants its servers to have; most images say nothing of them."""
    said = found.block_devices if found is not None else []
    if found is None or not said:
        return []
    try:
        wanted = msgspec.convert(said, list[DiskOfImage])
    except msgspec.ValidationError as error:
        raise InvalidMapping(reason=f"of image {found.id}: {error}.") from None
    is_new = flag(found.properties.get("bdm_v2", False))
    return disks.of_new(wanted) if is_new else disks.of_old(wanted, None)


def of_root(ctx: Context, root: Disk, found: Image | None) -> tuple[Image | None, dict[str, str]]:
    """The image that a root disk is made of, if it is made of one, and what is said of it."""
    if root.source_type == "image":
        if found is None or found.id != root.source_id:
            found = image_of(ctx, root.source_id)
        return found, properties_of(found)
    of_volume = disks.root_volume(ctx.session, [root], ctx.caller.project_id)
    return found, properties_of(found) or of_volume


def properties_of(found: Image | None) -> dict[str, str]:
    """What is kept of an image with the servers that are made of it."""
    if found is None:
        return {}
    return {
        **{name: value for name, value in found.properties.items() if name not in MAPPINGS},
        "min_disk": str(found.min_disk),
        "min_ram": str(found.min_ram),
        "disk_format": str(found.disk_format),
        "container_format": str(found.container_format),
    }


def check_room(found: Image | None, flavor: FlavorRecord) -> None:
    """Refuse an image that is too large for what the flavour has."""
    if found is not None:
        check_size(found, flavor.memory_mb, flavor.root_gb)


def check_size(found: Image, memory_mb: int, root_gb: int) -> None:
    """Refuse an image that is too large for so much memory, or for a root disk of this size."""
    if found.min_ram > memory_mb:
        raise FlavorMemoryTooSmall
    if root_gb == 0:
        return
    room = root_gb * GIB
    size = max(found.size or 0, found.virtual_size or 0)
    if size > room:
        raise DiskSmallerThanImage(flavor_size=room, image_size=size)
    if found.min_disk > root_gb:
        raise DiskSmallerThanMinimum(flavor_size=room, image_min_disk=found.min_disk * GIB)
