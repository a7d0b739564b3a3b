"""HTTP: finds the operation of a request, runs it under the limits, and writes its answer."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from os import urandom
from time import perf_counter
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import msgspec

from onestack.core import log, metrics, trace
from onestack.core.answers import Answers
from onestack.core.api import Actions, Operation, Service
from onestack.core.context import Cloud, Context, Request
from onestack.core.errors import (
    ApiError,
    BadRequest,
    HeadersTooLarge,
    InternalError,
    MethodNotAllowed,
    NotFound,
    RequestTimeout,
    TooLarge,
    Unauthorized,
    Unavailable,
    UriTooLong,
)
from onestack.core.exchange import failure, negotiate, run
from onestack.core.response import Header, Response, send
from onestack.core.routes import PROJECT, ByMethod, Routes
from onestack.core.streams import Channel, Producer, Receive, Send, Upload
from onestack.core.threads import Threads
from onestack.core.websocket import WebSocket

Scope = Mapping[str, Any]

BODY_HEADERS = frozenset(("content-length", "transfer-encoding"))  # without one, there is no body
LOG_FLUSH_S = 0.2
PATH_SHOWN = 500
BODY_S = 60.0  # how long the whole body of a request may take, unless its operation streams


class Limits(msgspec.Struct, frozen=True):
    """How much of anything one request may bring."""

    body_bytes: int = 1 << 20
    header_bytes: int = 64 << 10
    url_bytes: int = 8 << 10
    threads: int = 32
    stream_threads: int = 16
    waiting: int = 512


class Application:
    """The ASGI application: every service of this process under its own path."""

    def __init__(
        self, cloud: Cloud, services: Iterable[Service], limits: Limits | None = None
    ) -> None:
        self.cloud = cloud
        cloud.put(Answers())
        self.services = list(services)
        self.limits = limits or Limits()
        self.routes = Routes(self.services)
        self.sockets = {
            service.root + path: handler
            for service in self.services
            for path, handler in service.sockets.items()
        }
        waiting = self.limits.waiting
        self.threads = Threads(self.limits.threads, waiting, "operation")
        self.streams = Threads(self.limits.stream_threads, waiting, "stream")
        # Pieces of a download that has begun are never refused: downloads are, before they begin.
        self.producers = Threads(self.limits.stream_threads, sys.maxsize, "download")
        self._downloads = 0
        self._flushing = False

    async def __call__(self, scope: Scope, receive: Receive, to_client: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, to_client)
        elif scope["type"] == "websocket":
            socket = WebSocket(_request(scope), scope["subprotocols"], receive, to_client)
            await self.sockets.get(socket.request.path, _refuse)(self.cloud, socket)

    async def _http(self, scope: Scope, receive: Receive, to_client: Send) -> None:
        """Answer a request."""
        began = perf_counter()
        request_id = _new_request_id()
        request = _request(scope)
        operation: Operation | None = None
        global_id = _global_request_id(request)
        with trace.recording(request_id, trace.origin(request.headers.get("traceparent"))):
            if global_id is not None:
                trace.about(global_id)
            span = trace.begin("rest", f"{request.method} {request.path[:PATH_SHOWN]}")
            service: Service | None = None
            context: Context | None = None
            upload: Upload | None = None
            try:
                self._admit(scope, request)
                service, by_method, parameters = self.routes.find(request.path)
                if service is None:
                    raise NotFound
                found = _operation(service, by_method, request)
                if isinstance(found, Operation) and found.streams:
                    upload = request.stream = Upload(receive, request.headers)
                else:
                    request.body = await self._body(request, receive)
                operation = _meant(found, request)
                context = self._context(service, operation, parameters, request, request_id)
                answer = partial(run, service, operation, context)
                if upload is not None:
                    response = await self._streamed(upload, context, answer)
                elif operation.blocks(context):
                    response = await self.threads.run(answer)
                else:
                    response = answer()
                if response.download is not None:
                    await self._begin(response, request.method)
            except ApiError as error:
                response = failure(error, service, request, request_id)
            except Exception as error:
                log.exception("request failed", error, request_id=request_id)
                response = failure(InternalError(), service, request, request_id)
            trace.end(span, None if response.status < 500 else str(response.status))
        response.headers += _request_id_headers(service, request_id)
        response.headers += _version_headers(service, context)
        await self._send(response, request.method, upload, _channel(scope, receive, to_client))
        elapsed = perf_counter() - began
        route = operation.path if operation else "none"
        metrics.request(service.name if service else "none", route, response.status, elapsed)
        log.access(request, response.status, elapsed, request_id, global_id)
        self._flush_log_soon()

    def _flush_log_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_later(LOG_FLUSH_S, self._flush_log)

    def _flush_log(self) -> None:
        self._flushing = False
        log.flush()

    def _admit(self, scope: Scope, request: Request) -> None:
        """Refuse what is too large or no URL; from here on the path is readable."""
        if len(scope["raw_path"]) + len(scope["query_string"]) > self.limits.url_bytes:
            raise UriTooLong(limit=self.limits.url_bytes)
        if sum(len(k) + len(v) for k, v in scope["headers"]) > self.limits.header_bytes:
            raise HeadersTooLarge(limit=self.limits.header_bytes)
        if "\0" in request.path or "%00" in request.path or "%00" in request.query_string:
            raise BadRequest("A NUL character is not allowed in a URL.")
        if not request.query_string.isascii() or not request.path.isascii():
            raise BadRequest("A URL is made of ASCII characters; others are percent-encoded.")
        request.path = _decoded(request.path)

    async def _body(self, request: Request, receive: Receive) -> bytes:
        if request.headers.keys().isdisjoint(BODY_HEADERS):
            return b""
        limit = self.limits.body_bytes
        length = request.headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length[:20]) > limit:
            raise TooLarge(limit=limit)
        parts: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(BODY_S):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise BadRequest("The client went away.")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > limit:
                        raise TooLarge(limit=limit)
                    more = message.get("more_body", False)
        except TimeoutError:
            raise RequestTimeout from None
        return b"".join(parts)

    def _context(
        self,
        service: Service,
        operation: Operation,
        parameters: dict[str, str],
        request: Request,
        request_id: str,
    ) -> Context:
        version = negotiate(service, request)
        if not operation.window.holds(version):
            raise NotFound
        context = Context(self.cloud, request, operation.rule, request_id, version)
        context.path_project_id = parameters.pop(PROJECT, None)
        context.parameters = parameters
        for name, value in parameters.items():
            if name.endswith("_id"):
                trace.about(value)
        context.writes = request.method not in ("GET", "HEAD") and not operation.reads
        return context

    async def _streamed(
        self, upload: Upload, context: Context, answer: Callable[[], Response]
    ) -> Response:
        """Run an operation on a thread while its body comes in."""
        upload.before_waiting = context.check_released
        feeder = asyncio.ensure_future(upload.feed())
        try:
            return await self.streams.run(answer)
        finally:
            upload.stop()
            feeder.cancel()
            await asyncio.wait((feeder,))

    async def _begin(self, response: Response, method: str) -> None:
        """Open a download's source; from here on an error is an answer no more."""
        assert response.download is not None
        response.producer = Producer(response.download, self.producers)
        try:
            if self._downloads >= self.limits.waiting:
                raise Unavailable().with_headers(Retry_After="1")
            if method != "HEAD" and response.status != 304:
                await response.producer.begin()
        except BaseException:
            await response.producer.close()
            raise

    async def _send(
        self, response: Response, method: str, upload: Upload | None, channel: Channel
    ) -> None:
        if response.producer is None:
            await send(response, method, upload, channel)
            return
        self._downloads += 1
        try:
            await send(response, method, upload, channel)
        finally:
            self._downloads -= 1


def _operation(service: Service, by_method: ByMethod, request: Request) -> Operation | Actions:
    """Which operation of a path the request is for, or which actions it may be for."""
    request.root = service.root
    if not by_method:
        raise NotFound
    operation = by_method.get("GET" if request.method == "HEAD" else request.method)
    if operation is None:
        allowed = by_method.keys() | ({"HEAD"} if "GET" in by_method else set())
        raise MethodNotAllowed().with_headers(Allow=", ".join(sorted(allowed)))
    return operation


def _meant(found: Operation | Actions, request: Request) -> Operation:
    """The operation, or the action that the body is for; strangers are not told which there are."""
    if isinstance(found, Operation):
        return found
    if request.token is None:
        raise Unauthorized
    return found.choose(request.body)


def _version_headers(service: Service | None, context: Context | None) -> list[Header]:
    """In which version this is answered, and which headers of the request made a difference."""
    versions = service.microversions if service is not None else None
    if versions is None:
        return [(b"vary", b"X-Auth-Token")]
    names = ["OpenStack-API-Version", *filter(None, [versions.legacy_header])]
    headers = [(b"vary", ", ".join(["X-Auth-Token", *names]).encode())]
    if context is not None:
        values = [f"{versions.service_type} {context.version}", str(context.version)]
        headers += [(k.lower().encode(), v.encode()) for k, v in zip(names, values, strict=False)]
    return headers


def _request_id_headers(service: Service | None, request_id: str) -> list[tuple[bytes, bytes]]:
    """The request's id, under the name that all clients know and that of old ones."""
    names = [b"x-openstack-request-id"]
    if service is not None and service.request_id_header is not None:
        names.append(service.request_id_header.encode())
    return [(name, request_id.encode()) for name in names]


def _request(scope: Scope) -> Request:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers[name.decode("latin-1")] = value.decode("latin-1")
    raw: bytes = scope["raw_path"].partition(b"?")[0]
    client = scope.get("client")
    query: str = scope["query_string"].decode("latin-1")
    return Request(
        scope.get("method", "GET"), raw.decode("latin-1"), query, headers,
        client=client[0] if client else "",
    )  # fmt: skip


async def _refuse(_cloud: Cloud, socket: WebSocket) -> None:
    await socket.refuse()


def _decoded(path: str) -> str:
    """The path with escapes resolved, but for an escaped slash, which is no separator."""
    if "%" not in path:
        return path
    try:
        parts = [unquote(part, errors="strict") for part in path.split("/")]
    except UnicodeDecodeError:
        raise BadRequest("The path is not UTF-8.") from None
    return "/".join(part.replace("/", "%2F") for part in parts)


def _channel(scope: Scope, receive: Receive, to_client: Send) -> Channel:
    connection = scope.get("extensions", {}).get("onestack.connection", {})
    return Channel(receive, to_client, connection.get("abort", _nothing))


def _nothing() -> None:
    pass


def _new_request_id() -> str:
    """A fresh request id, in the form that OpenStack's clients know."""
    text = urandom(16).hex()
    return f"req-{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def _global_request_id(request: Request) -> str | None:
    """The caller's own request id, when it is one."""
    text = request.headers.get("x-openstack-request-id", "")
    try:
        return f"req-{UUID(text.removeprefix('req-'))}" if text.startswith("req-") else None
    except ValueError:
        return None
