"""WebSockets beside HTTP, on the same port."""

from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from onestack.core.server import MESSAGE_BYTES_MAX
from tests.core.test_server import Serving
from tests.core.toy_service import Toy


@pytest.fixture
def serving(toy: Toy) -> Iterator[Serving]:
    found = Serving(toy)
    yield found
    found.close()


def opened(serving: Serving, path: str = "/toy/echo", **options: Any) -> Any:
    return connect(f"ws://127.0.0.1:{serving.port}{path}", **options)


def test_messages_go_both_ways(serving: Serving) -> None:
    with opened(serving, subprotocols=["binary"]) as connection:
        assert connection.subprotocol == "binary"
        for content in (b"one", b"x" * 100_000, b"three"):
            connection.send(content)
            assert connection.recv() == content
        connection.send("text")
        assert connection.recv() == b"text"
        connection.send(b"bye")
        with pytest.raises(ConnectionClosed):
            connection.recv()


def test_requests_are_answered_meanwhile(serving: Serving) -> None:
    with opened(serving) as connection, serving.connected() as client:
        client.get("/toy/here")
        assert client.answer()[0] == 200
        connection.send(b"still there")
        assert connection.recv() == b"still there"


def test_pages_of_other_sites_are_refused(serving: Serving) -> None:
    own = f"http://127.0.0.1:{serving.port}"
    with opened(serving, origin=own) as connection:
        connection.send(b"mine")
        assert connection.recv() == b"mine"
    for origin in ("http://evil.example", "null", f"{own}.evil.example", "http://127.0.0.1:1"):
        with pytest.raises(InvalidStatus) as refused:
            opened(serving, origin=origin)
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize("path", ["/toy/none", "/toy/here", "/", "/elsewhere"])
def test_other_paths_take_no_websocket(serving: Serving, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(serving, path)
    assert (refused.value.response.status_code, refused.value.response.body) == (403, b"")


def test_a_message_has_a_limit(serving: Serving) -> None:
    with opened(serving) as connection:
        connection.send(b"x" * (MESSAGE_BYTES_MAX + 1))
        with pytest.raises(ConnectionClosed):
            connection.recv()
