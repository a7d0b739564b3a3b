"""HTTP: finds the operation of a request, runs it under the limits, and writes its answer."""

import asyncio
import sys
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from onestack.core import log, trace
from onestack.core.answers import Answers
from onestack.core.api import Actions, Operation, Service
from onestack.core.context import Cloud, Context, Request
from onestack.core.errors import (
    BadRequest,
    HeadersTooLarge,
    MethodNotAllowed,
    NotFound,
    RequestTimeout,
    TooLarge,
    Unauthorized,
    Unavailable,
    UriTooLong,
)
from onestack.core.exchange import negotiate
from onestack.core.heads import Heads
from onestack.core.response import Response, send
from onestack.core.routes import PROJECT, ByMethod, Routes
from onestack.core.streams import Channel, Producer, Receive, Send, Upload
from onestack.core.threads import Threads
from onestack.core.turn import Meaning, Turn
from onestack.core.websocket import WebSocket

Scope = Mapping[str, Any]

LOG_FLUSH_S = 0.2
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
        self.heads = Heads()
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
        """As ASGI has it, for those who ask without a connection, and for WebSockets."""
        if scope["type"] == "http":
            turn = self.begin(_request(scope))
            await self.carry_on(turn, Channel(receive, to_client, _nothing))
        elif scope["type"] == "websocket":
            socket = WebSocket(_request(scope), scope["subprotocols"], receive, to_client)
            await self.sockets.get(socket.request.path, _refuse)(self.cloud, socket)

    def begin(self, request: Request, meaning: Meaning | None = None) -> Turn:
        """A request's turn, once its head is here, whose meaning may be known of another. It has
        its answer already when that waits for nothing: for no body, and for no thread."""
        turn = Turn(request)
        with turn:
            if meaning is None:
                self._find(turn)
                if turn.brings_body or turn.streams:
                    return turn
            self._prepare(turn, meaning)
            if not turn.blocks:
                turn.response = turn.answer()
        return turn

    async def carry_on(self, turn: Turn, channel: Channel) -> None:
        """Answer a request, however long that takes."""
        if turn.response is None:
            with turn:
                turn.response = await self._answer(turn, channel.receive)
        if turn.response is not None and turn.response.download is not None:
            with turn:
                await self._begin_download(turn.response, turn.request.method)
        await self._send(turn, channel)
        self.note(turn)

    def note(self, turn: Turn) -> None:
        """Count an answered request, and write it into the log."""
        turn.note()
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_later(LOG_FLUSH_S, self._flush_log)

    def _flush_log(self) -> None:
        self._flushing = False
        log.flush()

    def _find(self, turn: Turn) -> None:
        """Know what is there under the request's path."""
        request = turn.request
        self._admit(request)
        turn.service, by_method, turn.parameters = self.routes.find(request.path)
        if turn.service is None:
            raise NotFound
        turn.found = _operation(turn.service, by_method, request)

    def _prepare(self, turn: Turn, meaning: Meaning | None = None) -> None:
        """Know which operation is meant, and in which version, and what it needs to know."""
        request = turn.request
        meaning = turn.meaning = meaning or _meaning(turn)
        turn.service, operation = meaning.service, meaning.operation
        context = turn.context = Context(
            self.cloud, request, operation.rule, turn.request_id, meaning.version
        )
        context.path_project_id, context.parameters = meaning.project_id, meaning.parameters
        context.writes = request.method not in ("GET", "HEAD") and not operation.reads
        for name, value in meaning.parameters.items():
            if name.endswith("_id"):
                trace.about(value)

    async def _answer(self, turn: Turn, receive: Receive) -> Response:
        """The answer to a request that waits for its body or for a thread."""
        request = turn.request
        if turn.streams:
            request.stream = turn.upload = Upload(receive, request.headers)
            self._prepare(turn)
            return await self._streamed(turn, turn.upload)
        if turn.brings_body:
            request.body = await self._body(request, receive)
            self._prepare(turn)
        return await self.threads.run(turn.answer) if turn.blocks else turn.answer()

    def _admit(self, request: Request) -> None:
        """Refuse what is too large or no URL; from here on the path is readable."""
        if len(request.path) + len(request.query_string) > self.limits.url_bytes:
            raise UriTooLong(limit=self.limits.url_bytes)
        headers = request.headers
        if sum(map(len, headers)) + sum(map(len, headers.values())) > self.limits.header_bytes:
            raise HeadersTooLarge(limit=self.limits.header_bytes)
        if "\0" in request.path or "%00" in request.path or "%00" in request.query_string:
            raise BadRequest("A NUL character is not allowed in a URL.")
        if not request.query_string.isascii() or not request.path.isascii():
            raise BadRequest("A URL is made of ASCII characters; others are percent-encoded.")
        request.path = _decoded(request.path)

    async def _body(self, request: Request, receive: Receive) -> bytes:
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

    async def _streamed(self, turn: Turn, upload: Upload) -> Response:
        """Run an operation on a thread while its body comes in."""
        assert turn.context is not None
        upload.before_waiting = turn.context.check_released
        feeder = asyncio.ensure_future(upload.feed())
        try:
            return await self.streams.run(turn.answer)
        finally:
            upload.stop()
            feeder.cancel()
            await asyncio.wait((feeder,))

    async def _begin_download(self, response: Response, method: str) -> None:
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

    async def _send(self, turn: Turn, channel: Channel) -> None:
        response = turn.conclude()
        is_download = response.producer is not None
        self._downloads += is_download
        try:
            await send(response, turn.request.method, turn.upload, channel)
        finally:
            self._downloads -= is_download


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


def _meaning(turn: Turn) -> Meaning:
    """What the request means, where its body is here or has nothing to say."""
    service = turn.service
    assert service is not None
    assert turn.found is not None
    operation = _meant(turn.found, turn.request)
    version = negotiate(service, turn.request)
    if not operation.window.holds(version):
        raise NotFound
    project_id = turn.parameters.pop(PROJECT, None)
    return Meaning(service, operation, version, turn.parameters, project_id)


def _meant(found: Operation | Actions, request: Request) -> Operation:
    """The operation, or the action that the body is for; strangers are not told which there are."""
    if isinstance(found, Operation):
        return found
    if request.token is None:
        raise Unauthorized
    return found.choose(request.body)


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


def _nothing() -> None:
    pass
