"""Cinder's envelopes: errors named after what went wrong, and lists with links."""

from typing import Any

from onestack.core.api import Microversions, Page
from onestack.core.context import Request
from onestack.core.errors import ApiError
from onestack.core.shapes import Version

ROOT = "/volume"
VERSIONS = Microversions("volume", Version(3, 0), Version(3, 70))
NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


class VolumeStyle:
    """How the volume service's answers look."""

    def error(self, error: ApiError, _request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {"code": error.status, "message": error.text}
        if error.hint:
            body["hint"] = error.hint
        return {NAMES.get(error.status, "computeFault"): body}

    def page(self, key: str, page: Page[Any], _request: Request) -> dict[str, Any]:
        return {key: page.items}
