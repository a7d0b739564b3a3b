"""What is written on a snapshot."""

from typing import Any

from onestack.core import clock
from onestack.core.api import Operations, Raw
from onestack.core.context import Context
from onestack.core.errors import NotFound
from onestack.volume import rules
from onestack.volume.snapshots import access
from onestack.volume.volumes.update import MetaBody, MetadataBody, check_item

api = Operations("snapshots")

PATH = "/v3/snapshots/{snapshot_id}/metadata"
READ = rules.rule("volume:get_snapshot_metadata", rules.READ)
UPDATE = rules.rule("volume:update_snapshot_metadata", rules.WRITE)
DELETE = rules.rule("volume:delete_snapshot_metadata", rules.WRITE)


class MetadataNotFound(NotFound):
    message = "Snapshot {snapshot_id} has no metadata with key {key}."


@api.get(PATH, READ, key="metadata")
def show(ctx: Context, snapshot_id: str) -> dict[str, Any]:
    """Show what is written on a snapshot."""
    return access.seen(ctx, snapshot_id).metadata_


@api.post(PATH, UPDATE)
def add(ctx: Context, snapshot_id: str, body: MetadataBody) -> MetadataBody:
    """Write more on a snapshot."""
    return _keep(ctx, snapshot_id, body.metadata, replaces=False)


@api.put(PATH, UPDATE)
def replace(ctx: Context, snapshot_id: str, body: MetadataBody) -> MetadataBody:
    """Write other things on a snapshot."""
    return _keep(ctx, snapshot_id, body.metadata, replaces=True)


@api.get(PATH + "/{key}", READ)
def show_item(ctx: Context, snapshot_id: str, key: str) -> MetaBody:
    """Show one thing that is written on a snapshot."""
    metadata = access.seen(ctx, snapshot_id).metadata_
    if key not in metadata:
        raise MetadataNotFound(snapshot_id=snapshot_id, key=key[:255])
    return MetaBody(meta={key: metadata[key]})


@api.put(PATH + "/{key}", UPDATE)
def update_item(ctx: Context, snapshot_id: str, key: str, body: MetaBody) -> MetaBody:
    """Write one thing on a snapshot."""
    check_item(key, body)
    _keep(ctx, snapshot_id, body.meta, replaces=False)
    return body


@api.delete(PATH + "/{key}", DELETE, status=200)
def delete_item(ctx: Context, snapshot_id: str, key: str) -> Raw:
    """Erase one thing that is written on a snapshot."""
    record = access.seen(ctx, snapshot_id, held=True)
    if key not in record.metadata_:
        raise MetadataNotFound(snapshot_id=snapshot_id, key=key[:255])
    record.metadata_ = {name: text for name, text in record.metadata_.items() if name != key}
    record.updated_at = clock.now()
    return Raw(b"")


def _keep(
    ctx: Context, snapshot_id: str, metadata: dict[str, str], *, replaces: bool
) -> MetadataBody:
    record = access.seen(ctx, snapshot_id, held=True)
    record.metadata_ = {**({} if replaces else record.metadata_), **metadata}
    record.updated_at = clock.now()
    return MetadataBody(metadata=record.metadata_)
