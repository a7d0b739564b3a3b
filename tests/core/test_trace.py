"""Traces: what a request did, found by its id or by what it was about."""

import threading

import pytest

from onestack.core import clock, trace
from tests.core.toy_service import Toy


class Exported:
    def __init__(self) -> None:
        self.traces: list[trace.Trace] = []

    def export(self, trace: trace.Trace) -> None:
        self.traces.append(trace)


def test_a_request_is_found_by_its_id(toy: Toy) -> None:
    answer = toy.ask("GET", "/toys", token="member")
    (found,) = trace.find(answer.headers["x-openstack-request-id"])
    assert [(span.kind, span.depth) for span in found.spans] == [("rest", 0), ("sql", 1)]
    assert found.spans[0].name == "GET /toy/toys"
    assert found.spans[1].name.startswith("SELECT")
    assert all(span.duration_s is not None for span in found.spans)


def test_requests_are_found_by_the_resource_that_they_are_about(toy: Toy) -> None:
    made = toy.ask("POST", "/toys", {"toy": {"name": "bear"}}, "member")
    shown = toy.ask("GET", f"/toys/{made.body['toy']['id']}", token="member")
    found = trace.find(made.body["toy"]["id"])
    ids = [answer.headers["x-openstack-request-id"] for answer in (made, shown)]
    assert [each.request_id for each in found] == ids


def test_values_stay_out_of_traces(toy: Toy) -> None:
    answer = toy.ask("POST", "/toys", {"toy": {"name": "canary-name"}}, "member")
    toy.ask("POST", "/toys", {"toy": {"name": "canary-name"}}, "member")
    toy.ask("GET", "/query?name=canary-query")
    (found,) = trace.find(answer.headers["x-openstack-request-id"])
    assert len(found.spans) > 1
    assert "canary" not in " ".join(span.name for span in found.spans)


def test_errors_show(toy: Toy) -> None:
    answer = toy.ask("POST", "/broken", token="member")
    (found,) = trace.find(answer.headers["x-openstack-request-id"])
    assert found.spans[0].error == "500"
    assert any("INSERT" in span.name for span in found.spans)


def test_administrators_read_traces(toy: Toy) -> None:
    made = toy.ask("GET", "/toys", token="member").headers["x-openstack-request-id"]
    path = f"/onestack/v1/traces/{made}"
    assert toy.send("GET", path).status == 401
    assert toy.send("GET", path, headers=[(b"x-auth-token", b"member")]).status == 403
    answer = toy.send("GET", path, headers=[(b"x-auth-token", b"admin")])
    (found,) = answer.body["traces"]
    assert found["request_id"] == made
    assert [span["kind"] for span in found["spans"]] == ["rest", "sql"]
    assert found["spans"][0]["start_s"] == 0
    none = toy.send(
        "GET", "/onestack/v1/traces/never-heard-of", headers=[(b"x-auth-token", b"admin")]
    )
    assert none.status == 404


def test_spans_nest_and_end_also_when_what_they_hold_fails() -> None:
    name = clock.new_id()

    def fail() -> None:
        with trace.span("a", "outer"), trace.span("b", "inner"):
            raise LookupError

    with trace.recording(name):
        with pytest.raises(LookupError):
            fail()
        with trace.span("c", "after"):
            pass
    (found,) = trace.find(name)
    assert [(span.name, span.depth, span.error) for span in found.spans] == [
        ("outer", 0, "LookupError"), ("inner", 1, "LookupError"), ("after", 0, None),
    ]  # fmt: skip


def test_nothing_is_recorded_outside_of_a_trace() -> None:
    name = clock.new_id()
    trace.about(name)
    with trace.span("a", "b"):
        assert trace.current_id() is None
    assert trace.find(name) == []


def test_a_long_trace_is_cut_and_says_so() -> None:
    name = clock.new_id()
    with trace.recording(name):
        for _ in range(trace.SPANS_MAX + 20):
            with trace.span("a", "b"):
                pass
        for number in range(1000):
            trace.about(f"{name}-{number}")
    (found,) = trace.find(name)
    assert (len(found.spans), found.dropped) == (trace.SPANS_MAX, 20)
    assert len(found.subjects) == trace.SUBJECTS_MAX


def test_only_the_newest_are_kept_however_they_are_named() -> None:
    name = clock.new_id()
    for number in range(trace.TRACES_MAX + 50):
        with trace.recording(f"{name}-{number}"):
            trace.about(name)
            trace.about(f"{name}-{number}-subject")
    assert trace.find(f"{name}-0") == []
    assert trace.find(f"{name}-0-subject") == []
    kept = trace.find(name)
    assert len(kept) == trace.TRACES_MAX
    assert kept[-1].request_id == f"{name}-{trace.TRACES_MAX + 49}"
    assert len(trace._ring) == trace.TRACES_MAX
    assert len(trace._by_name) == 2 * trace.TRACES_MAX + 1


def test_threads_share_the_ring() -> None:
    name = clock.new_id()

    def record(thread: int) -> None:
        for number in range(2000):
            with trace.recording(f"{name}-{thread}-{number}"):
                trace.about(name)

    threads = [threading.Thread(target=record, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(trace.find(name)) == trace.TRACES_MAX == len(trace._ring)


def test_finished_traces_are_exported() -> None:
    exporter = Exported()
    trace.exporters.append(exporter)
    try:
        with trace.recording("req-exported"):
            assert exporter.traces == []
    finally:
        trace.exporters.remove(exporter)
    assert [each.request_id for each in exporter.traces] == ["req-exported"]
