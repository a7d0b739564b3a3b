"""Moments, as Nova's clients write and read them."""

import datetime as dt

from onestack.core.errors import BadRequest


class BadMoment(BadRequest):
    message = (
        "Invalid input for query parameters {name}. Value: {value}. {value!r} is not a 'date-time'"
    )


def read(text: str, name: str) -> dt.datetime:
    """The moment that a client wrote; one without a zone is in UTC."""
    try:
        moment = dt.datetime.fromisoformat(text.strip().replace(" ", "+"))
        if moment.tzinfo is not None:
            moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise BadMoment(name=name, value=text[:80]) from None
    return moment


def second(moment: dt.datetime) -> str:
    """A moment to the second, with its zone: when a resource was made or changed."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def precise(moment: dt.datetime | None) -> str | None:
    """A moment as exact as it is known, without a zone: when something happened."""
    return None if moment is None else moment.isoformat(timespec="microseconds")
