"""Heads that came before: they mean the same again, and what is answered is of now."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from onestack.core import heads
from onestack.core.connection import Connection
from onestack.core.server import server
from tests.core.conftest import Logged
from tests.core.toy_service import CALLERS, Toy


class Wire(asyncio.Transport):
    """A client's end of a connection: what is written to it stays here."""

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 1)})
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Client:
    """A connection without a network, so that every piece arrives as it is given."""

    def __init__(self, toy: Toy, address: str) -> None:
        self._loop, self.wire = toy.loop, Wire(address)
        config = server(toy.application, "127.0.0.1", 1)
        config.config.load()
        self._connection = Connection(config.config, config.server_state, {}, toy.loop)
        self._connection.connection_made(self.wire)

    def close(self) -> None:
        self._connection.connection_lost(None)

    def send(self, *pieces: bytes) -> list[tuple[int, Any]]:
        """What comes back when the pieces have arrived, one after the other."""
        before = len(self.wire.written)
        self._loop.run_until_complete(self._arrive(pieces))
        return _answers(self.wire.written[before:])

    async def _arrive(self, pieces: tuple[bytes, ...]) -> None:
        for piece in pieces:
            self._connection.data_received(piece)
            await asyncio.sleep(0)
        while self._connection.state.tasks:
            await asyncio.sleep(0.001)


@pytest.fixture
def client(toy: Toy) -> Iterator[Client]:
    made = Client(toy, "192.0.2.1")
    yield made
    made.close()


def head(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def _answers(text: bytes) -> list[tuple[int, Any]]:
    """The status and the body of each answer."""
    found = []
    while text:
        top, _, rest = text.partition(b"\r\n\r\n")
        lines = dict(line.lower().split(b": ", 1) for line in top.split(b"\r\n")[1:])
        length = int(lines.get(b"content-length", 0))
        found.append((int(top.split()[1]), json.loads(rest[:length] or b"null")))
        text = rest[length:]
    return found


def _known(toy: Toy, text: bytes) -> bool:
    return toy.application.heads.find(text) is not None


def test_what_is_asked_again_is_answered_of_now(toy: Toy, client: Client) -> None:
    ask = head("GET", "/toy/toys", "X-Auth-Token: admin")
    body = b'{"toy": {"name": "ball"}}'
    create = head(
        "POST", "/toy/toys", "X-Auth-Token: admin", "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )  # fmt: skip
    assert client.send(ask) == [(200, {"toys": []})]
    assert _known(toy, ask)
    assert client.send(create + body)[0][0] == 201
    assert [each["name"] for each in client.send(ask)[0][1]["toys"]] == ["ball"]


def test_a_token_that_is_good_no_more_is_refused(
    toy: Toy, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = head("GET", "/toy/whoami", "X-Auth-Token: other")
    assert client.send(ask)[0][0] == 200
    assert _known(toy, ask)
    monkeypatch.delitem(CALLERS, "other")
    assert client.send(ask)[0][0] == 401


def test_each_request_has_its_id_and_its_client(toy: Toy, client: Client, logged: Logged) -> None:
    ask = head("GET", "/toy/toys/a%2520b/parts/x", "Accept: */*")
    neighbour = Client(toy, "192.0.2.2")
    answers = [who.send(ask) for who in (client, client, neighbour)]
    neighbour.close()
    assert answers == [[(200, {"value": ["a%20b", "x"]})]] * 3
    lines = [each for each in logged() if each["message"] == "request"]
    assert [each["client"] for each in lines] == ["192.0.2.1", "192.0.2.1", "192.0.2.2"]
    assert len({each["request_id"] for each in lines}) == 3
    assert {each["path"] for each in lines} == {"/toy/toys/a%20b/parts/x"}


def test_a_known_head_within_a_body_is_a_body(toy: Toy, client: Client) -> None:
    ask = head("GET", "/toy/here")
    assert client.send(ask)[0][0] == 200
    assert _known(toy, ask)
    post = head(
        "POST", "/toy/loose", "Content-Type: application/json", f"Content-Length: {len(ask)}"
    )
    ((status, said),) = client.send(post, ask)
    assert (status, said["error"]["code"]) == (400, 400)


def test_a_known_head_behind_half_a_head_is_part_of_that(toy: Toy, client: Client) -> None:
    ask = head("GET", "/toy/here")
    client.send(ask)
    assert _known(toy, ask)
    half = b"GET /toy/toys/1/parts/x HTTP/1.1\r\nX-Odd: "
    assert client.send(half, ask) == [(200, {"value": ["1", "x"]})]


def test_a_known_head_waits_for_the_answer_before_it(toy: Toy, client: Client) -> None:
    ask = head("GET", "/toy/toys/1/parts/x")
    assert client.send(ask)[0][0] == 200
    assert _known(toy, ask)
    toy.gate.opened.set()
    slow = head("POST", "/toy/slow", "Content-Length: 0")
    first, second = client.send(slow, ask)
    assert first[0] == 200
    assert second == (200, {"value": ["1", "x"]})


def test_an_empty_line_behind_a_waiting_request_is_none(toy: Toy, client: Client) -> None:
    toy.gate.opened.set()
    slow = head("POST", "/toy/slow", "Content-Length: 0")
    assert len(client.send(slow, head("GET", "/toy/here"), b"\r\n")) == 2
    assert client.send(b"\r\n") == []


@pytest.mark.parametrize(
    "text",
    [
        head("GET", "/toy/here", "Connection: close"),
        head("GET", "/toy/here").replace(b"1.1", b"1.0"),
        head("GET", "/toy/here") * 2,
        head("GET", "/toy/here") + b"GET /toy/he",
        head("GET", "/toy/here", "Content-Length: 2") + b"{}",
        head("GET", "/toy/nowhere"),
        head("GET", "/toy/here", "X-Long: " + "x" * heads.BYTES_MAX),
    ],
)
def test_only_one_whole_request_that_others_may_follow_is_kept(
    toy: Toy, client: Client, text: bytes
) -> None:
    assert client.send(text)[0][0] in {200, 404}
    assert not _known(toy, text)


def test_the_oldest_heads_are_forgotten(
    toy: Toy, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "KNOWN_MAX", 3)
    asked = [head("GET", f"/toy/toys/{number}/parts/x") for number in range(5)]
    for ask in asked:
        client.send(ask)
    assert [_known(toy, ask) for ask in asked] == [False, False, True, True, True]


def test_a_server_that_ends_takes_no_known_head(toy: Toy, client: Client) -> None:
    ask = head("GET", "/toy/here")
    client.send(ask)
    cast(Any, client)._connection.shutdown()
    assert client.wire.is_closed
    assert client.send(ask) == []
