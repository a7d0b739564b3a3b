"""Traces in a collector: what arrives there, whose they are, and that nobody waits for it."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from onestack.core import metrics, telemetry, trace
from onestack.core.config import ConfigError
from onestack.core.telemetry import Telemetry
from tests.conftest import Clouds
from tests.core.stream_service import wait_for

CALLER_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ASKED_TRACE = "a3ce929d0e0e47364bf92f3577b34da6"
CALLER_SPAN = "00f067aa0ba902b7"
TRACEPARENT = f"00-{CALLER_TRACE}-{CALLER_SPAN}-01"


class Collector:
    """Takes traces over HTTP, and keeps them."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.paths: set[str] = set()
        self.answer = threading.Event()
        self.answer.set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["content-length"]))
                collector.answer.wait(60)
                collector.take(self.path, content)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def take(self, path: str, content: bytes) -> None:
        self.paths.add(path)
        request = ExportTraceServiceRequest.FromString(content)
        for group in request.resource_spans:
            named = {each.key: each.value.string_value for each in group.resource.attributes}
            self.resources.append(named)
            for scope in group.scope_spans:
                self.spans += scope.spans

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]

    def close(self) -> None:
        self.answer.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "GATHER_S", 0.05)


def attributes(span: Any) -> dict[str, str]:
    return {each.key: each.value.string_value for each in span.attributes}


def traced(request_id: str, traceparent: str | None = None) -> None:
    with trace.recording(request_id, trace.origin(traceparent)):
        with trace.span("rest", "GET /v3/users"):
            with trace.span("sql", "SELECT 1"):
                time.sleep(0.02)
            with pytest.raises(KeyError), trace.span("bus", "agent.run"):
                raise KeyError
        trace.about("user-1")


def test_a_trace_arrives_as_a_tree_of_spans(collector: Collector) -> None:
    exports = Telemetry(collector.url)
    before = time.time()
    traced("req-11111111-2222-4333-a444-555555555555")
    exports.close()
    root, sql, bus = collector.spans
    assert collector.paths == {"/v1/traces"}
    assert collector.resources[0]["service.name"] == "onestack"
    assert [root.name, sql.name, bus.name] == ["rest GET", "sql SELECT", "bus agent.run"]
    assert {span.trace_id.hex() for span in collector.spans} == {"1111111122224333a444555555555555"}
    assert root.parent_span_id == b""
    assert sql.parent_span_id == bus.parent_span_id == root.span_id
    assert len({span.span_id for span in collector.spans}) == 3
    assert attributes(root)["url.path"] == "/v3/users"
    assert attributes(root)["onestack.request_id"].startswith("req-1111")
    assert attributes(sql)["db.query.text"] == "SELECT 1"
    assert (sql.status.code, bus.status.code, bus.status.message) == (0, 2, "KeyError")
    assert 0.02 <= (sql.end_time_unix_nano - sql.start_time_unix_nano) / 1e9 < 5
    assert before - 1 < root.start_time_unix_nano / 1e9 < before + 5
    assert root.start_time_unix_nano <= sql.start_time_unix_nano
    assert root.end_time_unix_nano >= bus.end_time_unix_nano
    assert exports.dropped == 0


def test_a_trace_continues_its_callers(collector: Collector) -> None:
    exports = Telemetry(collector.url)
    traced("req-1", TRACEPARENT)
    traced("req-2", f"00-{CALLER_TRACE}-{CALLER_SPAN}-00")  # which its caller does not sample
    exports.close()
    assert len(collector.spans) == 3
    root = collector.spans[0]
    assert root.trace_id.hex() == CALLER_TRACE
    assert root.parent_span_id.hex() == CALLER_SPAN


def test_a_cloud_sends_what_its_requests_do(collector: Collector, another: Clouds) -> None:
    local = another(ONESTACK_CLOUD_OTLP_ENDPOINT=f"{collector.url}/v1/traces")
    answer = local.ask(
        "GET",
        "/identity/v3/users",
        token=local.token(),
        headers={"traceparent": f"00-{ASKED_TRACE}-{CALLER_SPAN}-01"},
    )
    assert answer.status == 200
    request_id = answer.headers["x-openstack-request-id"]
    wait_for(lambda: any(span.trace_id.hex() == ASKED_TRACE for span in collector.spans))
    ours = [span for span in collector.spans if span.trace_id.hex() == ASKED_TRACE]
    assert {attributes(span)["onestack.request_id"] for span in ours} == {request_id}
    assert any(span.name == "sql SELECT" for span in ours)
    for name in (request_id, ASKED_TRACE):
        shown = local.ask("GET", f"/onestack/v1/traces/{name}", token=local.token())
        (view,) = shown.body["traces"]
        assert (view["trace_id"], view["parent_span_id"]) == (ASKED_TRACE, CALLER_SPAN)
        assert view["request_id"] == request_id
    sent = len(trace.exporters)
    local.close()
    assert len(trace.exporters) == sent - 1


def test_nobody_waits_for_a_collector_that_hangs(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "WAITING_MAX", 5)
    monkeypatch.setattr(telemetry, "BATCH_MAX", 1)
    collector.answer.clear()
    exports = Telemetry(collector.url)
    before = _dropped_metric()
    began = time.monotonic()
    for number in range(50):
        with trace.recording(f"req-{number}"), trace.span("rest", "GET /"):
            pass
    assert time.monotonic() - began < 30
    assert 43 <= exports.dropped <= 45
    assert _dropped_metric() - before == exports.dropped
    collector.answer.set()
    exports.close()
    assert len(collector.spans) == 50 - exports.dropped


def test_a_collector_that_is_not_there_costs_only_its_traces(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "SEND_TIMEOUT_S", 0.3)
    url = collector.url
    collector.server.socket.close()
    exports = Telemetry(url)
    traced("req-1")
    wait_for(lambda: exports.dropped == 1)
    exports.close()


def test_without_an_endpoint_nothing_is_loaded() -> None:
    program = (
        "import sys\n"
        "from onestack.core import trace\n"
        "from onestack.core.telemetry import Telemetry\n"
        "Telemetry('').close()\n"
        "assert not trace.exporters\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigError, match=r"pip install 'onestack\[telemetry\]'"):
        Telemetry("http://127.0.0.1:4318")


@pytest.mark.parametrize("endpoint", ["127.0.0.1:4318", "grpc://x", "http://", "file:///etc"])
def test_an_endpoint_is_an_http_address(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="otlp_endpoint"):
        Telemetry(endpoint)


@pytest.mark.parametrize(
    "text",
    [
        None, "", "garbage", TRACEPARENT.upper(), f"{TRACEPARENT}-more", f"ff{TRACEPARENT[2:]}",
        f"00-{'0' * 32}-{CALLER_SPAN}-01", f"00-{CALLER_TRACE}-{'0' * 16}-01",
        f"00-{CALLER_TRACE}-{CALLER_SPAN}-1", f"00-{CALLER_TRACE}-{CALLER_SPAN}",
    ],
)  # fmt: skip
def test_a_bad_traceparent_is_no_traceparent(text: str | None) -> None:
    assert trace.origin(text) is None


def test_a_traceparent_is_read() -> None:
    expected = trace.Origin(CALLER_TRACE, CALLER_SPAN, is_sampled=True)
    assert trace.origin(TRACEPARENT) == expected
    assert trace.origin(f" cc{TRACEPARENT[2:]}-what the future holds ") == expected
    unsampled = trace.origin(f"{TRACEPARENT[:-2]}02")
    assert unsampled is not None
    assert not unsampled.is_sampled


def test_every_trace_has_an_id_that_others_understand() -> None:
    ids = [
        trace.Trace(request_id).trace_id
        for request_id in ("req-11111111-2222-4333-a444-555555555555", "nightly", "")
    ]
    assert len(set(ids)) == 3
    assert all(len(bytes.fromhex(each)) == 16 for each in ids)


def _dropped_metric() -> int:
    lines = metrics.exposition().decode().splitlines()
    (line,) = [line for line in lines if line.startswith("onestack_traces_dropped_total ")]
    return int(line.split()[1])
