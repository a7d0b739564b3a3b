"""What goes back to the client, and how it is sent: in one piece, or as a stream."""

from collections.abc import Mapping
from typing import Any

import msgspec

from onestack.core import conditions
from onestack.core.api import Operation, Page, Raw, Reply, Service
from onestack.core.context import Context, Request
from onestack.core.streams import Channel, Download, Producer, Upload, transmit

Header = tuple[bytes, bytes]

JSON = (b"content-type", b"application/json")
BODILESS = (204, 304)


class Response:
    """What goes back to the client."""

    __slots__ = ("content", "download", "headers", "producer", "status")

    def __init__(
        self, status: int, content: bytes, headers: list[Header], download: Download | None = None
    ) -> None:
        self.status, self.content, self.headers = status, content, headers
        self.download = download
        self.producer: Producer | None = None


def answer_of(service: Service, operation: Operation, context: Context, value: Any) -> Response:
    """What an operation returned, as it is sent."""
    response = _answer(service, operation, context, value)
    response.headers += encoded(context.headers)
    return response


def encoded(headers: Mapping[str, str]) -> list[Header]:
    """Headers as they go over the wire."""
    return [(k.lower().encode(), v.encode()) for k, v in headers.items()]


async def send(response: Response, method: str, upload: Upload | None, channel: Channel) -> None:
    """Send an answer to the end; what streams is closed then."""
    producer = response.producer
    try:
        is_unread = producer is None and upload is not None and not await upload.settle()
        headers = response.headers
        length = producer.download.sent_bytes if producer else len(response.content)
        if length is not None and response.status not in BODILESS:
            headers.append((b"content-length", str(length).encode()))
        if is_unread:
            headers.append((b"connection", b"close"))
        start = {"type": "http.response.start", "status": response.status, "headers": headers}
        await channel.send(start)
        is_empty = method == "HEAD" or response.status in BODILESS
        if producer is not None and not is_empty:
            await transmit(producer, upload or Upload(channel.receive, {}), channel)
            return
        rest = b"" if is_empty else response.content
        if is_unread and upload is not None:
            await channel.send(_body(rest, more=True))
            await upload.linger()
            rest = b""
        await channel.send(_body(rest))
    finally:
        if producer is not None:
            await producer.close()


def _answer(service: Service, operation: Operation, context: Context, value: Any) -> Response:
    request = context.request
    if isinstance(value, Download):
        return _of_download(value, request)
    if isinstance(value, Raw):
        headers = [(b"content-type", value.content_type.encode()), *encoded(value.headers)]
        return _tagged(Response(value.status, value.content, headers), value.etag, request)
    status, etag = operation.status, None
    extra: Mapping[str, str] = {}
    if isinstance(value, Reply):
        status, extra, etag = value.status or status, value.headers, value.etag
        value = value.body
    headers = encoded(extra)
    if value is None:
        response = Response(status if status != 200 or extra else 204, b"", headers)
        return _tagged(response, etag, request)
    value = operation.cut(value, context.version)
    if isinstance(value, Page):
        value = service.style.page(operation.key or "items", value, request)
    elif operation.key is not None:
        value = {operation.key: value}
    return _tagged(Response(status, msgspec.json.encode(value), [JSON, *headers]), etag, request)


def _of_download(download: Download, request: Request) -> Response:
    """An answer whose body is sent piece by piece."""
    headers = [(b"content-type", download.content_type.encode()), *encoded(download.headers)]
    status = download.status
    if download.part is not None:
        status = 206
        headers.append((b"content-range", download.part.content_range.encode()))
    return _tagged(Response(status, b"", headers, download), download.etag, request)


def _tagged(response: Response, etag: str | None, request: Request) -> Response:
    """The answer with its entity tag; without its body, when the client has that already."""
    if etag is None:
        return response
    response.headers.append((b"etag", etag.encode("latin-1", "replace")))
    is_read = request.method in ("GET", "HEAD") and response.status in (200, 204, 206)
    if is_read and conditions.is_unmodified(request.headers, etag):
        response.headers = [(k, v) for k, v in response.headers if not k.startswith(b"content-")]
        response.status, response.content = 304, b""
    return response


def _body(content: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}
