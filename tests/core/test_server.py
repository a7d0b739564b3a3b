"""The HTTP server over real sockets: many requests on a connection, and clients that misbehave."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from onestack.core import connection as core_connection
from onestack.core import http
from onestack.core.server import server
from tests.core.toy_service import Toy
from tests.servers.waiting import soon

Answer = tuple[int, dict[str, str], bytes]


class Serving:
    """A toy cloud on a port."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]
        self.server: uvicorn.Server = server(toy.application, "127.0.0.1", self.port)
        factory = self.server.config.get_loop_factory()
        serving = self.server.serve([self.listening])
        self.thread = threading.Thread(
            target=lambda: asyncio.Runner(loop_factory=factory).run(serving)
        )
        self.thread.start()
        soon(lambda: self.server.started)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        assert not self.thread.is_alive()

    @contextmanager
    def connected(self) -> Iterator["Client"]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            client = Client(connection)
            with client.reading:
                yield client


class Client:
    """One connection, read answer by answer."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.reading = connection.makefile("rb")

    def send(self, content: bytes) -> None:
        self.connection.sendall(content)

    def get(self, path: str, *lines: str) -> None:
        self.send("\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode())

    def post(self, path: str, body: bytes) -> None:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        self.send(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)

    def answer(self, has_body: bool = True) -> Answer:
        status = int(self.reading.readline().split()[1])
        headers = {}
        while (line := self.reading.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        return status, headers, self.reading.read(length) if has_body else b""

    def is_closed(self) -> bool:
        try:
            return self.reading.read(1) == b""
        except ConnectionError:
            return True


@pytest.fixture
def serving(toy: Toy) -> Iterator[Serving]:
    made = Serving(toy)
    yield made
    made.close()


def value(answer: Answer) -> object:
    return json.loads(answer[2])["value"]


def test_a_client_that_asks_every_five_seconds_keeps_its_connection(serving: Serving) -> None:
    """As all do that wait for something; it was closed at the very moment of the next request."""
    with serving.connected() as client:
        for pause_s in (5.3, 0.0):
            client.get("/toy/none")
            assert client.answer()[0] == 404
            time.sleep(pause_s)


def test_one_connection_takes_many_requests(serving: Serving) -> None:
    with serving.connected() as client:
        for number in range(50):
            client.get(f"/toy/toys/{number}/parts/x")
            assert value(client.answer()) == [str(number), "x"]


def test_pipelined_requests_are_answered_in_order(serving: Serving) -> None:
    with serving.connected() as client:
        heads = [f"GET /toy/toys/{n}/parts/x HTTP/1.1\r\nHost: x\r\n\r\n" for n in range(40)]
        client.send("".join(heads).encode())
        assert [value(client.answer()) for _ in heads] == [[str(n), "x"] for n in range(40)]


def test_pipelined_requests_with_bodies_and_threads_keep_their_order(serving: Serving) -> None:
    serving.toy.gate.opened.set()
    with serving.connected() as client:
        for number in range(5):
            client.post("/toy/slow", b"")
            client.post("/toy/loose", b'{"name": "%d"}' % number)
            client.get("/toy/nowhere")
        for number in range(5):
            assert client.answer()[0] == 200
            assert json.loads(client.answer()[2])["name"] == str(number)
            assert client.answer()[0] == 404


def test_head_has_no_body_on_the_wire(serving: Serving) -> None:
    with serving.connected() as client:
        client.send(b"HEAD /toy/here HTTP/1.1\r\nHost: x\r\n\r\n")
        client.get("/toy/here")
        status, headers, _ = client.answer(has_body=False)
        again = client.answer()
        assert (status, headers["content-length"]) == (200, str(len(again[2])))


def test_a_client_that_wants_to_close_is_let_go(serving: Serving) -> None:
    with serving.connected() as client:
        client.get("/toy/here", "Connection: close")
        assert client.answer()[0] == 200
        assert client.is_closed()


def test_answers_say_nothing_of_the_software(serving: Serving) -> None:
    with serving.connected() as client:
        client.get("/toy/here")
        assert "server" not in client.answer()[1]


@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_a_large_answer_arrives_whole(serving: Serving, size: int) -> None:
    with serving.connected() as client:
        body = json.dumps({"name": "x" * size}).encode()
        client.post("/toy/loose", body)
        assert json.loads(client.answer()[2]) == json.loads(body)


def test_a_body_in_chunks_arrives_whole(serving: Serving) -> None:
    with serving.connected() as client:
        client.send(b"POST /toy/loose HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b'{"na', b'me": ', b'"bear"}'):
            client.send(b"%x\r\n%s\r\n" % (len(part), part))
            time.sleep(0.02)
        client.send(b"0\r\n\r\n")
        assert json.loads(client.answer()[2]) == {"name": "bear"}


def test_a_body_in_chunks_has_the_same_limit(serving: Serving) -> None:
    with serving.connected() as client:
        client.send(b"POST /toy/loose HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(20):
            client.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        assert client.answer()[0] == 413


def test_a_head_that_is_too_large_is_refused_before_it_ends(serving: Serving) -> None:
    with serving.connected() as client:
        client.send(b"GET /toy/here HTTP/1.1\r\nHost: x\r\n")
        _flood(client, b"X-Header: " + b"x" * 4000 + b"\r\n", 200)
        assert client.answer()[0] == 431
        assert client.is_closed()


def test_one_endless_header_is_refused(serving: Serving) -> None:
    with serving.connected() as client:
        client.send(b"GET /toy/here HTTP/1.1\r\nHost: x\r\nX-Header: ")
        _flood(client, b"x" * 4000, 200)
        assert client.answer()[0] in (400, 431)
        assert client.is_closed()


def test_an_endless_url_is_refused(serving: Serving) -> None:
    with serving.connected() as client:
        client.send(b"GET /toy/")
        _flood(client, b"x" * 4000, 200)
        assert client.answer()[0] in (400, 414, 431)
        assert client.is_closed()


@pytest.mark.parametrize(
    "line",
    ["\x16\x03\x01\x02\x00", "GET /toy/here HTTP/1.1\r\nHost: x\r\n: y",
     "GET /toy/here HTTP/1.1\r\nHost: x\r\nContent-Length: x",
     "POST /toy/loose HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2",
     "POST /toy/loose HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked"],
)  # fmt: skip
def test_what_is_no_http_is_refused_and_the_connection_closed(serving: Serving, line: str) -> None:
    with serving.connected() as client:
        client.send(line.encode("latin-1") + b"\r\n\r\nx\r\n\r\n")
        assert client.answer()[0] == 400
        assert client.is_closed()


@pytest.mark.parametrize("text", ["a%0d%0ax-evil:%20yes", "a%0ab", "a%0db"])
def test_no_header_of_an_answer_has_a_second_line(serving: Serving, text: str) -> None:
    with serving.connected() as client:
        client.get("/toy/label?name=fine")
        assert client.answer()[1]["x-label"] == "fine"
        client.get(f"/toy/label?name={text}")
        status, headers, content = client.answer()
        assert (status, content, headers.keys() & {"x-label", "x-evil"}) == (500, b"", set())
        assert client.is_closed()


def test_what_comes_behind_a_body_in_chunks_means_nothing(serving: Serving) -> None:
    with serving.connected() as client:
        for _ in range(2):
            client.send(
                b"POST /toy/loose HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                b'10\r\n{"name": "bear"}\r\n0\r\nX-Auth-Token: admin\r\n\r\n'
            )
            assert json.loads(client.answer()[2]) == {"name": "bear"}
        client.get("/toy/whoami")
        assert client.answer()[0] == 401


def test_a_client_whose_body_is_not_asked_for_is_let_go(serving: Serving) -> None:
    with serving.connected() as client:
        client.send(
            b"POST /toy/none HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        status, headers, _ = client.answer()
        assert (status, headers["connection"]) == (404, "close")
        assert client.is_closed()


def test_old_clients_are_answered_and_let_go(serving: Serving) -> None:
    with serving.connected() as client:
        client.send(b"GET /toy/here HTTP/1.0\r\n\r\n")
        assert client.answer()[0] == 200
        assert client.is_closed()


def test_an_offer_of_another_protocol_is_left_alone(serving: Serving) -> None:
    with serving.connected() as client:
        client.get("/toy/here", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c")
        status, headers, _ = client.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert client.is_closed()


def test_a_flood_of_pipelined_requests_lets_others_through(serving: Serving) -> None:
    with serving.connected() as greedy, serving.connected() as client:
        greedy.send(b"GET /toy/here HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
        client.get("/toy/query?name=x")
        assert client.answer()[0] == 200
        for _ in range(2000):
            assert greedy.answer()[0] == 200


def test_slow_heads_block_nobody(serving: Serving) -> None:
    with serving.connected() as slow, serving.connected() as quick:
        for byte in b"GET /toy/here HTTP/1.1\r\nHost: x\r\n":
            slow.send(bytes([byte]))
            began = time.perf_counter()
            quick.get("/toy/here")
            assert quick.answer()[0] == 200
            assert time.perf_counter() - began < 1
        slow.send(b"\r\n")
        assert slow.answer()[0] == 200


def test_heads_that_never_end_are_given_up(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_connection, "HEAD_S", 1.0)
    with serving.connected() as silent, serving.connected() as slow:
        slow.send(b"GET /toy/here HTTP/1.1\r\n")
        assert silent.is_closed()
        assert slow.is_closed()
    with serving.connected() as client:
        client.get("/toy/here")
        assert client.answer()[0] == 200
        client.send(b"GET /toy/here HTTP/1.1\r\n")
        assert client.is_closed()


def test_requests_that_take_long_are_not_given_up(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_connection, "HEAD_S", 1.0)
    with serving.connected() as client:
        client.post("/toy/slow", b"")
        assert serving.toy.gate.entered.acquire(timeout=60)
        time.sleep(1.5)
        serving.toy.gate.opened.set()
        assert client.answer()[0] == 200


def test_bodies_that_never_end_are_given_up(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "BODY_S", 1.0)
    with serving.connected() as client:
        client.send(b"POST /toy/loose HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert client.answer()[0] == 408


def test_a_client_that_goes_away_in_its_body_leaves_nothing(serving: Serving) -> None:
    for _ in range(20):
        with serving.connected() as client:
            client.send(b"POST /toy/loose HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    with serving.connected() as client:
        client.get("/toy/here")
        assert client.answer()[0] == 200
    assert soon(lambda: len(serving.server.server_state.connections) == 0)
    assert soon(lambda: len(serving.server.server_state.tasks) == 0)


def test_a_client_that_goes_away_before_its_answer_leaves_nothing(serving: Serving) -> None:
    for _ in range(5):
        with serving.connected() as client:
            client.post("/toy/slow", b"")
            assert serving.toy.gate.entered.acquire(timeout=60)
    serving.toy.gate.opened.set()
    assert soon(lambda: len(serving.server.server_state.tasks) == 0)
    assert soon(lambda: len(serving.server.server_state.connections) == 0)


def test_a_client_that_does_not_read_holds_up_nobody(serving: Serving) -> None:
    body = json.dumps({"name": "x" * 900_000}).encode()
    with serving.connected() as greedy, serving.connected() as client:
        greedy.connection.settimeout(1)
        assert not _all_taken(greedy, body, 100)
        client.get("/toy/here")
        assert client.answer()[0] == 200


def _all_taken(client: Client, body: bytes, times: int) -> bool:
    """Whether the server takes so many requests from a client that reads no answer."""
    try:
        for _ in range(times):
            client.post("/toy/loose", body)
    except TimeoutError:
        return False
    return True


def _flood(client: Client, content: bytes, times: int) -> None:
    """Send until the server has had enough."""
    try:
        for _ in range(times):
            client.send(content)
    except ConnectionError:
        pass
