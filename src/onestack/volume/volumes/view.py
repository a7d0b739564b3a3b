"""A volume as clients see it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from sqlalchemy import Select, select

from onestack.core.context import Context
from onestack.core.db import by_key
from onestack.core.moments import precise
from onestack.core.shapes import UNSET, Link, Shape, UnsetType, field, since
from onestack.volume import rules
from onestack.volume.attachments.record import AttachmentRecord
from onestack.volume.listing import links
from onestack.volume.places import shown_host
from onestack.volume.types.record import VolumeTypeRecord
from onestack.volume.volumes.record import VolumeRecord

COLUMNS = list(VolumeRecord.__mapper__.column_attrs.keys())


class VolumeAttachmentView(Shape):
    """Who has a volume."""

    id: str
    attachment_id: str
    volume_id: str
    server_id: str | None
    host_name: str | None
    device: str | None
    attached_at: str | None


class VolumeBrief(Shape):
    """A volume in a list without details."""

    id: str
    name: str | None
    links: list[Link]


class VolumeCreated(Shape):
    """A volume as it is shown to who made or changed it."""

    id: str
    status: str
    size: int
    availability_zone: str
    created_at: str | None
    updated_at: str | None
    name: str | None
    description: str | None
    volume_type: str
    snapshot_id: str | None
    source_volid: str | None
    metadata: dict[str, Any]
    links: list[Link]
    user_id: str
    bootable: str
    encrypted: bool
    replication_status: None
    consistencygroup_id: None
    multiattach: bool
    attachments: list[VolumeAttachmentView]
    migration_status: None
    group_id: Annotated[None, since("3.13")]
    service_uuid: Annotated[str | None, since("3.48")]
    shared_targets: Annotated[bool | None, since("3.48")]
    volume_type_id: Annotated[str, since("3.63")]
    consumes_quota: Annotated[bool, since("3.65")]
    provider_id: Annotated[UnsetType | None, since("3.21")] = UNSET
    cluster_name: Annotated[UnsetType | None, since("3.61")] = UNSET


class VolumeView(VolumeCreated, kw_only=True):
    """A volume with all that is known of it."""

    tenant_id: str = field(name="os-vol-tenant-attr:tenant_id")
    host: str | UnsetType | None = field(name="os-vol-host-attr:host", default=UNSET)
    migration_state: UnsetType | None = field(name="os-vol-mig-status-attr:migstat", default=UNSET)
    migration_name_id: UnsetType | None = field(
        name="os-vol-mig-status-attr:name_id", default=UNSET
    )
    volume_image_metadata: dict[str, Any] | UnsetType = UNSET


def with_type() -> Select[Any]:
    """Volumes with the names of their types, as plain rows."""
    columns = [getattr(VolumeRecord, name) for name in COLUMNS]
    return select(*columns, VolumeTypeRecord.name.label("type_name")).join(
        VolumeTypeRecord, VolumeTypeRecord.id == VolumeRecord.volume_type_id
    )


def brief(ctx: Context, row: Any) -> VolumeBrief:
    """A volume in short."""
    return VolumeBrief(id=row.id, name=row.name, links=links(ctx, "volumes", row.id))


def views(ctx: Context, rows: Sequence[Any]) -> list[VolumeView]:
    """Volumes with details, in as many statements as one takes."""
    attachments = _attachments(ctx, [row.id for row in rows])
    is_admin = rules.is_admin(ctx)
    return [_view(ctx, row, row.type_name, attachments[row.id], is_admin) for row in rows]


def view(ctx: Context, record: VolumeRecord) -> VolumeView:
    """One volume, as it is by now."""
    ctx.session.flush()
    row = ctx.session.execute(with_type().where(VolumeRecord.id == record.id)).one()
    return views(ctx, [row])[0]


def created(ctx: Context, record: VolumeRecord) -> VolumeCreated:
    """One volume, as it is shown to who made or changed it."""
    kind = by_key(ctx.session, VolumeTypeRecord, record.volume_type_id)
    assert kind is not None
    attachments = [] if record.status == "creating" else _attachments(ctx, [record.id])[record.id]
    shown = _view(ctx, record, kind.name, attachments, rules.is_admin(ctx))
    return VolumeCreated(**{name: getattr(shown, name) for name in VolumeCreated.__struct_fields__})


def _view(
    ctx: Context, row: Any, type_name: str, attachments: list[VolumeAttachmentView],
    is_admin: bool,
) -> VolumeView:  # fmt: skip  # fmt: skip
    return VolumeView(
        id=row.id,
        status=row.status,
        size=row.size,
        availability_zone=row.availability_zone,
        created_at=precise(row.created_at),
        updated_at=precise(row.updated_at),
        name=row.name,
        description=row.description,
        volume_type=type_name,
        snapshot_id=row.snapshot_id,
        source_volid=row.source_volid,
        metadata=_metadata(row),
        links=links(ctx, "volumes", row.id),
        user_id=row.user_id,
        bootable="true" if row.is_bootable else "false",
        encrypted=False,
        replication_status=None,
        consistencygroup_id=None,
        multiattach=row.is_multiattach,
        attachments=attachments,
        tenant_id=row.project_id,
        migration_status=None,
        group_id=None,
        provider_id=None if is_admin else UNSET,
        service_uuid=None,
        shared_targets=None if ctx.version >= (3, 69) else False,
        cluster_name=None if is_admin else UNSET,
        volume_type_id=row.volume_type_id,
        consumes_quota=True,
        host=shown_host(row.host, row.driver, row.pool) if is_admin else UNSET,
        migration_state=None if is_admin else UNSET,
        migration_name_id=None if is_admin else UNSET,
        volume_image_metadata=row.image_metadata or UNSET,
    )


def _metadata(row: Any) -> dict[str, Any]:
    if row.is_readonly is None:
        return row.metadata_  # type: ignore[no-any-return]
    return {**row.metadata_, "readonly": str(row.is_readonly)}


def _attachments(ctx: Context, volume_ids: Iterable[str]) -> dict[str, list[VolumeAttachmentView]]:
    """What the API calls attachments: those that are, not those that are reserved."""
    found: dict[str, list[VolumeAttachmentView]] = defaultdict(list)
    wanted = select(AttachmentRecord).where(
        AttachmentRecord.volume_id.in_(list(volume_ids)),
        AttachmentRecord.attach_status.in_(("attached", "detaching", "error_detaching")),
    )
    for each in ctx.session.scalars(wanted.order_by(AttachmentRecord.created_at)):
        found[each.volume_id].append(
            VolumeAttachmentView(
                id=each.volume_id,
                attachment_id=each.id,
                volume_id=each.volume_id,
                server_id=each.server_id,
                host_name=each.attached_host,
                device=each.mountpoint,
                attached_at=precise(each.attached_at),
            )
        )
    return found
