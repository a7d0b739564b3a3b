"""Metadata: what a server's owner says of it, which its guest may read."""

from collections.abc import Mapping

from onestack.compute import quotas, rules
from onestack.compute.servers import access
from onestack.compute.servers.order import TooMuchMetadata
from onestack.compute.servers.record import ServerRecord, touch
from onestack.compute.servers.states import Locked, check_state
from onestack.compute.servers.wanted import Metadata
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest, NotFound
from onestack.core.shapes import Shape

api = Operations("server metadata")

CHANGEABLE = ("active", "paused", "suspended", "stopped")


class ItemNotFound(NotFound):
    message = "Metadata item was not found"


class KeyMismatch(BadRequest):
    message = "Request body and URI mismatch"


class MetadataBody(Shape, forbid_unknown_fields=True):
    """All that is said, or some of it."""

    metadata: Metadata


class MetaBody(Shape, forbid_unknown_fields=True):
    """One thing that is said."""

    meta: Metadata


@api.get("/v2.1/servers/{server_id}/metadata", rules.rule("server-metadata:index", rules.READER))
def index(ctx: Context, server_id: str) -> MetadataBody:
    """List all that is said of a server."""
    return MetadataBody(metadata=access.owned(ctx, server_id).metadata_items)


@api.post("/v2.1/servers/{server_id}/metadata", rules.rule("server-metadata:create", rules.MEMBER))
def create(ctx: Context, server_id: str, body: MetadataBody) -> MetadataBody:
    """Say more of a server."""
    server = access.held(ctx, server_id)
    return _keep(ctx, server, {**server.metadata_items, **body.metadata})


@api.put(
    "/v2.1/servers/{server_id}/metadata", rules.rule("server-metadata:update_all", rules.MEMBER)
)
def replace(ctx: Context, server_id: str, body: MetadataBody) -> MetadataBody:
    """Say this of a server, and nothing else."""
    return _keep(ctx, access.held(ctx, server_id), body.metadata)


@api.get(
    "/v2.1/servers/{server_id}/metadata/{key}", rules.rule("server-metadata:show", rules.READER)
)
def show(ctx: Context, server_id: str, key: str) -> MetaBody:
    """Show one thing that is said of a server."""
    known = access.owned(ctx, server_id).metadata_items
    if key not in known:
        raise ItemNotFound
    return MetaBody(meta={key: known[key]})


@api.put(
    "/v2.1/servers/{server_id}/metadata/{key}", rules.rule("server-metadata:update", rules.MEMBER)
)
def update(ctx: Context, server_id: str, key: str, body: MetaBody) -> MetaBody:
    """Say one thing of a server."""
    server = access.held(ctx, server_id)
    if set(body.meta) != {key}:
        raise KeyMismatch
    _keep(ctx, server, {**server.metadata_items, **body.meta})
    return body


@api.delete(
    "/v2.1/servers/{server_id}/metadata/{key}", rules.rule("server-metadata:delete", rules.MEMBER)
)
def delete(ctx: Context, server_id: str, key: str) -> None:
    """Say one thing of a server no longer."""
    server = access.held(ctx, server_id)
    if key not in server.metadata_items:
        raise ItemNotFound
    left = {name: value for name, value in server.metadata_items.items() if name != key}
    _keep(ctx, server, left)


def _keep(ctx: Context, server: ServerRecord, wanted: Mapping[str, str]) -> MetadataBody:
    if server.locked_by is not None and not rules.is_admin(ctx):
        raise Locked(server_id=server.id)
    check_state(server, "update metadata", CHANGEABLE, None)
    most = quotas.limits_of(ctx.session, server.project_id)["metadata_items"]
    if 0 <= most < len(wanted):
        raise TooMuchMetadata(most=most)
    server.metadata_items = dict(wanted)
    touch(server)
    return MetadataBody(metadata=server.metadata_items)
