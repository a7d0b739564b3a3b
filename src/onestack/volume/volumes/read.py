"""List volumes, and show one."""

from typing import Any

from sqlalchemy import ColumnElement, func, select

from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import UNSET, Link, Shape, UnsetType, field
from onestack.volume import listing, rules
from onestack.volume.listing import Found, ListQuery
from onestack.volume.literals import dictionary
from onestack.volume.volumes import access
from onestack.volume.volumes.record import VolumeRecord
from onestack.volume.volumes.view import VolumeBrief, VolumeView, brief, view, views, with_type

api = Operations("volumes")

SORTABLE = {
    name: getattr(VolumeRecord, name)
    for name in ("id", "name", "status", "size", "created_at", "updated_at", "host",
                 "availability_zone", "launched_at", "project_id", "user_id", "description")
} | {"display_name": VolumeRecord.name, "bootable": VolumeRecord.is_bootable}  # fmt: skip
EXACT = {
    "name": VolumeRecord.name,
    "display_name": VolumeRecord.name,
    "description": VolumeRecord.description,
    "status": VolumeRecord.status,
    "availability_zone": VolumeRecord.availability_zone,
    "size": VolumeRecord.size,
    "user_id": VolumeRecord.user_id,
    "snapshot_id": VolumeRecord.snapshot_id,
    "source_volid": VolumeRecord.source_volid,
    "volume_type_id": VolumeRecord.volume_type_id,
    "multiattach": VolumeRecord.is_multiattach,
}
MOMENTS = {"created_at": VolumeRecord.created_at, "updated_at": VolumeRecord.updated_at}


class VolumeQuery(ListQuery):
    """Which volumes to list."""

    name: str | None = None
    display_name: str | None = None
    description: str | None = None
    status: str | None = None
    availability_zone: str | None = None
    size: int | None = None
    user_id: str | None = None
    snapshot_id: str | None = None
    source_volid: str | None = None
    volume_type_id: str | None = None
    multiattach: bool | None = None
    bootable: str | None = None
    metadata: str | None = None
    glance_metadata: str | None = None
    host: str | None = None
    group_id: str | None = None
    migration_status: str | None = None
    replication_status: str | None = None
    consumes_quota: bool | None = None
    created_at: str | None = None
    updated_at: str | None = None
    name_like: str | None = field(name="name~", default=None)
    description_like: str | None = field(name="description~", default=None)
    status_like: str | None = field(name="status~", default=None)
    availability_zone_like: str | None = field(name="availability_zone~", default=None)


class VolumeList(Shape):
    """Volumes in short."""

    volumes: list[VolumeBrief]
    volumes_links: list[Link] | UnsetType = UNSET
    count: int | UnsetType = UNSET


class VolumeDetailList(Shape):
    """Volumes with details."""

    volumes: list[VolumeView]
    volumes_links: list[Link] | UnsetType = UNSET
    count: int | UnsetType = UNSET


class Summary(Shape):
    """How many volumes there are, and how large they are together."""

    total_size: int
    total_count: int
    metadata: dict[str, list[str]] | UnsetType = UNSET


@api.get("/v3/volumes", rules.rule("volume:get_all", rules.READ))
def index(ctx: Context, query: VolumeQuery) -> VolumeList:
    """List volumes."""
    found = _found(ctx, query)
    return VolumeList(
        volumes=[brief(ctx, row) for row in found.rows],
        volumes_links=found.links,
        count=found.count,
    )


@api.get("/v3/volumes/detail", rules.rule("volume:get_all", rules.READ))
def detail(ctx: Context, query: VolumeQuery) -> VolumeDetailList:
    """List volumes with details."""
    found = _found(ctx, query)
    return VolumeDetailList(
        volumes=views(ctx, found.rows), volumes_links=found.links, count=found.count
    )


@api.get(
    "/v3/volumes/summary",
    rules.rule("volume:get_all", rules.READ),
    key="volume-summary",
    since="3.12",
)
def summary(ctx: Context, query: VolumeQuery) -> Summary:
    """Say how many volumes there are, and how large they are together."""
    listing.check_filters(ctx, query)
    conditions = _conditions(ctx, query)
    wanted = select(func.count(VolumeRecord.id), func.coalesce(func.sum(VolumeRecord.size), 0))
    count, size = ctx.session.execute(wanted.where(*conditions)).one()
    if ctx.version < (3, 36):
        return Summary(total_size=int(size), total_count=count)
    metadata: dict[str, list[str]] = {}
    for each in ctx.session.scalars(select(VolumeRecord.metadata_).where(*conditions)):
        for name, value in each.items():
            values = metadata.setdefault(name, [])
            if value not in values:
                values.append(value)
    return Summary(total_size=int(size), total_count=count, metadata=metadata)


@api.get("/v3/volumes/{volume_id}", rules.rule("volume:get", rules.READ), key="volume")
def show(ctx: Context, volume_id: str) -> VolumeView:
    """Show a volume."""
    return view(ctx, access.seen(ctx, volume_id))


def _found(ctx: Context, query: VolumeQuery) -> Found:
    listing.check_filters(ctx, query)
    statement = with_type().where(*_conditions(ctx, query))
    return listing.find(ctx, statement, query, VolumeRecord.id, SORTABLE)


def _conditions(ctx: Context, query: VolumeQuery) -> list[ColumnElement[bool]]:
    conditions = [
        listing.owned(ctx, query, VolumeRecord.project_id),
        *listing.exact(query, EXACT),
        *listing.by_moment(query, MOMENTS),
        *_said(query.metadata, VolumeRecord.metadata_),
        *_said(query.glance_metadata, VolumeRecord.image_metadata),
    ]
    if query.bootable is not None:
        conditions.append(VolumeRecord.is_bootable.is_(_bootable(query.bootable)))
    if query.host is not None:
        conditions.append(VolumeRecord.host == query.host.partition("@")[0])
    # There are neither groups nor migrations nor replicas, and all volumes count.
    for absent in (query.group_id, query.migration_status, query.replication_status):
        if absent is not None:
            conditions.append(VolumeRecord.id.is_(None))
    if query.consumes_quota is False:
        conditions.append(VolumeRecord.id.is_(None))
    return conditions


def _bootable(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise BadRequest(f"bootable={text[:20]} is neither true nor false.")
    return text.lower() in ("true", "1")


def _said(text: str | None, column: Any) -> list[ColumnElement[bool]]:
    if text is None:
        return []
    return [column[name].as_string() == value for name, value in dictionary(text).items()]
