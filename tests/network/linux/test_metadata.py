"""Guests who ask for their metadata: known by their address, whatever they say of themselves."""

import hashlib
import hmac
import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from msgspec.structs import replace

from onestack.network.drivers.linux import MetadataOptions
from onestack.network.switch import InterfaceWiring, NetworkWiring, RouterWiring
from tests.network.linux.conftest import MakeHost
from tests.network.linux.world import (
    OPEN,
    Guest,
    Host,
    changed,
    dhcp,
    group,
    lease,
    network,
    new_id,
    port,
    revision,
    subnet,
)

SECRET = "a shared secret"
CONTROL_PORT = 8775
FORGED = {
    "X-Forwarded-For": "10.0.0.6",
    "X-Instance-ID": "another",
    "X-Instance-ID-Signature": "0" * 64,
    "X-Tenant-ID": "another",
    "X_Instance_ID": "another",
    "Forwarded": "for=10.0.0.6",
}


class Control(ThreadingHTTPServer):
    """What the control plane is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", CONTROL_PORT), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Control
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        said = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, said, self.rfile.read(length)))
        body = b"i am " + self.headers["X-Instance-ID"].encode()
        self.send_response(201 if self.command == "POST" else 200)
        self.send_header("content-type", "text/x-test")
        self.send_header("set-cookie", "no")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - as the standard library looks for it

    def log_message(self, *_: object) -> None: ...


class Asker:
    """A network with two guests, on a host where the control plane answers too."""

    def __init__(self, make_host: MakeHost) -> None:
        options = MetadataOptions(f"http://127.0.0.1:{CONTROL_PORT}/metadata", SECRET)
        self.host: Host = make_host(metadata=options)
        self.control = self.host.run(Control)
        self.everything = group(*OPEN)
        self.network = network(subnets=[subnet("10.0.0.0/24")])
        ports = [
            port(self.network, f"10.0.0.{number}", groups=[self.everything.id]) for number in (5, 6)
        ]
        leases = [
            lease(each, device_id=f"device-{each.addresses[0]}", project_id="project-1")
            for each in ports
        ]
        self.network = replace(self.network, dhcp=dhcp("10.0.0.2/24", leases=leases))
        self.host.apply(networks=[self.network], groups=[self.everything])
        self.one, self.other = (self.host.guest(each).addressed(24, "10.0.0.1") for each in ports)

    def by_dhcp(self) -> None:
        """Have the route that the DHCP server would give."""
        self.one.call("ip", "route", "replace", "169.254.169.254/32", "via", "10.0.0.2")


def ask(
    guest: Guest, path: str = "/latest/meta-data", method: str = "GET", body: bytes | None = None,
    address: str = "169.254.169.254", **headers: str,
) -> tuple[int, bytes, dict[str, str]]:  # fmt: skip
    def question() -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(address, timeout=5)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        said = answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
        connection.close()
        return said

    return guest.run(question)


@pytest.fixture
def asker(make_host: MakeHost) -> Iterator[Asker]:
    made = Asker(make_host)
    thread = threading.Thread(target=made.control.serve_forever)
    thread.start()
    yield made
    made.control.shutdown()
    thread.join()
    made.control.server_close()


def test_a_guest_is_known_by_its_address(asker: Asker) -> None:
    asker.by_dhcp()
    status, body, headers = ask(asker.one, "/openstack/latest/meta_data.json?x=1")
    assert (status, body) == (200, b"i am device-10.0.0.5")
    assert headers["content-type"] == "text/x-test"
    assert "set-cookie" not in headers
    method, path, said, _ = asker.control.asked[0]
    assert (method, path) == ("GET", "/metadata/openstack/latest/meta_data.json?x=1")
    assert said["x-forwarded-for"] == "10.0.0.5"
    assert said["x-instance-id"] == "device-10.0.0.5"
    assert said["x-tenant-id"] == "project-1"
    signature = hmac.new(SECRET.encode(), b"device-10.0.0.5", hashlib.sha256).hexdigest()
    assert said["x-instance-id-signature"] == signature


def test_what_a_guest_says_of_itself_is_dropped(asker: Asker) -> None:
    """OSSA-2013-033: nobody gets another's metadata."""
    asker.by_dhcp()
    assert ask(asker.one, **FORGED)[1] == b"i am device-10.0.0.5"
    _, _, said, _ = asker.control.asked[0]
    assert said["x-forwarded-for"] == "10.0.0.5"
    assert said["x-tenant-id"] == "project-1"
    assert "x_instance_id" not in said
    assert "forwarded" not in said


def test_a_password_may_be_left_there(asker: Asker) -> None:
    asker.by_dhcp()
    status, _, _ = ask(asker.one, "/openstack/2013-04-04/password", "POST", b"secret")
    assert status == 201
    assert asker.control.asked[0][0] == "POST"
    assert asker.control.asked[0][3] == b"secret"


def test_who_has_no_lease_is_nobody(asker: Asker) -> None:
    one = changed(asker.network, dhcp=replace(asker.network.dhcp, leases=[]))
    asker.host.apply(networks=[one])
    asker.by_dhcp()
    assert ask(asker.one)[0] == 404
    assert asker.control.asked == []


def test_the_service_that_does_not_answer_is_unavailable(asker: Asker) -> None:
    asker.by_dhcp()
    asker.control.server_close()
    assert ask(asker.one)[0] == 503


@pytest.mark.parametrize("said", [b"no HTTP at all\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a" * 99999])
def test_nonsense_is_not_passed_on(asker: Asker, said: bytes) -> None:
    asker.by_dhcp()

    def talk() -> bytes:
        with socket.create_connection(("169.254.169.254", 80), timeout=5) as made:
            made.sendall(said)
            return made.recv(1000)

    answer = b""
    with suppress(ConnectionError):  # it need not hear all of it
        answer = asker.one.run(talk)
    assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 431", b"")
    assert asker.control.asked == []
    assert ask(asker.one)[0] == 200


def test_it_is_reached_by_the_router_as_well(asker: Asker) -> None:
    asker.host.apply(routers=[_router(asker.network)])
    assert ask(asker.other)[1] == b"i am device-10.0.0.6"


def test_it_is_reached_on_the_link_itself(asker: Asker) -> None:
    assert ask(asker.one, address="[fe80::a9fe:a9fe%eth0]")[1] == b"i am device-10.0.0.5"


def test_it_is_heard_again_after_a_restart(asker: Asker) -> None:
    asker.host.apply(routers=[_router(asker.network)])
    asker.host.restart()
    assert ask(asker.other)[0] == 200
    asker.by_dhcp()
    assert ask(asker.one)[0] == 200


def test_it_moves_with_its_namespace(asker: Asker) -> None:
    asker.by_dhcp()
    without = changed(asker.network, dhcp=None)
    asker.host.apply(networks=[without])
    asker.host.apply(networks=[changed(without, dhcp=asker.network.dhcp)])
    assert ask(asker.one)[0] == 200


def _router(on: NetworkWiring) -> RouterWiring:
    leg = InterfaceWiring(
        port_id=new_id(), network_id=on.id, mac="fa:16:3e:03:00:01", addresses=["10.0.0.1/24"],
        subnets=on.subnets,
    )  # fmt: skip
    return RouterWiring(id=new_id(), revision=revision(), interfaces=[leg])
