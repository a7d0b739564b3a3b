"""Moments that requests name."""

import datetime as dt

from onestack.core import clock, moments
from onestack.core.errors import BadRequest


class BadMoment(BadRequest):
    message = "{name} is not a time in ISO 8601 format, such as 2030-01-31T12:00:00.000000Z."


class PastMoment(BadRequest):
    message = "{name} must be in the future."


def future(text: str | None, name: str) -> dt.datetime | None:
    """The moment that a request names; it must not have passed."""
    if text is None:
        return None
    moment = parse(text, name)
    if moment <= clock.now():
        raise PastMoment(name=name)
    return moment


def parse(text: str, name: str) -> dt.datetime:
    """The moment that a request names."""
    try:
        return moments.read(text)
    except ValueError:
        raise BadMoment(name=name) from None
