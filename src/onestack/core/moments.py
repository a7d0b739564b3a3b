"""Moments as clients write them, and what a list is compared with by them."""

import datetime as dt
from typing import Any, overload

from sqlalchemy import ColumnElement, and_, not_
from sqlalchemy.orm import InstrumentedAttribute

COMPARISONS = ("gt", "gte", "lt", "lte", "eq", "neq")
ONE_SECOND = dt.timedelta(seconds=1)


def read(text: str) -> dt.datetime:
    """The moment that a client wrote, in UTC and without a zone; ValueError when it is none."""
    try:
        moment = dt.datetime.fromisoformat(text)
        return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except OverflowError as error:  # a zone that leads out of the years that there are
        raise ValueError(str(error)) from None


@overload
def precise(moment: dt.datetime) -> str: ...
@overload
def precise(moment: dt.datetime | None) -> str | None: ...
def precise(moment: dt.datetime | None) -> str | None:
    """A moment as exact as it is known, without a zone."""
    return None if moment is None else moment.isoformat(timespec="microseconds")


def compared(column: InstrumentedAttribute[Any], text: str) -> ColumnElement[bool]:
    """A comparison such as `gte:2026-01-01T00:00:00`; ValueError when it is none.

    Clients see whole seconds, so each moment stands for all that is in its second.
    """
    comparison, separator, rest = text.partition(":")
    if not separator or comparison not in COMPARISONS:
        comparison, rest = "eq", text
    moment = read(rest)
    try:
        following = moment + ONE_SECOND
    except OverflowError as error:
        raise ValueError(str(error)) from None
    within = and_(column >= moment, column < following)
    match comparison:
        case "gt":
            return column >= following
        case "gte":
            return column >= moment
        case "lt":
            return column < moment
        case "lte":
            return column < following
        case "neq":
            return not_(within)
    return within
