"""Snapshots: taken, listed, changed and deleted."""

from typing import Annotated, Any

from sqlalchemy import ColumnElement, select

from onestack.core import clock, event
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import UNSET, Id, Link, Meta, Shape, UnsetType, field
from onestack.volume import listing, rules
from onestack.volume.listing import Found, ListQuery
from onestack.volume.literals import dictionary
from onestack.volume.snapshots import access
from onestack.volume.snapshots.record import InvalidSnapshot, SnapshotRecord
from onestack.volume.snapshots.take import CreateSnapshot, DeleteSnapshot, described
from onestack.volume.snapshots.view import SnapshotBrief, SnapshotView, brief, view
from onestack.volume.texts import Metadata, Text, trimmed
from onestack.volume.volumes.flags import flag
from onestack.volume.volumes.record import locked, volume_of

api = Operations("snapshots")

ACTION = "/v3/snapshots/{snapshot_id}/action"
SORTABLE = {
    name: getattr(SnapshotRecord, name)
    for name in ("id", "name", "status", "volume_id", "volume_size", "created_at", "updated_at",
                 "project_id", "user_id", "description")
} | {"size": SnapshotRecord.volume_size, "display_name": SnapshotRecord.name}  # fmt: skip
EXACT = {
    "name": SnapshotRecord.name,
    "display_name": SnapshotRecord.name,
    "description": SnapshotRecord.description,
    "status": SnapshotRecord.status,
    "volume_id": SnapshotRecord.volume_id,
    "user_id": SnapshotRecord.user_id,
    "volume_size": SnapshotRecord.volume_size,
}
MOMENTS = {"created_at": SnapshotRecord.created_at, "updated_at": SnapshotRecord.updated_at}
STATUSES = frozenset(("available", "creating", "deleting", "error", "error_deleting"))
REPORTED = {"creating": ("creating", "available", "error"), "deleting": ("deleting",
            "error_deleting")}  # fmt: skip


class SnapshotBody(Shape, forbid_unknown_fields=True):
    """What of which volume."""

    volume_id: Id | None
    name: Text | None = None
    display_name: Text | None = None
    description: Text | None = None
    display_description: Text | None = None
    metadata: Metadata | None = None
    force: bool | str | None = None


class SnapshotUpdate(Shape, forbid_unknown_fields=True):
    """What of a snapshot may change."""

    name: Text | UnsetType | None = UNSET
    display_name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    display_description: Text | UnsetType | None = UNSET


class SnapshotQuery(ListQuery):
    """Which snapshots to list."""

    name: str | None = None
    display_name: str | None = None
    description: str | None = None
    status: str | None = None
    volume_id: str | None = None
    volume_size: int | None = None
    user_id: str | None = None
    metadata: str | None = None
    consumes_quota: bool | None = None
    created_at: str | None = None
    updated_at: str | None = None
    name_like: str | None = field(name="name~", default=None)
    status_like: str | None = field(name="status~", default=None)


class SnapshotList(Shape):
    """Snapshots in short."""

    snapshots: list[SnapshotBrief]
    snapshots_links: list[Link] | UnsetType = UNSET
    count: int | UnsetType = UNSET


class SnapshotDetailList(Shape):
    """Snapshots with details."""

    snapshots: list[SnapshotView]
    snapshots_links: list[Link] | UnsetType = UNSET
    count: int | UnsetType = UNSET


class ResetBody(Shape, forbid_unknown_fields=True):
    """What the snapshot's state is from now on."""

    status: str


class ReportBody(Shape, forbid_unknown_fields=True):
    """How far a snapshot is, as who takes it says."""

    status: str
    progress: Annotated[str, Meta(pattern="^[0-9]{1,3}%?$")] | int | UnsetType = UNSET


@api.get("/v3/snapshots", rules.rule("volume:get_all_snapshots", rules.READ))
def index(ctx: Context, query: SnapshotQuery) -> SnapshotList:
    """List snapshots."""
    found = _found(ctx, query)
    items = [brief(ctx, row.SnapshotRecord) for row in found.rows]
    return SnapshotList(snapshots=items, snapshots_links=found.links, count=found.count)


@api.get("/v3/snapshots/detail", rules.rule("volume:get_all_snapshots", rules.READ))
def detail(ctx: Context, query: SnapshotQuery) -> SnapshotDetailList:
    """List snapshots with details."""
    found = _found(ctx, query)
    items = [view(ctx, row.SnapshotRecord) for row in found.rows]
    return SnapshotDetailList(snapshots=items, snapshots_links=found.links, count=found.count)


@api.get(
    "/v3/snapshots/{snapshot_id}", rules.rule("volume:get_snapshot", rules.READ), key="snapshot"
)
def show(ctx: Context, snapshot_id: str) -> SnapshotView:
    """Show a snapshot."""
    return view(ctx, access.seen(ctx, snapshot_id))


@api.post(
    "/v3/snapshots", rules.rule("volume:create_snapshot", rules.WRITE), key="snapshot", status=202
)
def create(ctx: Context, body: SnapshotBody) -> SnapshotBrief:
    """Take a snapshot of a volume."""
    volume = volume_of(ctx.session, body.volume_id or "None", rules.sees(ctx))
    ctx.allow(volume)
    volume = locked(ctx.session, volume.id) or volume
    snapshot = CreateSnapshot.enter(
        ctx.session, volume, ctx.caller.user_id,
        name=trimmed(body.name if body.name is not None else body.display_name),
        description=body.description if body.description is not None else body.display_description,
        metadata=body.metadata or {},
        force=_force(ctx, body.force),
    )  # fmt: skip
    CreateSnapshot.start(ctx.session, snapshot)
    return brief(ctx, snapshot)


@api.put(
    "/v3/snapshots/{snapshot_id}", rules.rule("volume:update_snapshot", rules.WRITE), key="snapshot"
)
def update(ctx: Context, snapshot_id: str, body: SnapshotUpdate) -> SnapshotBrief:
    """Change a snapshot's name or description."""
    given = (body.name, body.display_name, body.description, body.display_description)
    if all(each is UNSET for each in given):
        raise BadRequest("Nothing to update.")
    record = access.seen(ctx, snapshot_id, held=True)
    for name in (body.display_name, body.name):
        if name is not UNSET:
            record.name = trimmed(name)
    for description in (body.display_description, body.description):
        if description is not UNSET:
            record.description = description
    record.updated_at = clock.now()
    event.emit(ctx.session, "snapshot.update", {"id": record.id, **described(record)},
               record.project_id, record.id)  # fmt: skip
    return brief(ctx, record)


@api.delete(
    "/v3/snapshots/{snapshot_id}", rules.rule("volume:delete_snapshot", rules.WRITE), status=202
)
def delete(ctx: Context, snapshot_id: str) -> None:
    """Delete a snapshot."""
    record = access.seen(ctx, snapshot_id)
    if record.status not in ("available", "error", "creating"):
        raise InvalidSnapshot(
            reason="Snapshot status must be available or error, "
            f"and must not be part of a group: it is {record.status}."
        )
    _delete(ctx, record)


@api.post(
    ACTION,
    rules.rule("volume_extension:snapshot_admin_actions:force_delete", rules.ADMIN),
    action="os-force_delete",
    status=202,
)
def force_delete(ctx: Context, snapshot_id: str) -> None:
    """Delete a snapshot whatever state it is in."""
    _delete(ctx, access.seen(ctx, snapshot_id))


@api.post(
    ACTION,
    rules.rule("volume_extension:snapshot_admin_actions:reset_status", rules.ADMIN),
    action="os-reset_status",
    status=202,
)
def reset_status(ctx: Context, snapshot_id: str, body: ResetBody) -> None:
    """Say what state a snapshot is in; nothing is done to it."""
    if body.status.lower() not in STATUSES:
        raise BadRequest(f"Must specify a valid status, not {body.status[:80]!r}")
    record = access.seen(ctx, snapshot_id, held=True)
    record.status, record.updated_at = body.status.lower(), clock.now()


@api.post(
    ACTION,
    rules.rule("snapshot_extension:snapshot_actions:update_snapshot_status", rules.WRITE),
    action="os-update_snapshot_status",
    status=202,
)
def update_status(ctx: Context, snapshot_id: str, body: ReportBody) -> None:
    """Say how far a snapshot is, for those who take it."""
    record = access.seen(ctx, snapshot_id, held=True)
    if body.status not in REPORTED.get(record.status, ()):
        raise BadRequest(
            f"Provided snapshot status {body.status[:40]} not allowed for snapshot with status "
            f"{record.status}."
        )
    record.status, record.updated_at = body.status, clock.now()
    if body.progress is not UNSET:
        record.progress = f"{str(body.progress).rstrip('%')}%"


def _delete(ctx: Context, record: SnapshotRecord) -> None:
    DeleteSnapshot.start(ctx.session, record)
    record.status, record.updated_at = "deleting", clock.now()


def _force(ctx: Context, given: bool | str | None) -> bool:
    """Whether a volume in use may be taken from: always, once clients no longer ask for it."""
    is_forced = flag(given) if given is not None else False
    if ctx.version < (3, 66):
        return is_forced
    if given is not None and not is_forced:
        raise BadRequest("Invalid value for 'force': it is invalid since microversion 3.66.")
    return True


def _found(ctx: Context, query: SnapshotQuery) -> Found:
    listing.check_filters(ctx, query)
    conditions: list[ColumnElement[bool]] = [
        listing.owned(ctx, query, SnapshotRecord.project_id),
        *listing.exact(query, EXACT),
        *listing.by_moment(query, MOMENTS),
    ]
    if query.metadata is not None:
        column: Any = SnapshotRecord.metadata_
        said = dictionary(query.metadata).items()
        conditions += [column[name].as_string() == text for name, text in said]
    if query.consumes_quota is False:
        conditions.append(SnapshotRecord.id.is_(None))
    statement = select(SnapshotRecord.id, SnapshotRecord).where(*conditions)
    return listing.find(ctx, statement, query, SnapshotRecord.id, SORTABLE)
