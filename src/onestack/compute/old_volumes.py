"""Volumes and snapshots, for clients of versions before 2.36 who ask the compute service."""

from typing import Any

from onestack import volume
from onestack.compute import rules
from onestack.compute.paging import Limit
from onestack.compute.proxy import ask
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.shapes import UNSET, Shape, UnsetType, field

api = Operations("volumes")

UNTIL = "2.35"
VOLUMES, SNAPSHOTS = "/v3/volumes", "/v3/snapshots"
ASKED = {"display_name": "name", "display_description": "description"}


class ListQuery(Shape):
    """Which part of a list."""

    limit: Limit | None = None
    offset: Limit = 0


class VolumeBody(Shape):
    """A volume to make."""

    size: int | str
    display_name: str | None = None
    display_description: str | None = None
    volume_type: str | None = None
    snapshot_id: str | None = None
    availability_zone: str | None = None
    metadata: dict[str, str] | None = None


class SnapshotBody(Shape):
    """A snapshot to make."""

    volume_id: str
    display_name: str | None = None
    display_description: str | None = None
    force: bool | str = False  # volumes in use are taken too, without asking


class AttachmentView(Shape):
    """Where a volume is attached; nothing of it where it is not."""

    id: str | UnsetType = UNSET
    volume_id: str | UnsetType = field(default=UNSET, name="volumeId")
    server_id: str | UnsetType = field(default=UNSET, name="serverId")
    device: str | UnsetType = UNSET


class VolumeView(Shape, rename="camel"):
    """A volume, in the words of that time."""

    id: str
    status: str
    size: int
    availability_zone: str
    created_at: str
    display_name: str | None
    display_description: str | None
    snapshot_id: str | None
    volume_type: str | None
    metadata: dict[str, str]
    attachments: list[AttachmentView]


class SnapshotView(Shape, rename="camel"):
    """A snapshot, in the words of that time."""

    id: str
    status: str
    size: int
    volume_id: str
    created_at: str
    display_name: str | None
    display_description: str | None


@api.get(
    "/v2.1/os-volumes", rules.rule("os-volumes:list", rules.READER), key="volumes", until=UNTIL,
    kept=False,
)  # fmt: skip
def volumes(ctx: Context, query: ListQuery) -> Page[VolumeView]:
    """List the project's volumes."""
    return _volumes(ctx, query)


@api.get(
    "/v2.1/os-volumes/detail", rules.rule("os-volumes:detail", rules.READER), key="volumes",
    until=UNTIL, kept=False,
)  # fmt: skip
def volume_details(ctx: Context, query: ListQuery) -> Page[VolumeView]:
    """List the project's volumes."""
    return _volumes(ctx, query)


@api.post(
    "/v2.1/os-volumes", rules.rule("os-volumes:create", rules.MEMBER), key="volume", until=UNTIL
)
def create_volume(ctx: Context, body: VolumeBody) -> VolumeView:
    """Make a volume."""
    rules.allow_own(ctx)
    names = ("size", "volume_type", "snapshot_id", "availability_zone", "metadata", *ASKED)
    wanted = {"volume": _asked(body, names)}
    return _volume(ask(ctx, volume.SERVICE, "POST", VOLUMES, body=wanted)["volume"])


@api.get(
    "/v2.1/os-volumes/{volume_id}", rules.rule("os-volumes:show", rules.READER), key="volume",
    until=UNTIL, kept=False,
)  # fmt: skip
def show_volume(ctx: Context, volume_id: str) -> VolumeView:
    """Show a volume."""
    rules.allow_own(ctx)
    return _volume(ask(ctx, volume.SERVICE, "GET", f"{VOLUMES}/{volume_id}")["volume"])


@api.delete(
    "/v2.1/os-volumes/{volume_id}", rules.rule("os-volumes:delete", rules.MEMBER), status=202,
    until=UNTIL,
)  # fmt: skip
def delete_volume(ctx: Context, volume_id: str) -> None:
    """Delete a volume."""
    rules.allow_own(ctx)
    ask(ctx, volume.SERVICE, "DELETE", f"{VOLUMES}/{volume_id}")


@api.get(
    "/v2.1/os-snapshots", rules.rule("os-volumes:snapshots:list", rules.READER),
    key="snapshots", until=UNTIL, kept=False,
)  # fmt: skip
def snapshots(ctx: Context, query: ListQuery) -> Page[SnapshotView]:
    """List the project's snapshots."""
    return _snapshots(ctx, query)


@api.get(
    "/v2.1/os-snapshots/detail", rules.rule("os-volumes:snapshots:detail", rules.READER),
    key="snapshots", until=UNTIL, kept=False,
)  # fmt: skip
def snapshot_details(ctx: Context, query: ListQuery) -> Page[SnapshotView]:
    """List the project's snapshots."""
    return _snapshots(ctx, query)


@api.post(
    "/v2.1/os-snapshots", rules.rule("os-volumes:snapshots:create", rules.MEMBER),
    key="snapshot", until=UNTIL,
)  # fmt: skip
def create_snapshot(ctx: Context, body: SnapshotBody) -> SnapshotView:
    """Make a snapshot of a volume."""
    rules.allow_own(ctx)
    wanted = {"snapshot": _asked(body, ("volume_id", *ASKED))}
    return _snapshot(ask(ctx, volume.SERVICE, "POST", SNAPSHOTS, body=wanted)["snapshot"])


@api.get(
    "/v2.1/os-snapshots/{snapshot_id}", rules.rule("os-volumes:snapshots:show", rules.READER),
    key="snapshot", until=UNTIL, kept=False,
)  # fmt: skip
def show_snapshot(ctx: Context, snapshot_id: str) -> SnapshotView:
    """Show a snapshot."""
    rules.allow_own(ctx)
    return _snapshot(ask(ctx, volume.SERVICE, "GET", f"{SNAPSHOTS}/{snapshot_id}")["snapshot"])


@api.delete(
    "/v2.1/os-snapshots/{snapshot_id}", rules.rule("os-volumes:snapshots:delete", rules.MEMBER),
    status=202, until=UNTIL,
)  # fmt: skip
def delete_snapshot(ctx: Context, snapshot_id: str) -> None:
    """Delete a snapshot."""
    rules.allow_own(ctx)
    ask(ctx, volume.SERVICE, "DELETE", f"{SNAPSHOTS}/{snapshot_id}")


def _volumes(ctx: Context, query: ListQuery) -> Page[VolumeView]:
    found = _listed(ctx, f"{VOLUMES}/detail", query)["volumes"]
    return Page([_volume(each) for each in found])


def _snapshots(ctx: Context, query: ListQuery) -> Page[SnapshotView]:
    found = _listed(ctx, f"{SNAPSHOTS}/detail", query)["snapshots"]
    return Page([_snapshot(each) for each in found])


def _listed(ctx: Context, path: str, query: ListQuery) -> Any:
    rules.allow_own(ctx)
    part = {"offset": query.offset} | ({} if query.limit is None else {"limit": query.limit})
    return ask(ctx, volume.SERVICE, "GET", path, query=part)


def _asked(body: Shape, names: tuple[str, ...]) -> dict[str, Any]:
    """What was said, in the volume service's words."""
    return {
        ASKED.get(name, name): value for name in names if (value := getattr(body, name)) is not None
    }


def _volume(found: dict[str, Any]) -> VolumeView:
    attachments = [
        AttachmentView(
            id=each["volume_id"], volume_id=each["volume_id"], server_id=each["server_id"],
            device=each["device"] or UNSET,
        )
        for each in found["attachments"]
    ]  # fmt: skip
    return VolumeView(
        id=found["id"], status=found["status"], size=found["size"],
        availability_zone=found["availability_zone"], created_at=found["created_at"],
        display_name=found["name"], display_description=found["description"],
        snapshot_id=found["snapshot_id"], volume_type=found["volume_type"],
        metadata=found["metadata"], attachments=attachments or [AttachmentView()],
    )  # fmt: skip


def _snapshot(found: dict[str, Any]) -> SnapshotView:
    return SnapshotView(
        id=found["id"], status=found["status"], size=found["size"],
        volume_id=found["volume_id"], created_at=found["created_at"],
        display_name=found["name"], display_description=found["description"],
    )  # fmt: skip
