"""The log: lines that programs read, without what nobody should."""

import errno
import io
import json
import logging
from typing import Any

import pytest

from onestack.core import log, trace
from tests.core.conftest import Logged
from tests.core.toy_service import Toy


class Full(io.StringIO):
    """A disk without room."""

    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_each_request_is_a_line_of_json(toy: Toy, logged: Logged) -> None:
    answer = toy.ask("GET", "/toys/1", token="member")
    (line,) = logged()
    assert line.keys() == {
        "time", "level", "message", "request_id", "method", "path", "status", "ms", "client",
    }  # fmt: skip
    assert line["request_id"] == answer.headers["x-openstack-request-id"]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/toy/toys/1", 404)
    assert line["client"] == "127.0.0.1"
    assert 0 < line["ms"] < 60_000


def test_queries_headers_and_bodies_stay_out(toy: Toy, logged: Logged) -> None:
    toy.ask("GET", "/query?name=canary-in-query", token="canary-in-token")
    toy.ask("POST", "/loose", {"name": "canary-in-body"}, cookie="canary-in-header")
    toy.ask("POST", "/loose", b'{"name": "canary-in-bad-body')
    toy.ask("GET", "/query?limit=canary-in-bad-query")
    assert len(logged()) == 4
    assert "canary" not in json.dumps(logged())


def test_lines_cannot_be_forged(toy: Toy, logged: Logged) -> None:
    toy.ask("GET", '/toys/a%0a{"level":"error"}/parts/x%0d%0a%1b[31m%e2%80%a8y')
    (line,) = logged()
    assert line["path"].startswith("/toy/toys/a\n{")


def test_long_paths_and_methods_are_cut(toy: Toy, logged: Logged) -> None:
    toy.send("GET" * 1000, "/toy/" + "x" * 8000)
    (line,) = logged()
    assert len(json.dumps(line)) < 1000


def test_lines_of_a_level_below_are_not_written() -> None:
    stream = io.StringIO()
    before = log._threshold, log._stream
    try:
        log.configure("warning", stream)
        log.info("quiet")
        log.warning("loud")
        log.flush()
    finally:
        log._threshold, log._stream = before
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_only_lines_of_requests_wait_for_each_other(toy: Toy) -> None:
    stream = io.StringIO()
    before = log._threshold, log._stream
    try:
        log.configure("info", stream)
        toy.send("GET", "/toy/none")
        assert not stream.getvalue()
        log.info("known")  # who started an agent waits for such a line
        assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == [
            "request", "known",
        ]  # fmt: skip
    finally:
        log._threshold, log._stream = before


def test_values_that_are_no_json_are_written_as_text(logged: Logged) -> None:
    log.info("odd", value={1, 2}, error=ValueError("x"), bytes=b"x")
    (line,) = logged()
    assert line["error"] == "x"


def test_text_that_is_no_unicode_is_written_still(logged: Logged) -> None:
    log.info("odd", value="\ud800", more="plain")
    log.info("next")
    assert logged()[-1]["message"] == "next"


def test_lines_within_a_trace_have_its_id(logged: Logged) -> None:
    with trace.recording("req-1"):
        log.info("inside")
    log.info("outside")
    inside, outside = logged()
    assert inside["request_id"] == "req-1"
    assert "request_id" not in outside


def test_a_log_that_cannot_be_written_stops_no_request(toy: Toy, logged: Logged) -> None:
    for stream in (Full(), _closed()):
        log.configure("info", stream)
        assert toy.ask("GET", "/here").status == 200
        log.flush()
        assert toy.ask("POST", "/broken", token="member").status == 500


def test_an_exception_tells_where_but_no_values(logged: Logged) -> None:
    def fail(password: str) -> None:
        raise RuntimeError("no")

    try:
        fail("canary")
    except RuntimeError as error:
        log.exception("failed", error, more=1)
    (line,) = logged()
    assert (line["error"], line["text"], line["more"]) == ("RuntimeError", "no", 1)
    assert "test_log.py" in line["where"][-1]
    assert "canary" not in json.dumps(line)


@pytest.mark.parametrize(
    ("level", "shown"),
    [("debug", []), ("info", []), ("warning", ["warning"]), ("error", ["error"])],
)
def test_libraries_lines_join_ours(logged: Logged, level: str, shown: list[Any]) -> None:
    getattr(logging.getLogger("library"), level)("from %s", "afar")
    assert [line["level"] for line in logged()] == shown


def _closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream
