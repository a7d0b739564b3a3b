"""What clients may say of an image, and which attributes are not theirs to set."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from onestack.core.errors import BadRequest, Forbidden, TooLarge
from onestack.core.shapes import UNSET, Extras, Meta, Shape, UnsetType

TAGS_MAX = PROPERTIES_MAX = 128
UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$(?!\n)"
PRINTED = r"^[^\x00-\x1f\x7f]*$(?!\n)"

Printed = Annotated[str, Meta(max_length=255, pattern=PRINTED)]
ImageId = Annotated[str, Meta(pattern=UUID)]
Tag = Annotated[str, Meta(min_length=1, max_length=255, pattern=PRINTED)]
Amount = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Visibility = Literal["public", "private", "shared", "community"]
DiskFormat = Literal[
    "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop", "gpt"
]
ContainerFormat = Literal["ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"]

PROPERTY_NAME_MAX, PROPERTY_VALUE_MAX = 255, 65535
READ_ONLY = frozenset(
    (
        "created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url",
        "self", "file", "schema", "stores", "os_hash_algo", "os_hash_value",
    )
)  # fmt: skip
RESERVED = frozenset(("locations", "location", "deleted", "deleted_at", "image_id"))
RESERVED_PREFIX = "os_glance_"


class ImageBody(Shape):
    """An image as clients describe it; what it does not name is a property of their own."""

    id: ImageId | UnsetType = UNSET
    name: Printed | UnsetType | None = UNSET
    visibility: Visibility | UnsetType = UNSET
    protected: bool | UnsetType = UNSET
    os_hidden: bool | UnsetType = UNSET
    owner: Printed | UnsetType | None = UNSET
    disk_format: DiskFormat | UnsetType | None = UNSET
    container_format: ContainerFormat | UnsetType | None = UNSET
    min_disk: Amount | UnsetType = UNSET
    min_ram: Amount | UnsetType = UNSET
    tags: list[Tag] | UnsetType = UNSET
    properties: Annotated[dict[str, Any], Extras] = {}


OWN = frozenset(ImageBody.__struct_fields__) - {"properties"}


class ReadOnly(Forbidden):
    message = "Attribute '{name}' is read-only."


class Reserved(Forbidden):
    message = "Attribute '{name}' is reserved."


class BadProperty(BadRequest):
    message = "Provided object does not match schema 'image': {reason}"


class TooManyProperties(TooLarge):
    message = (
        "The limit has been exceeded on the number of allowed image properties. "
        "Attempted: {wanted}, Maximum: {limit}"
    )


class TooManyTags(TooLarge):
    message = (
        "The limit has been exceeded on the number of allowed image tags. "
        "Attempted: {wanted}, Maximum: {limit}"
    )


def check_settable(name: str) -> None:
    """Refuse an attribute that only the service itself sets."""
    if name in READ_ONLY:
        raise ReadOnly(name=name)
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise Reserved(name=name)


def checked_properties(given: Mapping[str, Any]) -> dict[str, str]:
    """Properties of a client's own: names and texts of bounded length."""
    for name, value in given.items():
        check_settable(name)
        if not 1 <= len(name) <= PROPERTY_NAME_MAX or not name.isprintable():
            raise BadProperty(reason="the name of a property has 1 to 255 printable characters")
        if not isinstance(value, str):
            raise BadProperty(reason=f"{value!r:.80} is not of type 'string'")
        if len(value) > PROPERTY_VALUE_MAX:
            raise BadProperty(reason=f"the value of {name[:80]} is too long")
    if len(given) > PROPERTIES_MAX:
        raise TooManyProperties(wanted=len(given), limit=PROPERTIES_MAX)
    return cast(dict[str, str], dict(given))


def checked_tags(given: list[str]) -> list[str]:
    """Tags, each once."""
    tags = sorted(set(given))
    if len(tags) > TAGS_MAX:
        raise TooManyTags(wanted=len(tags), limit=TAGS_MAX)
    return tags
