"""Lists as block storage has them: filters, sort keys, markers and offsets, links and counts."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute

from onestack.core import moments
from onestack.core.context import Context
from onestack.core.db import plain
from onestack.core.errors import BadRequest, NotFound
from onestack.core.paging import after, page_query, sort_pairs, sorted_by
from onestack.core.shapes import UNSET, Link, Meta, Shape, UnsetType
from onestack.volume import rules
from onestack.volume.style import ROOT

PAGE_MAX = 1000
SORTS_MAX = 8

Columns = Mapping[str, InstrumentedAttribute[Any]]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class ListQuery(Shape):
    """What every list takes besides its own filters."""

    limit: Count | None = None
    offset: Count | None = None
    marker: str | None = None
    sort: str | None = None
    sort_key: str | None = None
    sort_dir: str | None = None
    with_count: bool = False
    all_tenants: bool = False
    project_id: str | None = None


class InvalidFilters(BadRequest):
    message = "Invalid filters {names} are found in query options."


class BadFilter(BadRequest):
    message = "Filter {name} has an invalid value: {value}"


class Found(msgspec.Struct, frozen=True):
    """The rows of one page, and what the answer says besides."""

    rows: list[Any]
    links: list[Link] | UnsetType
    count: int | UnsetType


def find(
    ctx: Context, statement: Select[*tuple[Any, ...]], query: ListQuery,
    key: InstrumentedAttribute[Any], sortable: Columns,
) -> Found:  # fmt: skip
    """One page of what a statement selects; `key` is the id that markers name."""
    limit = PAGE_MAX if query.limit is None else min(query.limit, PAGE_MAX)
    count: int | UnsetType = UNSET
    if query.with_count and ctx.version >= (3, 45):
        count = ctx.session.scalar(select(func.count()).select_from(statement.subquery())) or 0
    if limit == 0:
        return Found([], UNSET, count)
    order = _order(query, key, sortable)
    if query.marker is not None:
        entity: Any = key.class_
        found = ctx.session.get(entity, query.marker)
        if found is None:
            raise NotFound(f"marker [{query.marker[:64]}] not found")
        statement = statement.where(after(found, order))
    columns = [part for column, descends in order for part in sorted_by(column, descends)]
    statement = statement.order_by(*columns).limit(limit)
    if query.offset:
        statement = statement.offset(query.offset)
    rows = plain(ctx.session.execute(statement))
    is_full = len(rows) == limit and query.limit is not None
    links = [_next(ctx, str(rows[-1].id))] if is_full else UNSET
    return Found(rows, links, count)


def owned(ctx: Context, query: ListQuery, column: InstrumentedAttribute[Any]) -> Any:
    """Which projects' things are listed: the caller's own, or those that an administrator names."""
    ctx.allow({"project_id": ctx.caller.project_id})
    if not (query.all_tenants and rules.is_admin(ctx)):
        return column == (ctx.caller.project_id or "")
    return column == query.project_id if query.project_id else column.is_not(None)


def check_filters(ctx: Context, query: ListQuery) -> None:
    """Refuse filters that there are not; clients before 3.31 were never told."""
    if ctx.version < (3, 31) or rules.is_admin(ctx):
        return
    known = {each.encode_name for each in msgspec.structs.fields(type(query))}
    unknown = sorted(set(ctx.request.query()) - known)
    if unknown:
        raise InvalidFilters(names=", ".join(unknown)[:200])


def exact(query: ListQuery, columns: Columns) -> list[ColumnElement[bool]]:
    """Filters by value; with a `~` behind the name, by a part of the value."""
    found: list[ColumnElement[bool]] = []
    for name, column in columns.items():
        value = getattr(query, name, None)
        if value is not None:
            found.append(column == value)
        like = getattr(query, f"{name}_like", None)
        if like is not None:
            found.append(column.contains(like, autoescape=True))
    return found


def by_moment(query: ListQuery, columns: Columns) -> list[ColumnElement[bool]]:
    """Filters by time, such as `gt:2026-01-01T00:00:00,lt:2026-02-01T00:00:00`."""
    found = []
    for name, column in columns.items():
        for part in filter(None, (getattr(query, name, None) or "").split(",")):
            found.append(_compared(column, part))
    return found


def _compared(column: InstrumentedAttribute[Any], text: str) -> ColumnElement[bool]:
    try:
        return moments.compared(column, text)
    except ValueError:
        raise BadFilter(name=column.key, value=text[:80]) from None


def _order(
    query: ListQuery, key: InstrumentedAttribute[Any], sortable: Columns
) -> list[tuple[InstrumentedAttribute[Any], bool]]:
    """The columns to sort by, and whether each descends; the newest come first at last."""
    if query.sort is not None and (query.sort_key or query.sort_dir):
        raise BadRequest("Sort parameters 'sort', 'sort_key' and 'sort_dir' cannot be combined.")
    if query.sort is not None:
        wanted = sort_pairs(query.sort, "desc")
    else:
        wanted = [(query.sort_key or "created_at", query.sort_dir or "desc")]
    if len(wanted) > SORTS_MAX:
        raise BadRequest(f"At most {SORTS_MAX} sort keys are allowed.")
    order = []
    for name, direction in wanted:
        if name not in sortable or direction not in ("asc", "desc"):
            raise BadRequest(f"Sort key or direction is invalid: {name[:80]}:{direction[:8]}")
        order.append((sortable[name], direction == "desc"))
    if all(column.key != key.key for column, _ in order):
        order.append((key, order[-1][1]))
    return order


def _next(ctx: Context, marker: str) -> Link:
    query = page_query(ctx.request, marker, but=("offset",))
    return Link(rel="next", href=f"{ctx.request.base_url}{ctx.request.path}?{query}")


def links(ctx: Context, kind: str, thing_id: str) -> list[Link]:
    """The addresses of one thing."""
    base, project_id = ctx.request.base_url, ctx.caller.project_id
    path = f"{project_id}/{kind}/{thing_id}" if project_id else f"{kind}/{thing_id}"
    return [
        Link(rel="self", href=f"{base}{ROOT}/v3/{path}"),
        Link(rel="bookmark", href=f"{base}{ROOT}/{path}"),
    ]
