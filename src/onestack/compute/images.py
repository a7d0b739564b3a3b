"""Images, for clients of versions before 2.36 who ask the compute service for them: each request is
answered by the image service's own operations, under its rules."""

from typing import Annotated, Any

from onestack import image
from onestack.compute import rules
from onestack.compute.paging import Limit
from onestack.compute.proxy import ask
from onestack.compute.style import ROOT
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest, NotFound
from onestack.core.shapes import UNSET, Link, Meta, Shape, UnsetType, field

api = Operations("images")

READ = rules.rule("images", rules.ANYONE)
UNTIL, METADATA_UNTIL = "2.35", "2.38"
IMAGES, METADATA = "/v2.1/images", "/v2.1/images/{image_id}/metadata"
PATCH = "application/openstack-images-v2.1-json-patch"
# As the image service calls it: how these clients do, and how far along it is.
STATUSES = {
    "queued": ("SAVING", 25),
    "saving": ("SAVING", 50),
    "active": ("ACTIVE", 100),
    "deactivated": ("ACTIVE", 100),
    "killed": ("ERROR", 0),
    "deleted": ("DELETED", 0),
    "pending_delete": ("DELETED", 0),
}
FILTERS = {"name": "name", "type": "image_type", "minRam": "min_ram", "minDisk": "min_disk"}
OWN = frozenset((
    "id", "name", "status", "visibility", "protected", "os_hidden", "owner", "disk_format",
    "container_format", "min_disk", "min_ram", "size", "virtual_size", "checksum", "os_hash_algo",
    "os_hash_value", "created_at", "updated_at", "tags", "self", "file", "schema", "stores",
    "direct_url", "locations",
))  # fmt: skip

Key = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-_:. ]{1,255}$")]
Value = Annotated[str, Meta(max_length=255)]


class ImageNotFound(NotFound):
    message = "Image not found."


class NoSuchItem(NotFound):
    message = "Metadata item was not found"


class OtherKey(BadRequest):
    message = "Request body and URI mismatch"


class ImageQuery(Shape):
    """Which images to list."""

    limit: Limit | None = None
    marker: str | None = None
    name: str | None = None
    status: str | None = None
    server: str | None = None
    type: str | None = None
    least_memory: int | None = field(default=None, name="minRam")
    least_disk: int | None = field(default=None, name="minDisk")
    changes_since: str | None = field(default=None, name="changes-since")


class MetadataBody(Shape, forbid_unknown_fields=True):
    """What is said of an image."""

    metadata: dict[Key, Value]


class ItemBody(Shape, forbid_unknown_fields=True):
    """One thing that is said of an image."""

    meta: Annotated[dict[Key, Value], Meta(min_length=1, max_length=1)]


class TypedLink(Link, kw_only=True):
    """An address, and what is found there."""

    type: str | UnsetType = UNSET


class ServerRef(Shape):
    """The server that an image was made of."""

    id: str
    links: list[Link]


class Summary(Shape):
    """An image in a list."""

    id: str
    name: str | None
    links: list[TypedLink]


class ImageView(Summary, kw_only=True):
    """An image."""

    status: str
    progress: int
    created: str
    updated: str
    memory_mb: int = field(name="minRam")
    disk_gb: int = field(name="minDisk")
    size: int = field(name="OS-EXT-IMG-SIZE:size")
    metadata: dict[str, str]
    server: ServerRef | UnsetType = UNSET
    disk_config: str | UnsetType = field(default=UNSET, name="OS-DCF:diskConfig")


@api.get(IMAGES, READ, key="images", until=UNTIL, kept=False)
def index(ctx: Context, query: ImageQuery) -> Page[Summary]:
    """List images."""
    found, marker = _listed(ctx, query)
    return Page(
        [Summary(id=each["id"], name=each["name"], links=_links(ctx, each)) for each in found],
        marker,
    )


@api.get(f"{IMAGES}/detail", READ, key="images", until=UNTIL, kept=False)
def detail(ctx: Context, query: ImageQuery) -> Page[ImageView]:
    """List images with all that is known of them."""
    found, marker = _listed(ctx, query)
    return Page([_view(ctx, each) for each in found], marker)


@api.get(f"{IMAGES}/{{image_id}}", READ, key="image", until=UNTIL, kept=False)
def show(ctx: Context, image_id: str) -> ImageView:
    """Show an image."""
    return _view(ctx, _shown(ctx, image_id))


@api.delete(f"{IMAGES}/{{image_id}}", READ, until=UNTIL, threaded=True)
def delete(ctx: Context, image_id: str) -> None:
    """Delete an image."""
    _ask(ctx, "DELETE", f"/v2/images/{image_id}")


@api.get(METADATA, READ, key="metadata", until=METADATA_UNTIL, kept=False)
def list_metadata(ctx: Context, image_id: str) -> dict[str, str]:
    """List what is said of an image."""
    return _metadata(_shown(ctx, image_id))


@api.post(METADATA, READ, until=METADATA_UNTIL)
def update_metadata(ctx: Context, image_id: str, body: MetadataBody) -> dict[str, dict[str, str]]:
    """Say more of an image."""
    present = _metadata(_shown(ctx, image_id))
    return {"metadata": _change(ctx, image_id, present, {**present, **body.metadata})}


@api.put(METADATA, READ, until=METADATA_UNTIL)
def replace_metadata(ctx: Context, image_id: str, body: MetadataBody) -> dict[str, dict[str, str]]:
    """Say this of an image, and nothing else."""
    present = _metadata(_shown(ctx, image_id))
    return {"metadata": _change(ctx, image_id, present, body.metadata)}


@api.get(f"{METADATA}/{{key}}", READ, key="meta", until=METADATA_UNTIL, kept=False)
def show_item(ctx: Context, image_id: str, key: str) -> dict[str, str]:
    """Show one thing that is said of an image."""
    return {key: _item(_metadata(_shown(ctx, image_id)), key)}


@api.put(f"{METADATA}/{{key}}", READ, until=METADATA_UNTIL)
def update_item(ctx: Context, image_id: str, key: str, body: ItemBody) -> dict[str, dict[str, str]]:
    """Say one thing of an image."""
    if body.meta.keys() != {key}:
        raise OtherKey
    present = _metadata(_shown(ctx, image_id))
    _change(ctx, image_id, present, {**present, **body.meta})
    return {"meta": body.meta}


@api.delete(f"{METADATA}/{{key}}", READ, until=METADATA_UNTIL)
def delete_item(ctx: Context, image_id: str, key: str) -> None:
    """Say one thing less of an image."""
    present = _metadata(_shown(ctx, image_id))
    _item(present, key)
    kept = {name: value for name, value in present.items() if name != key}
    _change(ctx, image_id, present, kept)


def _ask(ctx: Context, method: str, path: str, **asked: Any) -> Any:
    """What the image service answers; an image that is not there is called so."""
    try:
        return ask(ctx, image.SERVICE, method, path, content_type=PATCH, **asked)
    except NotFound:
        raise ImageNotFound from None


def _listed(ctx: Context, query: ImageQuery) -> tuple[list[dict[str, Any]], str | None]:
    asked: dict[str, Any] = {"limit": 1000 if query.limit is None else min(query.limit, 1000)}
    given = {"name": query.name, "type": query.type, "minRam": query.least_memory,
             "minDisk": query.least_disk}  # fmt: skip
    asked |= {FILTERS[name]: value for name, value in given.items() if value is not None}
    if query.marker is not None:
        asked["marker"] = query.marker
    if query.status is not None:
        known = [name for name, (shown, _) in STATUSES.items() if shown == query.status.upper()]
        asked["status"] = f"in:{','.join(known) or 'unknown'}"
    if query.server is not None:
        asked["instance_uuid"] = query.server.rstrip("/").rpartition("/")[2]
    if query.changes_since is not None:
        asked["updated_at"] = f"gte:{query.changes_since}"
    found = _ask(ctx, "GET", "/v2/images", query=asked)
    images: list[dict[str, Any]] = found["images"]
    return images, images[-1]["id"] if "next" in found and images else None


def _shown(ctx: Context, image_id: str) -> dict[str, Any]:
    found: dict[str, Any] = _ask(ctx, "GET", f"/v2/images/{image_id}")
    return found


def _metadata(found: dict[str, Any]) -> dict[str, str]:
    """What its owner says of an image: everything that is not an attribute of all images."""
    return {name: str(value) for name, value in found.items() if name not in OWN}


def _item(metadata: dict[str, str], key: str) -> str:
    if key not in metadata:
        raise NoSuchItem
    return metadata[key]


def _change(
    ctx: Context, image_id: str, present: dict[str, str], wanted: dict[str, str]
) -> dict[str, str]:
    """Let an image's own properties be what is wanted."""
    changes: list[dict[str, str]] = [
        {"op": "remove", "path": _pointer(name)} for name in present.keys() - wanted.keys()
    ]
    changes += [
        {"op": "add", "path": _pointer(name), "value": value}
        for name, value in wanted.items()
        if present.get(name) != value
    ]
    if changes:
        _ask(ctx, "PATCH", f"/v2/images/{image_id}", body=changes)
    return wanted


def _pointer(name: str) -> str:
    escaped = name.replace("~", "~0").replace("/", "~1")
    return f"/{escaped}"


def _links(ctx: Context, found: dict[str, Any]) -> list[TypedLink]:
    base, path = f"{ctx.request.base_url}{ROOT}", f"images/{found['id']}"
    alternate = f"{ctx.request.base_url}{image.SERVICE.root}/{path}"
    return [
        TypedLink(rel="self", href=f"{base}/v2.1/{path}"),
        TypedLink(rel="bookmark", href=f"{base}/{path}"),
        TypedLink(rel="alternate", href=alternate, type="application/vnd.openstack.image"),
    ]


def _view(ctx: Context, found: dict[str, Any]) -> ImageView:
    status, progress = STATUSES.get(found["status"], ("UNKNOWN", 0))
    metadata = _metadata(found)
    shown = ImageView(
        id=found["id"],
        name=found["name"],
        links=_links(ctx, found),
        status=status,
        progress=progress,
        created=found["created_at"],
        updated=found["updated_at"],
        memory_mb=found["min_ram"],
        disk_gb=found["min_disk"],
        size=found["size"] or 0,
        metadata=metadata,
    )
    server_id = metadata.get("instance_uuid")
    if server_id:
        base, path = f"{ctx.request.base_url}{ROOT}", f"servers/{server_id}"
        links = [
            Link(rel="self", href=f"{base}/v2.1/{path}"),
            Link(rel="bookmark", href=f"{base}/{path}"),
        ]
        shown.server = ServerRef(id=server_id, links=links)
    if "auto_disk_config" in metadata:
        is_automatic = metadata["auto_disk_config"].lower() in ("true", "1", "yes", "on")
        shown.disk_config = "AUTO" if is_automatic else "MANUAL"
    return shown
