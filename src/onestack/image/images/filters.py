"""What a list of images is filtered and sorted by."""

from typing import Annotated, Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute

from onestack.core import moments
from onestack.core.errors import BadRequest
from onestack.core.paging import sort_pairs
from onestack.core.shapes import Extras, Meta, Shape
from onestack.image.images.record import ImagePropertyRecord, ImageRecord, ImageTagRecord

VISIBILITIES = frozenset(("public", "private", "shared", "community", "all"))
MEMBER_STATUSES = frozenset(("pending", "accepted", "rejected", "all"))
SORTABLE = ("name", "status", "container_format", "disk_format", "size", "id", "created_at",
            "updated_at")  # fmt: skip
SORTS_MAX = 8
EXACT = ("owner", "size", "virtual_size", "min_disk", "min_ram", "checksum", "os_hash_algo",
         "os_hash_value", "protected")  # fmt: skip
SEVERAL = ("id", "name", "status", "container_format", "disk_format")
MOMENTS = ("created_at", "updated_at")

Bytes = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Small = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class ImageQuery(Shape):
    """Which images to list; what is not named here is a property of the image's own."""

    limit: Bytes | None = None
    marker: str | None = None
    sort: str | None = None
    sort_key: list[str] | None = None
    sort_dir: list[str] | None = None
    visibility: str | None = None
    member_status: str = "accepted"
    id: str | None = None
    name: str | None = None
    status: str | None = None
    container_format: str | None = None
    disk_format: str | None = None
    owner: str | None = None
    protected: bool | None = None
    os_hidden: bool = False
    tag: list[str] | None = None
    size: Bytes | None = None
    size_min: Bytes | None = None
    size_max: Bytes | None = None
    virtual_size: Bytes | None = None
    min_disk: Small | None = None
    min_ram: Small | None = None
    checksum: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    properties: Annotated[dict[str, str], Extras] = {}


class BadFilter(BadRequest):
    message = "Invalid value {value!r:.80} for {name}."


def conditions(query: ImageQuery) -> list[ColumnElement[bool]]:
    """The filters that were given, but for those on who sees what."""
    for name, known in (("visibility", VISIBILITIES), ("member_status", MEMBER_STATUSES)):
        value = getattr(query, name)
        if value is not None and value not in known:
            raise BadFilter(name=name, value=value)
    return [
        ImageRecord.os_hidden.is_(query.os_hidden),
        *(getattr(ImageRecord, name) == value for name, value in _given(query, EXACT)),
        *(_one_of(getattr(ImageRecord, name), text) for name, text in _given(query, SEVERAL)),
        *(_compared(getattr(ImageRecord, name), text) for name, text in _given(query, MOMENTS)),
        *(ImageRecord.size >= value for _, value in _given(query, ("size_min",))),
        *(ImageRecord.size <= value for _, value in _given(query, ("size_max",))),
        *map(_tagged, query.tag or ()),
        *(_said(name, value) for name, value in query.properties.items()),
    ]


def order(query: ImageQuery) -> list[tuple[InstrumentedAttribute[Any], bool]]:
    """The columns to sort by, and whether each descends; the newest come first at last."""
    if query.sort is not None and (query.sort_key or query.sort_dir):
        raise BadRequest("Old and new sorting syntax cannot be combined")
    wanted = _sort_pairs(query)
    if len(wanted) > SORTS_MAX or len({name for name, _ in wanted}) < len(wanted):
        raise BadRequest(f"Sort by at most {SORTS_MAX} keys, each of them once.")
    for name in ("created_at", "id"):
        if all(name != each for each, _ in wanted):
            wanted.append((name, "desc"))
    for name, direction in wanted:
        if name not in SORTABLE:
            raise BadRequest(f"Invalid sort key: {name[:80]}. It must be one of the following: "
                             f"{', '.join(SORTABLE)}.")  # fmt: skip
        if direction not in ("asc", "desc"):
            raise BadRequest(f"Invalid sort direction: {direction[:80]}")
    return [(getattr(ImageRecord, name), direction == "desc") for name, direction in wanted]


def _given(query: ImageQuery, names: tuple[str, ...]) -> list[tuple[str, Any]]:
    return [(name, value) for name in names if (value := getattr(query, name)) is not None]


def _tagged(tag: str) -> ColumnElement[bool]:
    return ImageRecord.id.in_(select(ImageTagRecord.image_id).where(ImageTagRecord.value == tag))


def _said(name: str, value: str) -> ColumnElement[bool]:
    said = select(ImagePropertyRecord.image_id).where(
        ImagePropertyRecord.name == name, ImagePropertyRecord.value == value
    )
    return ImageRecord.id.in_(said)


def _sort_pairs(query: ImageQuery) -> list[tuple[str, str]]:
    if query.sort is not None:
        return sort_pairs(query.sort, "desc")
    keys = query.sort_key or (["created_at"] if query.sort_dir else [])
    directions = query.sort_dir or ["desc"]
    if len(directions) not in (1, len(keys)):
        raise BadRequest("Number of sort dirs does not match the number of sort keys")
    if len(directions) == 1:
        directions = directions * len(keys)
    return list(zip(keys, directions, strict=True))


def _one_of(column: InstrumentedAttribute[Any], text: str) -> ColumnElement[bool]:
    """A value, or one of several: `in:a,"b, c"`."""
    if not text.startswith("in:"):
        return column == text
    return column.in_(_split(text.removeprefix("in:"), column.key))


def _split(text: str, name: str) -> list[str]:
    found = []
    rest = text
    while True:
        if rest.startswith('"'):
            value, closing, rest = rest[1:].partition('"')
            if not closing or (rest and not rest.startswith(",")):
                raise BadFilter(name=name, value=text)
        else:
            value, _, _ = rest.partition(",")
            if '"' in value:
                raise BadFilter(name=name, value=text)
            rest = rest[len(value) :]
        found.append(value)
        if not rest:
            return found
        rest = rest[1:]


def _compared(column: InstrumentedAttribute[Any], text: str) -> ColumnElement[bool]:
    try:
        return moments.compared(column, text)
    except ValueError:
        raise BadFilter(name=column.key, value=text) from None
