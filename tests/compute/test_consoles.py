"""Consoles of guests: what they print, their screens, and who may see them."""

import datetime as dt
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import update
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from onestack.compute.consoles import pages
from onestack.compute.consoles.tokens import ConsoleTokenRecord
from onestack.compute.servers.record import ServerRecord
from onestack.core import clock
from onestack.core.db import Database
from tests.cloud import Local
from tests.compute.owners import Owner
from tests.core.test_server import Serving

VNC = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
SERIAL = {"remote_console": {"protocol": "serial", "type": "serial"}}


@pytest.fixture
def owner(local: Local) -> Owner:
    return Owner(local)


@pytest.fixture
def serving(local: Local) -> Iterator[Serving]:
    """The cloud on a port."""
    found = Serving(local)  # type: ignore[arg-type]
    yield found
    found.close()


def url(owner: Owner, server: str, body: Any = VNC) -> str:
    answer = owner.ask("POST", f"/servers/{server}/remote-consoles", body)
    assert answer.status == 200, answer
    return str(answer.body["remote_console"]["url"])


def socket_of(address: str, serving: Serving) -> str:
    """The WebSocket that noVNC opens when its page is at an address."""
    path = parse_qs(urlsplit(address).query)["path"][0]
    return f"ws://127.0.0.1:{serving.port}/{path}"


def refused(address: str, **options: Any) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        connect(address, **options)
    return refusal.value.response.status_code


def test_a_screen_in_a_browser(owner: Owner, serving: Serving) -> None:
    address = socket_of(url(owner, owner.boot()), serving)
    with connect(address, subprotocols=["binary"]) as screen:  # type: ignore[list-item]
        assert screen.recv() == b"RFB 003.008\n"
        screen.send(b"RFB 003.008\n")
        assert screen.recv() == b"\x01\x01"
        screen.send(b"\x01")
        assert screen.recv() == bytes(4)
        screen.send(b"\x01")
        assert screen.recv()[:4] == bytes([1, 64, 0, 200])


def test_a_token_opens_one_console_once(owner: Owner, serving: Serving) -> None:
    address = socket_of(url(owner, owner.boot()), serving)
    with connect(address):
        pass
    assert refused(address) == 403
    assert refused(address.replace("token=", "token=bad")) == 403
    assert refused(address.partition("?")[0]) == 403


def test_a_token_ends_with_its_time(owner: Owner, serving: Serving, local: Local) -> None:
    address = socket_of(url(owner, owner.boot()), serving)
    with local.cloud.get(Database).transaction() as session:
        session.execute(update(ConsoleTokenRecord).values(expires_at=clock.now()))
    assert refused(address) == 403


def test_a_token_ends_with_its_server(owner: Owner, serving: Serving, local: Local) -> None:
    server = owner.boot()
    address = socket_of(url(owner, server), serving)
    with local.cloud.get(Database).transaction() as session:
        session.delete(session.get_one(ServerRecord, server))
    assert refused(address) == 403


def test_a_token_stays_behind_when_its_server_moves(
    owner: Owner, serving: Serving, local: Local
) -> None:
    server = owner.boot()
    address = socket_of(url(owner, server), serving)
    with local.cloud.get(Database).transaction() as session:
        session.get_one(ServerRecord, server).host = "elsewhere"
    assert refused(address) == 403


def test_pages_of_other_sites_open_nothing(owner: Owner, serving: Serving) -> None:
    address = socket_of(url(owner, owner.boot()), serving)
    assert refused(address, origin="http://evil.example") == 403
    with connect(address, origin=f"http://127.0.0.1:{serving.port}") as screen:  # type: ignore[arg-type]
        assert screen.recv() == b"RFB 003.008\n"


def test_a_serial_line(owner: Owner, serving: Serving) -> None:
    address = url(owner, owner.boot(), SERIAL)
    assert address.startswith("ws://127.0.0.1:5000/compute/console/websocket?token=")
    with connect(address.replace(":5000", f":{serving.port}")) as line:
        assert b"login" in line.recv()  # type: ignore[operator]
        line.send(b"root\r")
        assert line.recv() == b"root\r"


def test_what_leads_nowhere_is_refused(owner: Owner, serving: Serving) -> None:
    """A guest that is gone from its host."""
    server = owner.boot()
    address = socket_of(url(owner, server), serving)
    parts = urlsplit(address)
    with socket.create_connection(("127.0.0.1", parts.port or 0)) as plain:
        plain.sendall(f"GET /{parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b" 404 " in plain.recv(100)


def test_the_page_is_there(local: Local, owner: Owner) -> None:
    address = urlsplit(url(owner, owner.boot()))
    answer = local.ask("GET", f"{address.path}?{address.query}")
    assert answer.status == 200
    assert b"<html" in answer.content
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    ["../../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fetc/passwd", "none.js",
     "core", "/evil.example/%2f..", "utils/", "//etc/passwd"],
)  # fmt: skip
def test_nothing_else_is_there(local: Local, path: str) -> None:
    answer = local.ask("GET", f"/compute/console/{path}")
    assert answer.status in (400, 404), answer
    assert "location" not in answer.headers


def test_files_of_the_page_have_their_types(local: Local) -> None:
    files = [each for each in pages.FOLDER.rglob("*") if each.suffix in (".js", ".css", ".png")]
    assert len(files) > 20
    for file in files:
        answer = local.ask("GET", f"/compute/console/{file.relative_to(pages.FOLDER)}")
        assert (answer.status, len(answer.content)) == (200, file.stat().st_size)


def test_administrators_see_where_a_token_leads(owner: Owner, local: Local) -> None:
    server = owner.boot()
    token = url(owner, server).partition("token%3D")[2].partition("&")[0]
    admin = Owner(local, "admin")
    answer = admin.ask("GET", f"/os-console-auth-tokens/{token}")
    assert answer.status == 200
    assert answer.body["console"]["instance_uuid"] == server
    assert answer.body["console"]["port"] > 0
    assert "tls_port" not in answer.body["console"]
    assert owner.ask("GET", f"/os-console-auth-tokens/{token}").status == 403
    assert admin.ask("GET", "/os-console-auth-tokens/none").status == 404


def test_the_older_operations(owner: Owner) -> None:
    server, old = owner.boot(), owner.speaking("2.5")
    answer = old.act(server, "os-getVNCConsole", {"type": "novnc"})
    assert answer.status == 200
    assert answer.body["console"]["type"] == "novnc"
    assert old.act(server, "os-getSerialConsole", {"type": "serial"}).status == 200
    assert owner.act(server, "os-getVNCConsole", {"type": "novnc"}).status == 404
    assert old.ask("POST", f"/servers/{server}/remote-consoles", VNC).status == 404


@pytest.mark.parametrize(
    "body", [("spice", "spice-html5"), ("vnc", "serial"), ("vnc", "xvpvnc"), ("vnc", "none")]
)
def test_consoles_that_there_are_not(owner: Owner, body: tuple[str, str]) -> None:
    given = {"remote_console": {"protocol": body[0], "type": body[1]}}
    assert owner.ask("POST", f"/servers/{owner.boot()}/remote-consoles", given).status == 400


def test_strangers_see_no_console(local: Local, owner: Owner) -> None:
    foreign = Owner(local, "admin").boot()
    assert owner.ask("POST", f"/servers/{foreign}/remote-consoles", VNC).status == 404
    assert owner.act(foreign, "os-getConsoleOutput", {}).status == 404


def test_what_a_guest_printed(owner: Owner) -> None:
    server = owner.boot()
    whole = owner.done(server, "os-getConsoleOutput", {}, 200).body["output"]
    assert server in whole
    for length in (1, "2", None, -1):
        shown = owner.done(server, "os-getConsoleOutput", {"length": length}, 200).body["output"]
        wanted = len(whole.split("\n")) if length in (None, -1) else int(str(length))
        assert shown == "\n".join(whole.split("\n")[-wanted:])
    for length in ("x", -2, 1.5, [1]):
        assert owner.act(server, "os-getConsoleOutput", {"length": length}).status == 400


def test_a_server_without_a_host_has_no_console(owner: Owner) -> None:
    server = owner.boot()
    with owner.local.cloud.get(Database).transaction() as session:
        session.get_one(ServerRecord, server).host = None
    answer = owner.act(server, "os-getConsoleOutput", {})
    assert answer.status == 409
    assert answer.body["conflictingRequest"]["message"] == f"Instance {server} is not ready"
    assert owner.ask("POST", f"/servers/{server}/remote-consoles", VNC).status == 409


def test_tokens_are_forgotten(owner: Owner, local: Local) -> None:
    from onestack.compute.consoles.tokens import forget_console_tokens
    from onestack.core.flow import Flow

    url(owner, owner.boot())
    with local.cloud.get(Database).transaction() as session:
        session.execute(
            update(ConsoleTokenRecord).values(expires_at=clock.now() - dt.timedelta(seconds=1))
        )
    with local.cloud.get(Database).transaction() as session:
        flow: Flow[None] = forget_console_tokens()
        flow.session = session
        flow.run()  # type: ignore[attr-defined]
        assert session.query(ConsoleTokenRecord).count() == 0
