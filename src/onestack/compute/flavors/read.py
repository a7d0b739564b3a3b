"""Flavours are listed and shown."""

from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, or_, select

from onestack.compute import rules
from onestack.compute.flavors.record import (
    FlavorAccessRecord,
    FlavorRecord,
    extra_specs_by_flavor,
    extra_specs_of,
    find,
)
from onestack.compute.flavors.view import (
    FlavorSummary,
    FlavorView,
    shows_extra_specs,
    summary,
    view,
)
from onestack.compute.lenient import FALSE, TRUE
from onestack.compute.paging import Order, PageQuery, cut
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import field

api = Operations("flavors")

READ = rules.rule("flavors", rules.ANYONE)
SORTED_BY = {
    "flavorid": FlavorRecord.id,
    "id": FlavorRecord.id,
    "name": FlavorRecord.name,
    "memory_mb": FlavorRecord.memory_mb,
    "vcpus": FlavorRecord.vcpus,
    "root_gb": FlavorRecord.root_gb,
    "ephemeral_gb": FlavorRecord.ephemeral_gb,
    "swap": FlavorRecord.swap_mb,
    "rxtx_factor": FlavorRecord.rxtx_factor,
    "disabled": FlavorRecord.disabled,
    "is_public": FlavorRecord.is_public,
    "created_at": FlavorRecord.created_at,
    "updated_at": FlavorRecord.updated_at,
}


class BadFilter(BadRequest):
    message = "Invalid {name} filter [{value}]"


class BadSortKey(BadRequest):
    message = "Invalid input for query parameters sort_key. Value: {value}."


class FlavorQuery(PageQuery):
    """Which flavours to list."""

    is_public: str | None = None
    least_memory: str | None = field(default=None, name="minRam")
    least_disk: str | None = field(default=None, name="minDisk")
    sort_key: str = "flavorid"
    sort_dir: Literal["asc", "desc"] = "asc"


@api.get("/v2.1/flavors", READ, key="flavors")
def index(ctx: Context, query: FlavorQuery) -> Page[FlavorSummary]:
    """List flavours."""
    rows, marker = _rows(ctx, query)
    return Page([summary(ctx, row) for row in rows], marker)


@api.get("/v2.1/flavors/detail", READ, key="flavors")
def detail(ctx: Context, query: FlavorQuery) -> Page[FlavorView]:
    """List flavours with all that is known of them."""
    rows, marker = _rows(ctx, query)
    if not shows_extra_specs(ctx):
        return Page([view(ctx, row, None) for row in rows], marker)
    extra_specs = extra_specs_by_flavor(ctx.session, [row.id for row in rows])
    return Page([view(ctx, row, extra_specs.get(row.id, {})) for row in rows], marker)


@api.get("/v2.1/flavors/{flavor_id}", READ, key="flavor")
def show(ctx: Context, flavor_id: str) -> FlavorView:
    """Show a flavour."""
    record = visible(ctx, flavor_id)
    extra_specs = extra_specs_of(ctx.session, flavor_id) if shows_extra_specs(ctx) else None
    return view(ctx, record, extra_specs)


def visible(ctx: Context, flavor_id: str) -> FlavorRecord:
    """The flavour, if the caller may use it."""
    is_admin = rules.is_admin(ctx)
    return find(ctx.session, flavor_id, ctx.caller.project_id, is_admin=is_admin)


def _rows(ctx: Context, query: FlavorQuery) -> tuple[list[FlavorRecord], str | None]:
    statement: Select[Any] = select(FlavorRecord).where(*_conditions(ctx, query))
    rows, has_more = cut(ctx.session, statement, _order(query), query)
    return rows, rows[-1].id if rows and has_more else None


def _order(query: FlavorQuery) -> Order:
    column = SORTED_BY.get(query.sort_key)
    if column is None:
        raise BadSortKey(value=query.sort_key[:80])
    descends = query.sort_dir == "desc"
    order = [] if column is FlavorRecord.id else [(column, descends)]
    return [*order, (FlavorRecord.id, descends)]


def _conditions(ctx: Context, query: FlavorQuery) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if query.least_memory is not None:
        found.append(FlavorRecord.memory_mb >= _number("minRam", query.least_memory))
    if query.least_disk is not None:
        found.append(FlavorRecord.root_gb >= _number("minDisk", query.least_disk))
    wants_public: bool | None = True
    if rules.is_admin(ctx):
        wants_public = _publicity(query.is_public)
    else:
        found.append(FlavorRecord.disabled.is_(False))
    if wants_public:
        given = select(FlavorAccessRecord.flavor_id).where(
            FlavorAccessRecord.project_id == ctx.caller.project_id
        )
        found.append(or_(FlavorRecord.is_public.is_(True), FlavorRecord.id.in_(given)))
    elif wants_public is False:
        found.append(FlavorRecord.is_public.is_(False))
    return found


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) < 11):
        raise BadFilter(name=name, value=text[:80])
    return int(text)


def _publicity(text: str | None) -> bool | None:
    """Whether public flavours are wanted, or private ones; None: both."""
    if text is None or text in TRUE:
        return True
    if text.lower() == "none":
        return None
    if text in FALSE:
        return False
    raise BadFilter(name="is_public", value=text[:80])
