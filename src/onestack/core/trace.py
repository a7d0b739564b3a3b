"""Traces: what one request did over REST, bus, SQL and drivers; the last ones stay in a ring."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from time import perf_counter, time
from typing import Protocol

TRACES_MAX = 2000
SPANS_MAX = 500
SUBJECTS_MAX = 100


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

    __slots__ = ("began_at", "depth", "dropped", "names", "request_id", "spans", "subjects")

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.began_at = time()
        self.spans: list[Span] = []
        self.depth = 0
        self.dropped = 0
        self.subjects: set[str] = set()
        self.names: tuple[str, ...] = ()


class Exporter(Protocol):
    """Where finished traces go besides the ring, such as an OpenTelemetry collector."""

    def export(self, trace: Trace) -> None: ...


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)
_lock = Lock()  # requests end on several threads
_ring: deque[Trace] = deque()
_by_name: dict[str, deque[Trace]] = {}
exporters: list[Exporter] = []


def begin(kind: str, name: str) -> Span | None:
    """Open a span in the trace at hand; `end` closes it."""
    trace = _current.get()
    if trace is None:
        return None
    if len(trace.spans) >= SPANS_MAX:
        trace.dropped += 1
        return None
    span = Span(kind, name, trace.depth)
    trace.spans.append(span)
    trace.depth += 1
    return span


def end(span: Span | None, error: str | None = None) -> None:
    """Close a span."""
    if span is None:
        return
    span.duration_s = perf_counter() - span.start
    span.error = error
    trace = _current.get()
    if trace is not None:
        trace.depth = span.depth


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


@contextmanager
def recording(request_id: str) -> Iterator[Trace]:
    """What happens in the block belongs to the trace of `request_id`."""
    trace = Trace(request_id)
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)
        keep(trace)


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
        trace.names = (trace.request_id, *sorted(trace.subjects - {trace.request_id}))
        _ring.append(trace)
        for name in trace.names:
            _by_name.setdefault(name, deque()).append(trace)
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
        kept.popleft()
        if not kept:
            del _by_name[name]
