"""Read servers: lists, short and long, and one by itself."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import Table, select, union_all

from onestack.compute import rules
from onestack.compute.rules import is_admin
from onestack.compute.servers import access, filters
from onestack.compute.servers.filters import ServerQuery
from onestack.compute.servers.networking import nics_of
from onestack.compute.servers.record import DeletedServerRecord, ServerColumns, ServerRecord
from onestack.compute.servers.view import (
    ServerSummary,
    ServerView,
    one,
    summary,
    surroundings,
    view,
)
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.db import plain
from onestack.core.errors import Forbidden
from onestack.core.policy import Rule

api = Operations("servers")

ALL = rules.rule("servers:index:get_all_tenants")
ALL_IN_DETAIL = rules.rule("servers:detail:get_all_tenants")
JUDGED_TOO = (ALL, ALL_IN_DETAIL)
PAGE_MAX = 1000

V = TypeVar("V")

_SERVERS = cast(Table, ServerRecord.__table__)
_DELETED = cast(Table, DeletedServerRecord.__table__)
_WITH_DELETED = union_all(
    select(*_SERVERS.c), select(*[_DELETED.c[each.name] for each in _SERVERS.c])
).subquery("servers")


class OnlyAdministratorsSeeDeleted(Forbidden):
    message = "Only administrators may list deleted instances"


@api.get("/v2.1/servers", rules.rule("servers:index", rules.READER), key="servers", kept=False)
def index(ctx: Context, query: ServerQuery) -> Page[ServerSummary]:
    """List servers by their names."""
    rules.allow_own(ctx)
    rows, marker = _rows(ctx, query, ALL)
    return Page([summary(ctx, each) for each in rows], marker)


@api.get(
    "/v2.1/servers/detail", rules.rule("servers:detail", rules.READER), key="servers", kept=False
)
def detail(ctx: Context, query: ServerQuery) -> Page[ServerView]:
    """List servers with everything that is known of them."""
    rules.allow_own(ctx)
    rows, marker = _rows(ctx, query, ALL_IN_DETAIL)
    around = surroundings(ctx, rows)
    return Page([view(ctx, each, around) for each in rows], marker)


@api.get(
    "/v2.1/servers/{server_id}", rules.rule("servers:show", rules.READER), key="server", kept=False
)
def show(ctx: Context, server_id: str) -> ServerView:
    """Show a server."""
    return one(ctx, access.owned(ctx, server_id))


def _rows(
    ctx: Context, query: ServerQuery, all_tenants: Rule
) -> tuple[Sequence[ServerColumns], str | None]:
    """The rows of one page, and the marker of the next when there is one."""
    admin = is_admin(ctx)
    source: Any = _WITH_DELETED if _sees_deleted(query, admin) else _SERVERS
    columns = source.c
    knows_more = ctx.version >= (2, 83)
    statement = select(source).where(
        *_whose(ctx, query, columns, all_tenants),
        *filters.conditions(query, columns, is_admin=admin, knows_more=knows_more),
    )
    if admin and query.deleted is not None:
        is_deleted = columns.vm_state == "deleted"
        statement = statement.where(is_deleted if query.deleted else ~is_deleted)
    ordered = filters.order(query, columns)
    connection = ctx.session.connection()
    if query.marker is not None:
        found = connection.execute(
            select(source).where(
                columns.id == query.marker, *_whose(ctx, query, columns, all_tenants)
            )
        ).first()
        if found is None:
            raise filters.BadMarker(marker=query.marker[:80])
        statement = statement.where(filters.behind(found, ordered))
    most = PAGE_MAX if query.limit is None else min(query.limit, PAGE_MAX)
    statement = statement.order_by(*filters.sorting(ordered))
    if query.ip is None and query.ip6 is None:
        rows: Sequence[Any] = plain(connection.execute(statement.limit(most + 1)))
    else:
        rows = _addressed(ctx, query, plain(connection.execute(statement)))
    has_more = len(rows) > most > 0
    rows = rows[:most]
    return rows, rows[-1].id if has_more else None


def _sees_deleted(query: ServerQuery, admin: bool) -> bool:
    """Whether servers that are gone may be in the answer."""
    if any(each.lower() == "deleted" for each in query.status or ()):
        if not admin:
            raise OnlyAdministratorsSeeDeleted
        return True
    if admin and query.deleted is not None:
        return query.deleted
    return query.changes_since is not None or query.changes_before is not None


def _whose(ctx: Context, query: ServerQuery, columns: Any, all_tenants: Rule) -> list[Any]:
    """The caller's own servers, or those of other projects for who may see them."""
    if query.all_tenants or query.all_projects:
        rules.allow_own(ctx, rule=all_tenants)
        project_id = query.project_id or query.tenant_id
        return [] if project_id is None else [columns.project_id == project_id]
    return [columns.project_id == ctx.caller.project_id]


def _addressed(ctx: Context, query: ServerQuery, rows: Sequence[Any]) -> list[Any]:
    """The servers with an address that a regular expression finds."""
    tests: list[tuple[str, Callable[[str], Any]]] = []
    if query.ip is not None:
        tests.append((".", filters.regex(query.ip).match))
    if query.ip6 is not None:
        tests.append((":", filters.regex(query.ip6).match))
    nics = nics_of(ctx.session, [each.id for each in rows])
    return [
        row
        for row in rows
        if all(
            any(
                mark in address and matches(address)
                for nic in nics.get(row.id, ())
                for address in (*nic.fixed_ips, *nic.floating_ips)
            )
            for mark, matches in tests
        )
    ]
