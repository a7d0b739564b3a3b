"""Placement's envelopes: errors with codes, and the headers that say how fresh an answer is."""

import datetime as dt
import re
from email.utils import format_datetime
from typing import Any

from onestack.core import clock, trace
from onestack.core.api import Microversions, Page
from onestack.core.context import Context, Request
from onestack.core.errors import ApiError, BadRequest, NotAcceptable
from onestack.core.exchange import negotiate
from onestack.core.shapes import Version

ROOT = "/placement"
VERSIONS = Microversions("placement", Version(1, 0), Version(1, 39))

UNDEFINED = "placement.undefined_code"
CONCURRENT_UPDATE = "placement.concurrent_update"
DUPLICATE_NAME = "placement.duplicate_name"
BAD_VALUE = "placement.query.bad_value"
DUPLICATE_KEY = "placement.query.duplicate_key"
MISSING_VALUE = "placement.query.missing_value"

WORDINGS = (
    (re.compile(r"^Invalid input: JSON is malformed"), "Malformed JSON"),
    (re.compile(r"^Invalid input: "), "JSON does not validate: "),
    (re.compile(r"^Invalid input for query parameters: "), "Invalid query string parameters: "),
    (
        re.compile(r"Object contains unknown field `(.*?)`"),
        r"Additional properties are not allowed ('\1' was unexpected)",
    ),
    (re.compile(r"Object missing required field `(.*?)`"), r"'\1' is a required property"),
)


class PlacementStyle:
    """How placement's answers look."""

    def error(self, error: ApiError, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "status": error.status,
            "title": error.title,
            "detail": _worded(error),
            "request_id": trace.current_id() or "",
        }
        if isinstance(error, NotAcceptable):
            body |= {"max_version": str(VERSIONS.highest), "min_version": str(VERSIONS.lowest)}
        if _asked(request) >= (1, 23):
            body["code"] = getattr(error, "code", UNDEFINED)
        if error.hint:
            body["hint"] = error.hint
        return {"errors": [body]}

    def page(self, key: str, page: Page[Any], _request: Request) -> dict[str, Any]:
        return {key: page.items}


def link(path: str) -> str:
    """A path of this API, as links name it."""
    return f"{ROOT}/{path}"


def locate(ctx: Context, path: str) -> None:
    """Say where the thing is that this request made, or found."""
    ctx.headers["location"] = ctx.request.base_url + link(path)


def dated(ctx: Context, moment: dt.datetime | None = None) -> None:
    """Say when what is answered changed last, to clients who ask for that."""
    if ctx.version >= (1, 15):
        ctx.headers |= freshness(moment)


def freshness(moment: dt.datetime | None = None) -> dict[str, str]:
    """The headers of an answer that nobody may keep."""
    zoned = (moment or clock.now()).replace(tzinfo=dt.UTC, microsecond=0)
    return {"last-modified": format_datetime(zoned, usegmt=True), "cache-control": "no-cache"}


def _worded(error: ApiError) -> str:
    """What went wrong, in the words that placement's clients know."""
    if isinstance(error, NotAcceptable):
        return f"Unacceptable version header: {error.details['version']}"
    text = error.text
    if isinstance(error, BadRequest):
        for pattern, wording in WORDINGS:
            text = pattern.sub(wording, text)
    return text


def _asked(request: Request) -> Version:
    """The version that an error is written in; one that cannot be had counts as the lowest."""
    from onestack.placement import SERVICE

    try:
        return negotiate(SERVICE, request)
    except ApiError:
        return VERSIONS.lowest
