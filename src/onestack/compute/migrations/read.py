"""List migrations: those of the whole cloud, and those of one server that are on their way."""

from typing import Annotated, Any

from sqlalchemy import or_, select

from onestack.compute import paging, rules
from onestack.compute.migrations.record import MigrationNotFound, MigrationRecord
from onestack.compute.servers import access, moments
from onestack.compute.style import links
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.moments import precise
from onestack.core.shapes import UNSET, Link, Shape, UnsetType, field, since

api = Operations("migrations")

UNDER_WAY = ("queued", "preparing", "running", "post-migrating", "pre-migrating", "migrating")
LIVE = "live-migration"
HOSTS = rules.rule("servers:migrations:index:host")


class MigrationQuery(Shape):
    """Which migrations to list."""

    host: str | None = None
    instance_uuid: str | None = None
    source_compute: str | None = None
    migration_type: str | None = None
    status: str | None = None
    hidden: str | None = None
    limit: Annotated[paging.Limit | None, since("2.59")] = None
    marker: Annotated[str | None, since("2.59")] = None
    changes_since: Annotated[str | None, since("2.59")] = field(default=None, name="changes-since")
    changes_before: Annotated[str | None, since("2.66")] = field(
        default=None, name="changes-before"
    )
    user_id: Annotated[str | None, since("2.80")] = None
    project_id: Annotated[str | None, since("2.80")] = None


class MigrationView(Shape):
    """A migration."""

    id: int
    instance_uuid: str
    source_compute: str | None
    source_node: str | None
    dest_compute: str | None
    dest_node: str | None
    dest_host: str | None
    old_instance_type_id: int | None
    new_instance_type_id: int | None
    status: str
    created_at: str | None
    updated_at: str | None
    migration_type: Annotated[str, since("2.23")]
    uuid: Annotated[str, since("2.59")]
    user_id: Annotated[str, since("2.80")]
    project_id: Annotated[str, since("2.80")]
    links: Annotated[list[Link] | UnsetType, since("2.23")] = UNSET


class ServerMigrationView(Shape):
    """A live migration that is under way."""

    id: int
    server_uuid: str
    source_compute: str | None
    source_node: str | None
    dest_compute: str | None
    dest_node: str | None
    dest_host: str | None
    status: str
    created_at: str | None
    updated_at: str | None
    uuid: Annotated[str, since("2.59")]
    user_id: Annotated[str, since("2.80")]
    project_id: Annotated[str, since("2.80")]
    memory_total_bytes: int | None = None
    memory_processed_bytes: int | None = None
    memory_remaining_bytes: int | None = None
    disk_total_bytes: int | None = None
    disk_processed_bytes: int | None = None
    disk_remaining_bytes: int | None = None


@api.get("/v2.1/os-migrations", rules.rule("os-migrations:index"), key="migrations")
def index(ctx: Context, query: MigrationQuery) -> Page[MigrationView]:
    """List migrations, the newest first."""
    ctx.allow()
    statement = select(MigrationRecord)
    given = {
        MigrationRecord.server_id: query.instance_uuid,
        MigrationRecord.source_host: query.source_compute,
        MigrationRecord.kind: query.migration_type, MigrationRecord.status: query.status,
        MigrationRecord.user_id: query.user_id, MigrationRecord.project_id: query.project_id,
    }  # fmt: skip
    for column, value in given.items():
        if value is not None:
            statement = statement.where(column == value)
    if query.host is not None:
        is_there = (
            MigrationRecord.source_host == query.host,
            MigrationRecord.dest_host == query.host,
        )
        statement = statement.where(or_(*is_there))
    if query.changes_since is not None:
        since_then = moments.read(query.changes_since, "changes-since")
        statement = statement.where(MigrationRecord.updated_at >= since_then)
    if query.changes_before is not None:
        before = moments.read(query.changes_before, "changes-before")
        statement = statement.where(MigrationRecord.updated_at <= before)
    order = [
        (MigrationRecord.created_at, True),
        (MigrationRecord.id, True),
        (MigrationRecord.uuid, True),
    ]
    asked = paging.PageQuery(limit=query.limit, marker=query.marker)
    rows, has_more = paging.cut(ctx.session, statement, order, asked)
    marker = rows[-1].uuid if has_more and rows and ctx.version >= (2, 59) else None
    return Page([_view(ctx, each) for each in rows], marker)


@api.get(
    "/v2.1/servers/{server_id}/migrations",
    rules.rule("servers:migrations:index", rules.MANAGER),
    key="migrations",
    since="2.23",
)
def of_server(ctx: Context, server_id: str) -> Page[ServerMigrationView]:
    """List a server's live migrations that are under way; from where to where is for who may know
    of hosts."""
    server = access.owned(ctx, server_id)
    rows = ctx.session.scalars(_live(server.id).order_by(MigrationRecord.id.desc()))
    shown = [_server_view(each) for each in rows]
    if not rules.is_allowed_own(ctx, HOSTS):
        for each in shown:
            each.source_compute = each.source_node = None
            each.dest_compute = each.dest_node = each.dest_host = None
    return Page(shown)


@api.get(
    "/v2.1/servers/{server_id}/migrations/{migration_id}",
    rules.rule("servers:migrations:show"),
    key="migration",
    since="2.23",
)
def show(ctx: Context, server_id: str, migration_id: str) -> ServerMigrationView:
    """Show a server's live migration that is under way."""
    server = access.owned(ctx, server_id)
    is_number = migration_id.isascii() and migration_id.isdigit() and len(migration_id) < 10
    wanted = _live(server.id).where(MigrationRecord.id == (int(migration_id) if is_number else -1))
    record = ctx.session.scalar(wanted)
    if record is None:
        raise MigrationNotFound(migration_id=migration_id[:64])
    return _server_view(record)


def _live(server_id: str) -> Any:
    return select(MigrationRecord).where(
        MigrationRecord.server_id == server_id, MigrationRecord.kind == LIVE,
        MigrationRecord.status.in_(UNDER_WAY),
    )  # fmt: skip


def _places(record: MigrationRecord) -> dict[str, Any]:
    return {
        "source_compute": record.source_host, "source_node": record.source_host,
        "dest_compute": record.dest_host, "dest_node": record.dest_host,
        "dest_host": record.dest_address, "status": record.status, "uuid": record.uuid,
        "created_at": precise(record.created_at),
        "updated_at": precise(record.updated_at),
        "user_id": record.user_id, "project_id": record.project_id, "id": record.id,
    }  # fmt: skip


def _view(ctx: Context, record: MigrationRecord) -> MigrationView:
    is_shown = record.kind == LIVE and record.status in UNDER_WAY
    path = f"servers/{record.server_id}/migrations/{record.id}"
    return MigrationView(
        instance_uuid=record.server_id, migration_type=record.kind,
        old_instance_type_id=_number(record.old_flavor),
        new_instance_type_id=_number(record.new_flavor),
        links=links(ctx, path) if is_shown else UNSET, **_places(record),
    )  # fmt: skip


def _server_view(record: MigrationRecord) -> ServerMigrationView:
    return ServerMigrationView(server_uuid=record.server_id, **_places(record))


def _number(flavor: dict[str, Any]) -> int | None:
    """A flavour's number, as far as its id is one: clients know no other."""
    text = str(flavor["id"])
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
