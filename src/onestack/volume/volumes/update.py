"""Change what a volume is called, and what is written on it."""

from typing import Any

from onestack.core import clock, event
from onestack.core.api import Operations, Raw
from onestack.core.context import Context
from onestack.core.errors import BadRequest, NotFound
from onestack.core.shapes import UNSET, Shape, UnsetType
from onestack.volume import rules
from onestack.volume.texts import Metadata, Text, trimmed
from onestack.volume.volumes import access
from onestack.volume.volumes.build import described
from onestack.volume.volumes.record import VolumeRecord
from onestack.volume.volumes.view import VolumeCreated, created

api = Operations("volumes")

READ = rules.rule("volume:get_volume_metadata", rules.READ)
CREATE = rules.rule("volume:create_volume_metadata", rules.WRITE)
UPDATE = rules.rule("volume:update_volume_metadata", rules.WRITE)
DELETE = rules.rule("volume:delete_volume_metadata", rules.WRITE)
PATH = "/v3/volumes/{volume_id}/metadata"


class VolumeUpdate(Shape, forbid_unknown_fields=True):
    """What of a volume may change."""

    name: Text | UnsetType | None = UNSET
    display_name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    display_description: Text | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET


class MetadataBody(Shape):
    """Metadata of a volume or a snapshot."""

    metadata: Metadata


class MetaBody(Shape):
    """One item of metadata."""

    meta: Metadata


class MetadataNotFound(NotFound):
    message = "Volume {volume_id} has no metadata with key {key}."


@api.put("/v3/volumes/{volume_id}", rules.rule("volume:update", rules.WRITE), key="volume")
def update(ctx: Context, volume_id: str, body: VolumeUpdate) -> VolumeCreated:
    """Change a volume's name, description or metadata."""
    given = (body.name, body.display_name, body.description, body.display_description,
             body.metadata)  # fmt: skip
    if all(each is UNSET for each in given):
        raise BadRequest("None is not of type 'object': nothing to update")
    record = access.held(ctx, volume_id)
    for name in (body.display_name, body.name):
        if name is not UNSET:
            record.name = trimmed(name)
    for description in (body.display_description, body.description):
        if description is not UNSET:
            record.description = description
    if body.metadata is not UNSET:
        record.metadata_ = dict(body.metadata)
    _changed(ctx, record)
    return created(ctx, record)


@api.get(PATH, READ, key="metadata")
def show_metadata(ctx: Context, volume_id: str) -> dict[str, Any]:
    """Show what is written on a volume."""
    return access.seen(ctx, volume_id).metadata_


@api.post(PATH, CREATE)
def add_metadata(ctx: Context, volume_id: str, body: MetadataBody) -> MetadataBody:
    """Write more on a volume."""
    record = access.held(ctx, volume_id)
    record.metadata_ = {**record.metadata_, **body.metadata}
    _changed(ctx, record)
    return MetadataBody(metadata=record.metadata_)


@api.put(PATH, UPDATE)
def replace_metadata(ctx: Context, volume_id: str, body: MetadataBody) -> MetadataBody:
    """Write other things on a volume."""
    record = access.held(ctx, volume_id)
    record.metadata_ = dict(body.metadata)
    _changed(ctx, record)
    return MetadataBody(metadata=record.metadata_)


@api.get(PATH + "/{key}", READ)
def show_item(ctx: Context, volume_id: str, key: str) -> MetaBody:
    """Show one thing that is written on a volume."""
    metadata = access.seen(ctx, volume_id).metadata_
    if key not in metadata:
        raise MetadataNotFound(volume_id=volume_id, key=key[:255])
    return MetaBody(meta={key: metadata[key]})


@api.put(PATH + "/{key}", UPDATE)
def update_item(ctx: Context, volume_id: str, key: str, body: MetaBody) -> MetaBody:
    """Write one thing on a volume."""
    record = access.held(ctx, volume_id)
    check_item(key, body)
    record.metadata_ = {**record.metadata_, **body.meta}
    _changed(ctx, record)
    return body


@api.delete(PATH + "/{key}", DELETE, status=200)
def delete_item(ctx: Context, volume_id: str, key: str) -> Raw:
    """Erase one thing that is written on a volume."""
    record = access.held(ctx, volume_id)
    if key not in record.metadata_:
        raise MetadataNotFound(volume_id=volume_id, key=key[:255])
    record.metadata_ = {name: text for name, text in record.metadata_.items() if name != key}
    _changed(ctx, record)
    return Raw(b"")


def check_item(key: str, body: MetaBody) -> None:
    """Refuse a body that is not about the key in the path."""
    if len(body.meta) != 1 or key not in body.meta:
        raise BadRequest("Request body and URI mismatch")


def _changed(ctx: Context, record: VolumeRecord) -> None:
    record.updated_at = clock.now()
    event.emit(ctx.session, "volume.update", {"id": record.id, **described(record)},
               record.project_id, record.id)  # fmt: skip
