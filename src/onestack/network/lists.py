"""Lists as Neutron has them: filters by any attribute, tags, sorting, pages, chosen fields."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Generic, TypeVar, cast

import msgspec
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Integer,
    Select,
    Table,
    and_,
    false,
    not_,
    or_,
    select,
)

from onestack.core import moments
from onestack.core.api import FALSE_WORDS, TRUE_WORDS, Page
from onestack.core.context import Context
from onestack.core.db import Record, plain
from onestack.core.errors import BadRequest
from onestack.network.standard import has_tag

V = TypeVar("V", bound=msgspec.Struct)
Filter = Callable[[Context, list[str]], ColumnElement[bool]]

PAGING = frozenset({"limit", "marker", "page_reverse", "sort_key", "sort_dir", "fields"})
TAGS = frozenset({"tags", "tags-any", "not-tags", "not-tags-any"})
LIMIT_MAX = 2**31 - 1
NULLS = ("", "null", "None")


class InvalidInput(BadRequest):
    type = "HTTPBadRequest"


class Noun(msgspec.Struct, Generic[V], frozen=True):
    """How a kind of thing is listed.

    `views` makes views of rows, or records, of the table: of all at once, so that what belongs to
    them takes one query and not one for each.
    """

    record: type[Record]
    shape: type[V]
    views: Callable[[Context, Sequence[Any]], list[V]]
    columns: Mapping[str, str] = {}  # of attributes that are called else
    filters: Mapping[str, Filter] = {}  # by what is no column

    @property
    def table(self) -> Table:
        return cast(Table, self.record.__table__)

    @property
    def attributes(self) -> frozenset[str]:
        """What there is to choose from, by the names that clients know."""
        return _attributes(self.shape)

    def column(self, name: str) -> Column[Any] | None:
        """The column that an attribute comes from, if it comes from one."""
        if name not in self.attributes:
            return None
        known = "project_id" if name == "tenant_id" else self.columns.get(name, name)
        return self.table.c.get(known)


def page(ctx: Context, noun: Noun[V], conditions: Mapping[str, Any]) -> Page[V]:
    """What the caller may see of a kind of thing, as the request's query wants it.

    `conditions` are the columns that the operation's rule judges by.
    """
    return _page(ctx, noun, ctx.visible(select(noun.table), conditions))


def page_of(ctx: Context, noun: Noun[V], condition: ColumnElement[bool]) -> Page[V]:
    """What belongs to something that the caller may see, as the request's query wants it."""
    return _page(ctx, noun, select(noun.table).where(condition))


def shown(ctx: Context, noun: Noun[V], record: Record) -> V:
    """One thing, with the fields that the request's query wants of it."""
    given = ctx.request.query() if ctx.request.query_string else {}
    return _chosen(noun, noun.views(ctx, [record]), given.get("fields"))[0]


def flag(text: str, name: str) -> bool:
    """A boolean as a query string has it."""
    lowered = text.lower()
    if lowered not in TRUE_WORDS | FALSE_WORDS:
        raise InvalidInput(f"Invalid input for {name}. Reason: '{text[:80]}' is not boolean.")
    return lowered in TRUE_WORDS


def _page(ctx: Context, noun: Noun[V], statement: Select[Any]) -> Page[V]:
    given = ctx.request.query() if ctx.request.query_string else {}
    for condition in _conditions(ctx, noun, given):
        statement = statement.where(condition)
    rows = _rows(ctx, noun, statement, given)
    marker = str(rows[-1].id) if rows and _limit(given) is not None else None
    return Page(_chosen(noun, noun.views(ctx, rows), given.get("fields")), marker)


def _rows(
    ctx: Context, noun: Noun[V], statement: Select[Any], given: Mapping[str, list[str]]
) -> Sequence[Any]:
    limit = _limit(given)
    is_reverse = flag(given.get("page_reverse", ["false"])[-1], "page_reverse")
    order = _order(noun, given)
    if limit is not None and is_reverse:
        order = [(column, not descends) for column, descends in order]
    marker = given.get("marker", [""])[-1]
    if limit is not None and marker:
        found = ctx.session.execute(select(noun.table).where(noun.table.c.id == marker)).first()
        if found is None:
            raise InvalidInput(f"Invalid input for operation: marker {marker[:64]} not found.")
        statement = statement.where(_after(found, order))
    for column, descends in order:
        statement = statement.order_by(column.desc() if descends else column.asc())
    rows = plain(ctx.session.execute(statement if limit is None else statement.limit(limit)))
    return rows[::-1] if limit is not None and is_reverse else rows


def _limit(given: Mapping[str, list[str]]) -> int | None:
    text = given.get("limit", ["0"])[-1]
    if not (text.isascii() and text.isdigit() and len(text) <= 10) or int(text) > LIMIT_MAX:
        raise InvalidInput(f"Limit must be an integer 0 or greater and not '{text[:32]}'")
    return int(text) or None


def _order(noun: Noun[V], given: Mapping[str, list[str]]) -> list[tuple[Column[Any], bool]]:
    """The columns to sort by, and whether each descends; the id always decides at last."""
    keys, directions = given.get("sort_key", []), given.get("sort_dir", [])
    if directions and len(keys) != len(directions):
        raise InvalidInput("The number of sort_keys and sort_dirs must be same")
    order: list[tuple[Column[Any], bool]] = []
    for key, direction in zip(keys, directions or ["asc"] * len(keys), strict=True):
        column = noun.column(key)
        if column is None or isinstance(column.type, JSON):
            raise InvalidInput(f"'{key[:64]}' is an invalid attribute for sort key")
        if direction not in ("asc", "desc"):
            raise InvalidInput(f"'{direction[:16]}' is invalid for sort_dir: use asc or desc")
        order.append((column, direction == "desc"))
    order.append((noun.table.c.id, False))
    return order


def _after(found: Any, order: list[tuple[Column[Any], bool]]) -> ColumnElement[bool]:
    """The rows behind this one in this order; rows without a value are in no order."""
    alternatives: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for column, descends in order:
        value = getattr(found, column.key)
        if value is not None:
            behind = column < value if descends else column > value
            alternatives.append(and_(*equal, behind))
        equal.append(column.is_(None) if value is None else column == value)
    return or_(*alternatives)


def _conditions(
    ctx: Context, noun: Noun[V], given: Mapping[str, list[str]]
) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    unknown: list[str] = []
    for name, values in given.items():
        if name in PAGING:
            continue
        column = noun.column(name)
        if name in noun.filters:
            found.append(noun.filters[name](ctx, values))
        elif name in TAGS and "tags" in noun.attributes:
            found.append(_tagged(noun.table.c.tags, name, values))
        elif name == "changed_since" and "updated_at" in noun.attributes:
            found.append(noun.table.c.updated_at >= _moment(values[-1]))
        elif column is None or isinstance(column.type, JSON):
            unknown.append(name[:64])
        else:
            found.append(_is_one_of(column, name, values))
    if unknown:
        raise InvalidInput(f"{unknown} is invalid attribute for filtering")
    return found


def _is_one_of(column: Column[Any], name: str, values: list[str]) -> ColumnElement[bool]:
    if isinstance(column.type, Boolean):
        return or_(*(column.is_(flag(each, name)) for each in values))
    if isinstance(column.type, Integer):
        return column.in_([_number(each, name) for each in values])
    is_one: ColumnElement[bool] = column.in_(values)
    if column.nullable and any(each in NULLS for each in values):
        return or_(is_one, column.is_(None))
    return is_one


def _tagged(column: Column[Any], name: str, values: list[str]) -> ColumnElement[bool]:
    """Tags that are joined by commas are all wanted, or one of them is where the name says any."""
    wanted = [tag for each in values for tag in each.split(",") if tag]
    if not wanted:
        return false()
    join = or_ if name.endswith("-any") else and_
    found: ColumnElement[bool] = join(*(has_tag(column, each) for each in wanted))
    return not_(found) if name.startswith("not-") else found


def _number(text: str, name: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise InvalidInput(f"Invalid input for {name}. Reason: '{text[:32]}' is not an integer.")
    return int(text)


def _moment(text: str) -> dt.datetime:
    try:
        return moments.read(text)
    except ValueError:
        raise InvalidInput(
            f"Invalid input for operation: The input {text[:64]} must be in the following format: "
            "YYYY-MM-DDTHH:MM:SS[Z]"
        ) from None


def _chosen(noun: Noun[V], views: list[V], fields: list[str] | None) -> list[V]:
    """The views, or as much of each as was asked for."""
    if not fields:
        return views
    wanted = noun.attributes.intersection(fields)
    plain = msgspec.to_builtins(views)
    return [
        cast(V, {name: value for name, value in each.items() if name in wanted}) for each in plain
    ]


@cache
def _attributes(shape: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(each.encode_name for each in msgspec.structs.fields(shape))
