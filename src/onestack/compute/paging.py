"""Pages of lists, as Nova cuts them: a limit, and the marker that the page begins after."""

from collections.abc import Sequence
from typing import Annotated, Any

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from onestack.core.errors import BadRequest
from onestack.core.paging import after, sorted_by
from onestack.core.shapes import Meta, Shape

PAGE_MAX = 1000

Limit = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Order = Sequence[tuple[InstrumentedAttribute[Any], bool]]  # columns, and whether each descends


class BadMarker(BadRequest):
    message = "marker [{marker}] not found"


class PageQuery(Shape):
    """Which part of a list to show."""

    limit: Limit | None = None
    marker: str | None = None


def cut(
    session: Session, statement: Select[Any], order: Order, query: PageQuery
) -> tuple[list[Any], bool]:
    """The rows of one page, and whether there are more; the order's last column is the marker."""
    ordered = list(order)
    key = ordered[-1][0]
    if query.marker is not None:
        found = session.scalar(statement.where(key == query.marker))
        if found is None:
            raise BadMarker(marker=query.marker[:80])
        statement = statement.where(after(found, ordered))
    most = PAGE_MAX if query.limit is None else min(query.limit, PAGE_MAX)
    columns = [part for column, descends in ordered for part in sorted_by(column, descends)]
    rows = list(session.scalars(statement.order_by(*columns).limit(most + 1)))
    return rows[:most], len(rows) > most
