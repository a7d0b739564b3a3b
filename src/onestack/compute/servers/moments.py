"""Moments, as Nova's clients write and read them."""

import datetime as dt

from onestack.core import moments
from onestack.core.errors import BadRequest


class BadMoment(BadRequest):
    message = (
        "Invalid input for query parameters {name}. Value: {value}. {value!r} is not a 'date-time'"
    )


def read(text: str, name: str) -> dt.datetime:
    """The moment that a client wrote; one without a zone is in UTC."""
    try:
        return moments.read(text.strip().replace(" ", "+"))
    except ValueError:
        raise BadMoment(name=name, value=text[:80]) from None


def second(moment: dt.datetime) -> str:
    """A moment to the second, with its zone: when a resource was made or changed."""
    return moment.isoformat(timespec="seconds") + "Z"
