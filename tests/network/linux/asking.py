"""Guests that ask for their metadata, and a control plane that keeps what it is asked."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from msgspec.structs import replace

from onestack.network.drivers.linux import MetadataOptions
from tests.network.linux.world import OPEN, Guest, Host, dhcp, group, lease, network, port, subnet

SECRET = "a shared secret"
CONTROL_PORT = 8775


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

    def __init__(self, make_host: Callable[..., Host]) -> None:
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

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Have the control plane answer."""
        thread = threading.Thread(target=self.control.serve_forever)
        thread.start()
        try:
            yield
        finally:
            self.control.shutdown()
            thread.join()
            self.control.server_close()

    def by_dhcp(self) -> None:
        """Have the route that the DHCP server would give."""
        self.one.call("ip", "route", "replace", "169.254.169.254/32", "via", "10.0.0.2")


def ask(
    guest: Guest, path: str = "/latest/meta-data", method: str = "GET", body: bytes | None = None,
    address: str = "169.254.169.254", **headers: str,
) -> tuple[int, bytes, dict[str, str]]:  # fmt: skip
    def question() -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(address, timeout=30)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        said = answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
        connection.close()
        return said

    return guest.run(question)
