"""Bodies that are streamed: whole and in order, bounded, in constant memory, and cut cleanly."""

import hashlib
import http.client
import json
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from onestack.core import streams
from tests.core.stream_service import SMALL_BYTES_MAX, Served, wait_for

MIB = 1 << 20
LARGE_BYTES = 96 * MIB
GROWTH_BYTES_MAX = 24 * MIB


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path, body_bytes=1000, stream_threads=4)
    yield running
    running.store.opened.set()
    running.close()


@pytest.fixture
def blob(served: Served) -> bytes:
    content = random.Random(1).randbytes(3 * MIB + 17)
    served.store.path.write_bytes(content)
    return content


def in_pieces(content: bytes, size: int = 100_001) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def memory_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise AssertionError


class Peak:
    """How far the process grew while something was done."""

    def __enter__(self) -> "Peak":
        self.before = self.highest = memory_bytes()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self) -> None:
        while not self.done.wait(0.01):
            self.highest = max(self.highest, memory_bytes())

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    @property
    def growth(self) -> int:
        return self.highest - self.before


def raw(served: Served, head: str) -> socket.socket:
    """A connection on which a request's head was sent."""
    connection = socket.create_connection(("127.0.0.1", served.port), timeout=20)
    connection.sendall(f"{head}\r\nhost: x\r\n\r\n".encode())
    return connection


def sent_until_stalled(connection: socket.socket) -> int:
    sent = 0
    try:
        while sent < LARGE_BYTES:
            sent += connection.send(bytes(1 << 16))
    except TimeoutError:
        pass
    return sent


def everything(connection: socket.socket) -> bytes:
    found = b""
    while piece := connection.recv(1 << 16):
        found += piece
    return found


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_comes_whole_and_beyond_the_limit_of_others(
    served: Served, blob: bytes, is_chunked: bool
) -> None:
    body = in_pieces(blob) if is_chunked else blob
    status, _, content = served.ask("PUT", "/blobs", body)
    assert status == 200
    digest = hashlib.blake2b(blob).hexdigest()
    assert json.loads(content) == {"size": len(blob), "digest": digest}


def test_an_empty_body_is_an_empty_stream(served: Served) -> None:
    assert json.loads(served.ask("PUT", "/blobs")[2])["size"] == 0
    assert json.loads(served.ask("PUT", "/blobs", b"")[2])["size"] == 0


def test_reads_are_as_long_as_asked_for(served: Served, blob: bytes) -> None:
    content = served.ask("POST", "/read", blob)[2]
    assert json.loads(content) == [0, 10, 100_000, len(blob) - 100_010, 0, 0]


def test_one_connection_carries_one_stream_after_another(served: Served, blob: bytes) -> None:
    connection = served.connect()
    for _ in range(3):
        connection.request("PUT", "/s/blobs", body=blob)
        assert json.loads(connection.getresponse().read())["size"] == len(blob)
        connection.request("GET", "/s/file")
        assert connection.getresponse().read() == blob
    connection.close()


def test_memory_stays_constant_up_and_down(served: Served) -> None:
    piece = bytes(MIB)
    with served.store.path.open("wb") as file:
        file.truncate(LARGE_BYTES)
    served.ask("PUT", "/null", piece)
    served.ask("GET", "/words")
    with Peak() as upward:
        status, _, content = served.ask("PUT", "/null", (piece for _ in range(LARGE_BYTES // MIB)))
    assert (status, json.loads(content)["size"]) == (200, LARGE_BYTES)
    connection = served.connect()
    with Peak() as downward:
        connection.request("GET", "/s/file")
        response = connection.getresponse()
        size = 0
        while got := response.read(MIB):
            size += len(got)
    assert size == LARGE_BYTES
    assert max(upward.growth, downward.growth) < GROWTH_BYTES_MAX


def test_a_slow_reader_stops_the_sender(served: Served) -> None:
    connection = raw(served, f"PUT /s/slow HTTP/1.1\r\ncontent-length: {LARGE_BYTES}")
    assert served.store.entered.acquire(timeout=60)
    connection.settimeout(0.5)
    with Peak() as peak:
        sent = sent_until_stalled(connection)
    assert sent < LARGE_BYTES // 2
    assert peak.growth < GROWTH_BYTES_MAX
    served.store.opened.set()
    connection.settimeout(20)
    connection.sendall(bytes(LARGE_BYTES - sent))
    assert f'"size":{LARGE_BYTES}'.encode() in connection.recv(1 << 16)
    connection.close()


def test_a_body_over_the_operations_limit_is_refused(served: Served) -> None:
    assert served.ask("PUT", "/small", bytes(SMALL_BYTES_MAX))[0] == 200
    for body in (bytes(SMALL_BYTES_MAX + 1), in_pieces(bytes(SMALL_BYTES_MAX + 1))):
        status, _, content = served.ask("PUT", "/small", body)
        assert status == 413
        assert str(SMALL_BYTES_MAX) in json.loads(content)["error"]["message"]


@pytest.mark.parametrize(("path", "expected"), [("/refused", 409), ("/forbidden", 401)])
def test_who_is_refused_with_a_large_body_gets_to_read_why(
    served: Served, path: str, expected: int
) -> None:
    status, headers, content = served.ask("PUT", path, bytes(32 * MIB))
    assert status == expected
    assert headers["connection"] == "close"
    assert json.loads(content)["error"]["code"] == expected


def test_a_small_unread_body_keeps_the_connection(served: Served) -> None:
    connection = served.connect()
    for _ in range(2):
        connection.request("PUT", "/s/refused", body=b"small")
        response = connection.getresponse()
        assert (response.status, response.getheader("connection")) == (409, None)
        response.read()
    connection.close()


def test_consent_is_given_when_the_body_is_read_and_never_to_the_refused(served: Served) -> None:
    head = "HTTP/1.1\r\ncontent-length: 5\r\nexpect: 100-continue"
    with raw(served, f"PUT /s/blobs {head}") as connection:
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 100 Continue\r\n")
        connection.sendall(b"hello")
        assert b'"size":5' in connection.recv(1 << 16)
    with raw(served, f"PUT /s/refused {head}") as connection:
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 409 ")


def test_a_client_that_goes_away_is_an_error_of_its_own(served: Served) -> None:
    connection = raw(served, "PUT /s/blobs HTTP/1.1\r\ncontent-length: 1000000")
    connection.sendall(b"the beginning")
    connection.close()
    wait_for(lambda: served.store.errors)
    assert served.store.errors == ["ClientGone"]


def test_a_client_that_stalls_is_told_so(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STALL_S", 0.2)
    monkeypatch.setattr(streams, "LINGER_S", 0.2)
    with raw(served, "PUT /s/blobs HTTP/1.1\r\ncontent-length: 1000000") as connection:
        connection.sendall(b"the beginning")
        assert everything(connection).startswith(b"HTTP/1.1 408 ")


def test_a_body_is_not_read_while_the_database_is_held(served: Served) -> None:
    assert served.ask("PUT", "/holding", b"body")[0] == 500
    assert served.ask("PUT", "/blobs", b"body")[0] == 200


def test_uploads_wait_their_turn_for_a_thread(served: Served, blob: bytes) -> None:
    answers: list[int] = []

    def upload() -> None:
        answers.append(served.ask("PUT", "/slow", blob)[0])

    threads = [threading.Thread(target=upload) for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        assert served.store.entered.acquire(timeout=60)
    assert not served.store.entered.acquire(timeout=0.3)
    assert served.ask("GET", "/tagged")[0] == 200  # what does not stream goes on
    served.store.opened.set()
    for thread in threads:
        thread.join(10)
    assert answers == [200] * 6


def test_a_file_comes_whole_with_its_head(served: Served, blob: bytes) -> None:
    status, headers, content = served.ask("GET", "/file")
    assert (status, content) == (200, blob)
    assert headers["content-length"] == str(len(blob))
    assert headers["content-type"] == "application/octet-stream"
    assert headers["etag"] == '"v1"'
    status, headers, content = served.ask("HEAD", "/file")
    assert (status, headers["content-length"], content) == (200, str(len(blob)), b"")


def test_a_part_of_a_file_comes_alone(served: Served, blob: bytes) -> None:
    size = len(blob)
    for asked, start, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=5-1000000", 5, 1_000_001),
        ("bytes=2000000-", 2_000_000, size),
        ("bytes=-7", size - 7, size),
        (f"bytes=9-{size * 2}", 9, size),
    ):
        status, headers, content = served.ask("GET", "/file", range=asked)
        assert (status, content) == (206, blob[start:end]), asked
        assert headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        assert headers["content-length"] == str(end - start)


def test_a_part_that_is_not_there_is_refused(served: Served, blob: bytes) -> None:
    status, headers, _ = served.ask("GET", "/file", range=f"bytes={len(blob)}-")
    assert (status, headers["content-range"]) == (416, f"bytes */{len(blob)}")


def test_a_known_version_is_not_sent_again(served: Served, blob: bytes) -> None:
    for method in ("GET", "HEAD"):
        status, headers, content = served.ask(method, "/file", if_none_match='"v0", W/"v1"')
        assert (status, headers["etag"], content) == (304, '"v1"', b"")
        assert "content-length" not in headers
    status, _, content = served.ask("GET", "/file", range="bytes=0-3", if_range='"v0"')
    assert (status, content) == (200, blob)


def test_a_stream_of_unknown_length_comes_in_chunks(served: Served) -> None:
    status, headers, content = served.ask("GET", "/words")
    assert (status, content) == (200, b"one two three")
    assert headers["transfer-encoding"] == "chunked"


def test_a_slow_source_is_sent_as_it_comes(served: Served) -> None:
    connection = served.connect()
    connection.request("GET", "/s/ticks")
    response = connection.getresponse()
    assert response.read(8) == b"ticktock"
    served.store.opened.set()
    assert response.read() == b"end"
    connection.close()


def test_a_client_that_leaves_stops_and_closes_the_source(served: Served) -> None:
    with raw(served, "GET /s/endless HTTP/1.1") as connection:
        connection.recv(1 << 20)
    assert served.store.closed.wait(60)
    produced = served.store.produced
    assert served.ask("GET", "/words")[0] == 200
    assert served.store.produced == produced


def test_a_client_that_takes_nothing_is_cut_off(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "STALL_S", 0.3)
    with raw(served, "GET /s/endless HTTP/1.1") as connection, Peak() as peak:
        assert served.store.closed.wait(60)
        wait_for(lambda: not served.server.server_state.connections)
        assert not everything(connection).endswith(b"0\r\n\r\n")
    assert peak.growth < GROWTH_BYTES_MAX


def test_many_slow_clients_need_no_threads(served: Served) -> None:
    waiting = [raw(served, "GET /s/endless HTTP/1.1") for _ in range(12)]
    for connection in waiting:
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")
    assert served.ask("GET", "/words")[2] == b"one two three"
    for connection in waiting:
        connection.close()


def test_a_source_that_fails_at_once_is_an_error(served: Served) -> None:
    status, _, content = served.ask("GET", "/failing/0")
    assert status == 500
    assert b"disk" not in content
    assert served.store.closed.is_set()


@pytest.mark.parametrize("path", ["/failing/2", "/short"])
def test_a_source_that_fails_on_the_way_never_looks_complete(served: Served, path: str) -> None:
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        served.ask("GET", path)
    assert served.ask("GET", "/words")[0] == 200


def test_the_server_stops_although_clients_stream(tmp_path: Path) -> None:
    running = Served(tmp_path)
    running.server.config.timeout_graceful_shutdown = 1
    connections = [
        raw(running, "PUT /s/blobs HTTP/1.1\r\ncontent-length: 1000000"),
        raw(running, "GET /s/endless HTTP/1.1"),
    ]
    connections[1].recv(100)
    running.close()
    assert running.store.closed.is_set()
    assert running.store.errors == ["ClientGone"]
    for connection in connections:
        connection.close()
