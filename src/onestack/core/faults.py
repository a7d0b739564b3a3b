"""The envelope of errors that Nova and Cinder share: what went wrong names it."""

from typing import Any

from onestack.core.errors import ApiError

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


def fault(error: ApiError, text: str) -> dict[str, Any]:
    """An error in these words, under the name that its status has."""
    body: dict[str, Any] = {"code": error.status, "message": text}
    if error.hint:
        body["hint"] = error.hint
    return {NAMES.get(error.status, "computeFault"): body}
