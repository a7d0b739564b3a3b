"""Lists: filters, sorting, and pages that begin after a marker."""

from collections.abc import Callable, Collection
from functools import cache
from typing import Annotated, Any, TypeVar, get_type_hints
from urllib.parse import parse_qsl, urlencode

import msgspec
from sqlalchemy import (
    JSON,
    ColumnElement,
    Select,
    String,
    and_,
    asc,
    desc,
    false,
    func,
    inspect,
    or_,
)
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeEngine

from onestack.core.api import Page
from onestack.core.context import Context, Request
from onestack.core.db import Record
from onestack.core.errors import BadRequest
from onestack.core.shapes import Meta, Shape

R = TypeVar("R", bound=Record)
V = TypeVar("V")

PAGE_MAX = 10_000
SORTS_MAX = 8


class PageQuery(Shape):
    """What every list takes besides its own filters."""

    limit: Annotated[int, Meta(ge=0)] | None = None
    marker: str | None = None
    sort: str | None = None
    sort_key: list[str] | None = None
    sort_dir: list[str] | None = None


class BadMarker(BadRequest):
    message = "The marker {marker} could not be found."


def page(
    ctx: Context,
    statement: Select[Any],
    record: type[R],
    query: PageQuery,
    view: Callable[[Context, R], V],
) -> Page[V]:
    """The statement's rows as one page: filtered by the query's own fields, sorted, and cut."""
    for name, value in _filters(query):
        if hasattr(record, name):
            statement = statement.where(getattr(record, name) == value)
    shown = _shown(view)
    for condition in compared(ctx.request.query(), record, shown):
        statement = statement.where(condition)
    order = _order(query, record, shown)
    if query.marker is not None:
        found = ctx.session.scalar(statement.where(_key(record) == query.marker))
        if found is None:
            raise BadMarker(marker=query.marker[:80])
        statement = statement.where(after(found, order))
    limit = min(query.limit or PAGE_MAX, PAGE_MAX)
    columns = [part for column, descends in order for part in sorted_by(column, descends)]
    rows: list[R] = list(ctx.session.scalars(statement.order_by(*columns).limit(limit + 1)))
    more = len(rows) > limit
    rows = rows[:limit]
    marker = _identity(record, rows[-1]) if more else None
    return Page([view(ctx, row) for row in rows], marker)


def compared(
    given: dict[str, list[str]], record: type[Record], shown: frozenset[str]
) -> list[ColumnElement[bool]]:
    """Filters such as `name__contains=x` and `name__istartswith=x`, on text that is shown."""
    found = []
    for key, values in given.items():
        name, separator, comparison = key.rpartition("__")
        if not separator or name not in shown or not _is_of(record, name, String):
            continue
        column = getattr(record, name)
        operation = comparison.removeprefix("i")
        if operation not in ("contains", "startswith", "endswith", "equals"):
            continue
        text = values[-1]
        subject: Any = column
        if comparison.startswith("i"):
            subject, text = func.lower(column), text.lower()
        found.append(
            subject == text
            if operation == "equals"
            else getattr(subject, operation)(text, autoescape=True)
        )
    return found


def _filters(query: PageQuery) -> list[tuple[str, Any]]:
    """The query's filters that were given: every field that is not one of paging's own."""
    own = {each.name for each in msgspec.structs.fields(PageQuery)}
    return [
        (each.name, value)
        for each in msgspec.structs.fields(type(query))
        if each.name not in own and (value := getattr(query, each.name)) is not None
    ]


def _order(
    query: PageQuery, record: type[Record], shown: frozenset[str]
) -> list[tuple[InstrumentedAttribute[Any], bool]]:
    """The columns to sort by, and whether each descends; the key always decides at last."""
    wanted: list[tuple[str, str]] = []
    if query.sort is not None:
        wanted += sort_pairs(query.sort, "asc")
    directions = query.sort_dir or []
    for index, name in enumerate(query.sort_key or []):
        wanted.append((name, directions[index] if index < len(directions) else "asc"))
    if len(wanted) > SORTS_MAX:
        raise BadRequest(f"At most {SORTS_MAX} sort keys are allowed.")
    columns = inspect(record).column_attrs
    order = []
    for name, direction in wanted:
        is_sortable = name in shown and name in columns and not _is_of(record, name, JSON)
        if not is_sortable or direction not in ("asc", "desc"):
            raise BadRequest(f"Cannot sort by {name[:80]!r} {direction[:8]!r}.")
        order.append((getattr(record, name), direction == "desc"))
    key = _key(record)
    if all(column.key != key.key for column, _ in order):
        order.append((key, False))
    return order


def sort_pairs(text: str, direction: str) -> list[tuple[str, str]]:
    """The keys and directions of `name:asc,size`; what names no direction has the one given."""
    parts = [part.strip().partition(":") for part in text.split(",")]
    return [(name.strip(), said.strip() or direction) for name, _, said in parts]


def page_query(request: Request, marker: str | None, but: Collection[str] = ()) -> str:
    """The query string of a list's page behind a marker, or of its first; `but` names what only
    this page was asked for with."""
    given = parse_qsl(request.query_string, keep_blank_values=True)
    query = [(name, value) for name, value in given if name != "marker" and name not in but]
    return urlencode(query if marker is None else [*query, ("marker", marker)])


def sorted_by(column: InstrumentedAttribute[Any], descends: bool) -> tuple[Any, ...]:
    """How to sort by a column; what has no value comes last, or first when it descends."""
    direct = desc if descends else asc
    return (direct(column.is_(None)), direct(column)) if _is_nullable(column) else (direct(column),)


def after(found: Any, order: list[tuple[InstrumentedAttribute[Any], bool]]) -> ColumnElement[bool]:
    """The rows behind this one in this order."""
    alternatives = []
    equal: list[ColumnElement[bool]] = []
    for column, descends in order:
        value = getattr(found, column.key)
        alternatives.append(and_(*equal, _behind(column, value, descends)))
        equal.append(column.is_(None) if value is None else column == value)
    return or_(*alternatives)


def _behind(column: InstrumentedAttribute[Any], value: Any, descends: bool) -> ColumnElement[bool]:
    if value is None:
        return column.is_not(None) if descends else false()
    behind: ColumnElement[bool] = column < value if descends else column > value
    return or_(behind, column.is_(None)) if _is_nullable(column) and not descends else behind


def _is_nullable(column: InstrumentedAttribute[Any]) -> bool:
    return bool(column.property.columns[0].nullable)


@cache
def _shown(view: Callable[..., Any]) -> frozenset[str]:
    """The attributes that a view shows: a list is filtered and sorted by nothing else."""
    shape = get_type_hints(view)["return"]
    return frozenset(each.name for each in msgspec.structs.fields(shape))


def _is_of(record: type[Record], name: str, kind: type[TypeEngine[Any]]) -> bool:
    """Whether a record has a column of this name and kind."""
    return name in inspect(record).column_attrs and isinstance(getattr(record, name).type, kind)


def _key(record: type[Record]) -> InstrumentedAttribute[Any]:
    name = inspect(record).primary_key[0].key
    column: InstrumentedAttribute[Any] = getattr(record, str(name))
    return column


def _identity(record: type[Record], row: Record) -> str:
    return str(getattr(row, _key(record).key))
