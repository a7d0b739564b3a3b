"""Guests who ask for their metadata: known by their address, and answered by the control plane."""

import hashlib
import hmac
import socket
from contextlib import suppress

import pytest
from msgspec.structs import replace

from onestack.network.switch import InterfaceWiring, NetworkWiring, RouterWiring
from tests.network.linux.asking import SECRET, Asker, ask
from tests.network.linux.world import changed, new_id, revision


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
        with socket.create_connection(("169.254.169.254", 80), timeout=30) as made:
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
