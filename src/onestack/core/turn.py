"""One request's turn: what it asks for, who answers, and what becomes of it."""

from collections.abc import Mapping
from functools import cache
from os import urandom
from time import perf_counter
from types import TracebackType
from typing import Self
from uuid import UUID

import msgspec

from onestack.core import log, metrics, trace
from onestack.core.api import Actions, Microversions, Operation, Service
from onestack.core.context import Context, Request
from onestack.core.errors import ApiError, InternalError
from onestack.core.exchange import failure, run
from onestack.core.response import Header, Response
from onestack.core.shapes import Version
from onestack.core.streams import Upload

PATH_SHOWN = 500
VARY = (b"vary", b"X-Auth-Token")
BODY_HEADERS = frozenset(("content-length", "transfer-encoding"))  # without one, there is no body


class Meaning(msgspec.Struct, frozen=True):
    """What a request's head asks for; the same head always means the same."""

    service: Service
    operation: Operation
    version: Version
    parameters: Mapping[str, str]
    project_id: str | None  # where the path names the caller's project


class Turn:
    """A request, and what becomes of it. What is done within its blocks goes into its trace, and
    what goes wrong there is its answer."""

    __slots__ = (
        "_began", "_global_id", "_span", "_token", "_trace", "context", "found", "meaning",
        "parameters", "request", "request_id", "response", "service", "upload",
    )  # fmt: skip

    def __init__(self, request: Request) -> None:
        self._began = perf_counter()
        self.request, self.request_id = request, _new_request_id()
        self.service: Service | None = None
        self.found: Operation | Actions | None = None  # what is there, for the request's method
        self.parameters: dict[str, str] = {}
        self.meaning: Meaning | None = None
        self.context: Context | None = None
        self.upload: Upload | None = None  # its body, for an operation that streams
        self.response: Response | None = None
        headers = request.headers
        self._trace = trace.Trace(self.request_id, trace.origin(headers.get("traceparent")))
        self._global_id = _global_id(headers.get("x-openstack-request-id"))
        if self._global_id is not None:
            self._trace.subjects.add(self._global_id)
        self._span = self._trace.begin("rest", f"{request.method} {request.path[:PATH_SHOWN]}")

    def __enter__(self) -> Self:
        self._token = trace.enter(self._trace)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None,
        _where: TracebackType | None,
    ) -> bool:  # fmt: skip
        trace.leave(self._token)
        if error is None:
            return False
        if isinstance(error, ApiError):
            problem = error
        elif isinstance(error, Exception):
            log.exception("request failed", error, request_id=self.request_id)
            problem = InternalError()
        else:
            return False
        self.response = failure(problem, self.service, self.request, self.request_id)
        return True

    @property
    def brings_body(self) -> bool:
        """Whether something comes behind the request's head."""
        headers = self.request.headers
        if headers.keys().isdisjoint(BODY_HEADERS):
            return False
        return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers

    @property
    def streams(self) -> bool:
        """Whether the operation reads the request's body itself."""
        return isinstance(self.found, Operation) and self.found.streams

    @property
    def blocks(self) -> bool:
        """Whether the answer is made on a thread."""
        assert self.meaning is not None
        assert self.context is not None
        return self.meaning.operation.blocks(self.context)

    def answer(self) -> Response:
        """What the operation answers, now that all of the request is here."""
        assert self.meaning is not None
        assert self.context is not None
        return run(self.meaning.service, self.meaning.operation, self.context)

    @property
    def is_complete(self) -> bool:
        """Whether the answer is here as a whole."""
        return self.response is not None and self.response.download is None

    def conclude(self) -> Response:
        """The answer with what all answers carry; nothing more is done for it."""
        response = self.response
        assert response is not None
        self._trace.end(self._span, None if response.status < 500 else str(response.status))
        trace.keep(self._trace)
        response.headers += self._marks()
        return response

    def note(self) -> None:
        """Count the request, and write its line in the log, once it is answered."""
        response = self.response
        assert response is not None
        elapsed = perf_counter() - self._began
        service = self.service.name if self.service else "none"
        found = self.meaning.operation if self.meaning else self.found
        metrics.request(service, found.path if found else "none", response.status, elapsed)
        log.access(self.request, response.status, elapsed, self.request_id, self._global_id)

    def _marks(self) -> list[Header]:
        """The request's id, under the name that all clients know and that of old ones; in which
        version this is answered, and which headers of the request made a difference."""
        request_id = self.request_id.encode()
        marks = [(b"x-openstack-request-id", request_id)]
        if self.service is None:
            return [*marks, VARY]
        if self.service.request_id_header is not None:
            marks.append((self.service.request_id_header.encode(), request_id))
        versions = self.service.microversions
        if versions is None:
            return [*marks, VARY]
        return [*marks, *_of_version(versions, self.context and self.context.version)]


@cache
def _of_version(versions: Microversions, version: Version | None) -> tuple[Header, ...]:
    names = ["OpenStack-API-Version", *filter(None, [versions.legacy_header])]
    vary = (b"vary", ", ".join(["X-Auth-Token", *names]).encode())
    if version is None:
        return (vary,)
    values = [f"{versions.service_type} {version}", str(version)]
    return (vary, *((k.lower().encode(), v.encode()) for k, v in zip(names, values, strict=False)))


def _new_request_id() -> str:
    """A fresh request id, in the form that OpenStack's clients know."""
    text = urandom(16).hex()
    return f"req-{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def _global_id(text: str | None) -> str | None:
    """The caller's own request id, when it is one."""
    if text is None or not text.startswith("req-"):
        return None
    try:
        return f"req-{UUID(text.removeprefix('req-'))}"
    except ValueError:
        return None
