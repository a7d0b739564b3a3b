"""An image as clients see it."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec

from onestack.core.shapes import UNSET, Extras, Shape, UnsetType
from onestack.image.images.record import WITH_DATA, ImageRecord


class ImageView(Shape):
    """An image; its own properties are beside these attributes."""

    id: str
    name: str | None
    status: str
    visibility: str
    protected: bool
    os_hidden: bool
    owner: str | None
    disk_format: str | None
    container_format: str | None
    min_disk: int
    min_ram: int
    size: int | None
    virtual_size: int | None
    checksum: str | None
    os_hash_algo: str | None
    os_hash_value: str | None
    created_at: str
    updated_at: str
    tags: list[str]
    self: str
    file: str
    schema: str = "/v2/schemas/image"
    stores: str | UnsetType = UNSET
    properties: Annotated[dict[str, str], Extras] = {}


def view(
    record: ImageRecord, tags: Iterable[str], properties: Mapping[str, str], store: str
) -> ImageView:
    """An image as clients see it; `store` is where its data is, once it has any."""
    has_data = record.status in WITH_DATA
    return ImageView(
        id=record.id,
        name=record.name,
        status=record.status,
        visibility=record.visibility,
        protected=record.protected,
        os_hidden=record.os_hidden,
        owner=record.owner,
        disk_format=record.disk_format,
        container_format=record.container_format,
        min_disk=record.min_disk,
        min_ram=record.min_ram,
        size=record.size,
        virtual_size=record.virtual_size,
        checksum=record.checksum,
        os_hash_algo=record.os_hash_algo,
        os_hash_value=record.os_hash_value,
        created_at=iso(record.created_at),
        updated_at=iso(record.updated_at),
        tags=sorted(tags),
        self=f"/v2/images/{record.id}",
        file=f"/v2/images/{record.id}/file",
        stores=store if has_data else UNSET,
        properties={**properties, **_imported(record, store)},
    )


def _imported(record: ImageRecord, store: str) -> dict[str, str]:
    """How the last import goes, or went: clients look for it among the properties."""
    if record.failed_import is None:
        return {}
    return {
        "os_glance_importing_to_stores": store if record.status == "importing" else "",
        "os_glance_failed_import": record.failed_import,
    }


def flat(shown: ImageView) -> dict[str, Any]:
    """The view as the one object that clients get."""
    known: dict[str, Any] = msgspec.to_builtins(shown)
    properties = known.pop("properties")
    return {**properties, **known}


def iso(moment: dt.datetime) -> str:
    """A moment as Glance writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
