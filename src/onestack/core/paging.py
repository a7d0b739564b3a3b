"""Lists: filters, sorting, and pages that begin after a marker."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec
from sqlalchemy import JSON, ColumnElement, Select, String, and_, func, inspect, or_, select
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeEngine

from onestack.core.api import Page
from onestack.core.context import Context
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
    for condition in compared(ctx.request.query(), record):
        statement = statement.where(condition)
    order = _order(query, record)
    if query.marker is not None:
        statement = statement.where(_after(ctx, record, query.marker, order))
    limit = min(query.limit or PAGE_MAX, PAGE_MAX)
    columns = [column.desc() if descends else column.asc() for column, descends in order]
    rows: list[R] = list(ctx.session.scalars(statement.order_by(*columns).limit(limit + 1)))
    more = len(rows) > limit
    rows = rows[:limit]
    marker = _identity(record, rows[-1]) if more else None
    return Page([view(ctx, row) for row in rows], marker)


def compared(given: dict[str, list[str]], record: type[Record]) -> list[ColumnElement[bool]]:
    """Filters such as `name__contains=x` and `name__istartswith=x`, on columns of text."""
    found = []
    for key, values in given.items():
        name, separator, comparison = key.rpartition("__")
        if not separator or not _is_of(record, name, String):
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


def _order(query: PageQuery, record: type[Record]) -> list[tuple[InstrumentedAttribute[Any], bool]]:
    """The columns to sort by, and whether each descends; the key always decides at last."""
    wanted: list[tuple[str, str]] = []
    if query.sort is not None:
        for part in query.sort.split(","):
            name, _, direction = part.strip().partition(":")
            wanted.append((name, direction or "asc"))
    directions = query.sort_dir or []
    for index, name in enumerate(query.sort_key or []):
        wanted.append((name, directions[index] if index < len(directions) else "asc"))
    if len(wanted) > SORTS_MAX:
        raise BadRequest(f"At most {SORTS_MAX} sort keys are allowed.")
    mapper = inspect(record)
    order = []
    for name, direction in wanted:
        is_sortable = name in mapper.column_attrs and not _is_of(record, name, JSON)
        if not is_sortable or direction not in ("asc", "desc"):
            raise BadRequest(f"Cannot sort by {name[:80]!r} {direction[:8]!r}.")
        order.append((getattr(record, name), direction == "desc"))
    key = _key(record)
    if all(column.key != key.key for column, _ in order):
        order.append((key, False))
    return order


def _after(
    ctx: Context,
    record: type[R],
    marker: str,
    order: list[tuple[InstrumentedAttribute[Any], bool]],
) -> ColumnElement[bool]:
    """The rows behind the marker's row in this order."""
    found = ctx.session.scalar(select(record).where(_key(record) == marker))
    if found is None:
        raise BadMarker(marker=marker[:80])
    alternatives = []
    equal: list[ColumnElement[bool]] = []
    for column, descends in order:
        value = getattr(found, column.key)
        alternatives.append(and_(*equal, column < value if descends else column > value))
        equal.append(column == value)
    return or_(*alternatives)


def _is_of(record: type[Record], name: str, kind: type[TypeEngine[Any]]) -> bool:
    """Whether a record has a column of this name and kind."""
    return name in inspect(record).column_attrs and isinstance(getattr(record, name).type, kind)


def _key(record: type[Record]) -> InstrumentedAttribute[Any]:
    name = inspect(record).primary_key[0].key
    column: InstrumentedAttribute[Any] = getattr(record, str(name))
    return column


def _identity(record: type[Record], row: Record) -> str:
    return str(getattr(row, _key(record).key))
