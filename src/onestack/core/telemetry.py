"""Traces for an OpenTelemetry collector: converted and sent on a thread of their own."""

from collections.abc import Iterator, Sequence
from queue import Empty, Full, Queue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from onestack import __version__
from onestack.core import clock, log, metrics, trace
from onestack.core.config import ConfigError

WAITING_MAX = 2000  # traces
BATCH_MAX = 200  # traces
GATHER_S = 1.0
SEND_TIMEOUT_S = 10.0
CLOSE_PATIENCE_S = 3.0
NAME_MAX = 120
TRACES_PATH = "/v1/traces"
EXTRA = "pip install 'onestack[telemetry]'"


class Telemetry:
    """The way to one collector; without an endpoint, nowhere."""

    def __init__(self, endpoint: str) -> None:
        self.dropped = 0
        self._waiting: Queue[trace.Trace | None] = Queue(WAITING_MAX)
        self._thread: Thread | None = None
        if endpoint:
            sender = _sender(_address(endpoint))
            self._thread = Thread(target=self._serve, args=(sender,), name="telemetry", daemon=True)
            self._thread.start()
            trace.exporters.append(self)

    def export(self, finished: trace.Trace) -> None:
        """Take a trace, unless too many wait already: a request never waits for a collector."""
        if finished.origin is not None and not finished.origin.is_sampled:
            return
        try:
            self._waiting.put_nowait(finished)
        except Full:
            self._drop(1)

    def close(self) -> None:
        """Send what waits, for as long as patience lasts, and stop."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        trace.exporters.remove(self)
        try:
            self._waiting.put(None, timeout=CLOSE_PATIENCE_S)
        except Full:
            return
        thread.join(CLOSE_PATIENCE_S)

    def _serve(self, sender: Any) -> None:
        is_open = True
        while is_open:
            batch = self._batch()
            is_open = batch[-1] is not None
            traces = [each for each in batch if each is not None]
            try:
                spans = [span for each in traces for span in _spans(each)]
                if spans and sender.export(spans).name != "SUCCESS":
                    self._drop(len(traces))
            except Exception as error:
                self._drop(len(traces))
                log.exception("traces could not be sent", error)
        sender.shutdown()

    def _batch(self) -> list[trace.Trace | None]:
        """What waits, with what comes soon; None is the end of it."""
        batch = [self._waiting.get()]
        until = clock.monotonic() + GATHER_S
        while batch[-1] is not None and len(batch) < BATCH_MAX:
            try:
                batch.append(self._waiting.get(timeout=max(until - clock.monotonic(), 0.001)))
            except Empty:
                break
        return batch

    def _drop(self, count: int) -> None:
        if not self.dropped:
            log.warning("traces are dropped: the collector does not take them")
        self.dropped += count
        metrics.traces_dropped(count)


def _address(endpoint: str) -> str:
    """A collector's own address means its path for traces."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(f"[cloud] otlp_endpoint is no http address: {endpoint!r}")
    return endpoint if parts.path.endswith(TRACES_PATH) else endpoint.rstrip("/") + TRACES_PATH


def _sender(address: str) -> Any:
    try:
        import opentelemetry.sdk.trace  # noqa: F401 - the other half of what is needed
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        raise ConfigError(f"[cloud] otlp_endpoint is set, which needs: {EXTRA}") from None
    return OTLPSpanExporter(endpoint=address, timeout=SEND_TIMEOUT_S)


def _spans(finished: trace.Trace) -> Iterator[Any]:
    """A trace's spans as the SDK has them."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, TraceFlags

    trace_id = int(finished.trace_id, 16)
    flags = TraceFlags(TraceFlags.SAMPLED)
    scope = InstrumentationScope("onestack", __version__)
    resource = _resource()
    origin = finished.origin
    above: list[Any] = []  # the open spans around the one at hand
    if origin is not None:
        above = [SpanContext(trace_id, int(origin.span_id, 16), is_remote=True, trace_flags=flags)]
    outermost = len(above)
    began_at = finished.began_at - (finished.spans[0].start if finished.spans else 0)
    for span in finished.spans:
        del above[outermost + span.depth :]
        context = SpanContext(trace_id, _new_span_id(), is_remote=False, trace_flags=flags)
        start = began_at + span.start
        yield ReadableSpan(
            name=_name(span),
            context=context,
            parent=above[-1] if above else None,
            resource=resource,
            attributes=_attributes(finished, span),
            kind=_kind(span),
            status=_status(span),
            start_time=int(start * 1e9),
            end_time=int((start + (span.duration_s or 0)) * 1e9),
            instrumentation_scope=scope,
        )
        above.append(context)


def _resource() -> Any:
    from opentelemetry.sdk.resources import Resource

    return Resource.create({"service.name": "onestack", "service.version": __version__})


def _attributes(finished: trace.Trace, span: trace.Span) -> dict[str, Any]:
    found: dict[str, Any] = {
        "onestack.kind": span.kind,
        "onestack.request_id": finished.request_id,
    }
    if span.depth == 0:
        found["onestack.subjects"] = sorted(finished.subjects)
        if finished.dropped:
            found["onestack.dropped_spans"] = finished.dropped
    if span.kind == "sql":
        found["db.query.text"] = span.name
    elif span.kind == "rest":
        found["http.request.method"], _, found["url.path"] = span.name.partition(" ")
    return found


def _name(span: trace.Span) -> str:
    """Short, and the same for what is alike: backends group by it."""
    words: Sequence[str] = span.name.split(None, 1)
    if span.kind in ("sql", "command", "rest") and words:
        return f"{span.kind} {words[0]}"[:NAME_MAX]
    return f"{span.kind} {span.name}"[:NAME_MAX]


def _kind(span: trace.Span) -> Any:
    from opentelemetry.trace import SpanKind

    return {"rest": SpanKind.SERVER, "sql": SpanKind.CLIENT}.get(span.kind, SpanKind.INTERNAL)


def _status(span: trace.Span) -> Any:
    from opentelemetry.trace import Status, StatusCode

    return Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET)


def _new_span_id() -> int:
    return clock.randomness().getrandbits(64) or 1
