"""Traces: what one request did over REST, bus, SQL and drivers; the last ones stay in a ring."""

import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from hashlib import blake2b
from threading import Lock
from time import perf_counter, time
from typing import Protocol

import msgspec

TRACES_MAX = 2000
SPANS_MAX = 500
SUBJECTS_MAX = 100


_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_REQUEST_ID = re.compile(r"req-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


class Origin(msgspec.Struct, frozen=True):
    """Whose doing a trace is part of: the trace, and the span in it, of who asks."""

    trace_id: str
    span_id: str
    is_sampled: bool


class Span:
    """One thing done within a trace."""

    __slots__ = ("depth", "duration_s", "error", "kind", "name", "start")

    def __init__(self, kind: str, name: str, depth: int) -> None:
        self.kind, self.name, self.depth = kind, name, depth
        self.start = perf_counter()
        self.duration_s: float | None = None
        self.error: str | None = None


class Trace:
    """The spans of one request or one step of a flow, in the order in which they began."""

    __slots__ = (
        "began_at", "depth", "dropped", "names", "origin", "request_id", "spans", "subjects"
    )  # fmt: skip

    def __init__(self, request_id: str, origin: Origin | None = None) -> None:
        self.request_id, self.origin = request_id, origin
        self.began_at = time()
        self.spans: list[Span] = []
        self.depth = 0
        self.dropped = 0
        self.subjects: set[str] = set()
        self.names: tuple[str, ...] = ()
        if origin is not None:
            self.subjects.add(origin.trace_id)

    def begin(self, kind: str, name: str) -> Span | None:
        """Open a span; `end` closes it."""
        if len(self.spans) >= SPANS_MAX:
            self.dropped += 1
            return None
        span = Span(kind, name, self.depth)
        self.spans.append(span)
        self.depth += 1
        return span

    def end(self, span: Span | None, error: str | None = None) -> None:
        """Close a span."""
        if span is not None:
            span.duration_s = perf_counter() - span.start
            span.error = error
            self.depth = span.depth

    @property
    def trace_id(self) -> str:
        """By which other systems know it: the caller's, or made of the request's id."""
        if self.origin is not None:
            return self.origin.trace_id
        digits = _REQUEST_ID.fullmatch(self.request_id)
        if digits is not None:
            return digits[1].replace("-", "")
        return blake2b(self.request_id.encode(), digest_size=16).hexdigest()


class Exporter(Protocol):
    """Where finished traces go besides the ring, such as an OpenTelemetry collector."""

    def export(self, trace: Trace) -> None: ...


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)
_lock = Lock()  # requests end on several threads
_ring: deque[Trace] = deque()
_by_name: dict[str, list[Trace]] = {}
exporters: list[Exporter] = []


def begin(kind: str, name: str) -> Span | None:
    """Open a span in the trace at hand; `end` closes it."""
    trace = _current.get()
    return None if trace is None else trace.begin(kind, name)


def end(span: Span | None, error: str | None = None) -> None:
    """Close a span of the trace at hand."""
    trace = _current.get()
    if trace is not None:
        trace.end(span, error)


@contextmanager
def span(kind: str, name: str) -> Iterator[None]:
    """What happens in the block is one span."""
    opened = begin(kind, name)
    try:
        yield
    except BaseException as error:
        end(opened, type(error).__name__)
        raise
    end(opened)


class recording:  # noqa: N801 - it is used as a function
    """What happens in the block belongs to the trace of `request_id`."""

    __slots__ = ("_token", "_trace")

    def __init__(self, request_id: str, origin: Origin | None = None) -> None:
        self._trace = Trace(request_id, origin)

    def __enter__(self) -> Trace:
        self._token = enter(self._trace)
        return self._trace

    def __exit__(self, *_error: object) -> None:
        leave(self._token)
        keep(self._trace)


def enter(trace: Trace) -> Token[Trace | None]:
    """From here on, what happens belongs to this trace."""
    return _current.set(trace)


def leave(token: Token[Trace | None]) -> None:
    """What happens belongs to the trace before that."""
    _current.reset(token)


def origin(traceparent: str | None) -> Origin | None:
    """What a request says of its caller's trace (W3C Trace Context), when it says it well."""
    found = _TRACEPARENT.fullmatch(traceparent.strip()) if traceparent else None
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
        return None
    if not int(found[2], 16) or not int(found[3], 16):
        return None
    return Origin(found[2], found[3], bool(int(found[4], 16) & 1))


def current_id() -> str | None:
    """The request id of the trace at hand."""
    trace = _current.get()
    return trace.request_id if trace else None


def about(subject: str) -> None:
    """Let the trace at hand be found by the id of a resource too."""
    trace = _current.get()
    if trace is not None and len(trace.subjects) < SUBJECTS_MAX:
        trace.subjects.add(subject)


def keep(trace: Trace) -> None:
    """Put a finished trace in the ring."""
    with _lock:
        trace.names = (trace.request_id,)
        if trace.subjects:
            trace.names += tuple(sorted(trace.subjects - {trace.request_id}))
        _ring.append(trace)
        for name in trace.names:
            known = _by_name.get(name)
            if known is None:
                _by_name[name] = [trace]
            else:
                known.append(trace)
        if len(_ring) > TRACES_MAX:
            _forget(_ring.popleft())
    for exporter in exporters:
        exporter.export(trace)


def find(name: str) -> list[Trace]:
    """The traces kept of a request, or about a resource."""
    with _lock:
        return list(_by_name.get(name, ()))


def _forget(oldest: Trace) -> None:
    """The oldest trace is the first under each of its names."""
    for name in oldest.names:
        kept = _by_name[name]
        if len(kept) > 1:
            kept.pop(0)
        else:
            del _by_name[name]
