"""Errors that a client may see: one class says what went wrong and with which status."""

from collections.abc import Mapping
from typing import ClassVar


class ApiError(Exception):
    """What a client did, or asked for, that cannot be answered with success."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal Server Error"
    message: ClassVar[str] = "The server failed to answer; the request id leads to the reason."

    def __init__(self, text: str | None = None, /, **details: object) -> None:
        self.details = details
        self.headers: Mapping[str, str] = {}
        self.hint: str | None = None
        self.members: Mapping[str, object] = {}  # what the answer says beside the error itself
        super().__init__(text if text is not None else self.message.format(**details))

    @property
    def text(self) -> str:
        return str(self.args[0])

    def with_headers(self, **headers: str) -> "ApiError":
        """The same error, carrying response headers (underscores stand for dashes)."""
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self

    def with_hint(self, hint: str) -> "ApiError":
        """The same error, with a sentence on what to do next."""
        self.hint = hint
        return self


class BadRequest(ApiError):
    status = 400
    title = "Bad Request"
    message = "The request could not be understood."


class Unauthorized(ApiError):
    status = 401
    title = "Unauthorized"
    message = "The request you have made requires authentication."


class Forbidden(ApiError):
    status = 403
    title = "Forbidden"
    message = "You are not authorized to perform the requested action: {action}."


class NotFound(ApiError):
    status = 404
    title = "Not Found"
    message = "The resource could not be found."


class MethodNotAllowed(ApiError):
    status = 405
    title = "Method Not Allowed"
    message = "The method is not allowed for this resource."


class NotAcceptable(ApiError):
    status = 406
    title = "Not Acceptable"
    message = "Version {version} is not supported; the minimum is {low}, the maximum {high}."


class RequestTimeout(ApiError):
    status = 408
    title = "Request Timeout"
    message = "The request took too long to arrive."


class Conflict(ApiError):
    status = 409
    title = "Conflict"
    message = "The request conflicts with the state of the resource."


class Gone(ApiError):
    status = 410
    title = "Gone"
    message = "The service you have requested is no longer available on this server."


class PreconditionFailed(ApiError):
    status = 412
    title = "Precondition Failed"
    message = "A precondition of the request does not hold."


class TooLarge(ApiError):
    status = 413
    title = "Request Entity Too Large"
    message = "Request is too large. The limit is {limit} bytes."


class UriTooLong(ApiError):
    status = 414
    title = "URI Too Long"
    message = "The URI is too long. The limit is {limit} bytes."


class UnsupportedMediaType(ApiError):
    status = 415
    title = "Unsupported Media Type"
    message = "Unsupported content type {type}; use {supported}."


class RangeNotSatisfiable(ApiError):
    status = 416
    title = "Range Not Satisfiable"
    message = "The requested range is outside of the {total} bytes that there are."


class HeadersTooLarge(ApiError):
    status = 431
    title = "Request Header Fields Too Large"
    message = "The request's headers are too large. The limit is {limit} bytes."


class InternalError(ApiError):
    """Our fault: the text is kept out of the answer, the log has it."""


class Unavailable(ApiError):
    status = 503
    title = "Service Unavailable"
    message = "The service is temporarily unable to handle your request. Please try again."
