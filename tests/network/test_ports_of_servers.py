"""What compute asks of networks: planning, claiming, binding and giving back a server's ports."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy.orm import Session

from onestack import network
from onestack.core.db import Database, counted
from onestack.core.errors import ApiError
from onestack.network import Requested
from tests.cloud import Local
from tests.network import actors
from tests.settle import settle


@pytest.fixture
def owner(local: Local, request: pytest.FixtureRequest) -> actors.Actor:
    return actors.newcomer(local, f"servers-{abs(hash(request.node.name)) % 10**9}")


def connected(owner: actors.Actor) -> Any:
    made = owner.make("network", name="net")
    owner.make("subnet", network_id=made["id"], cidr="10.0.0.0/24", ip_version=4)
    return made


@contextmanager
def session_of(local: Local) -> Iterator[Session]:
    with local.cloud.get(Database).transaction() as session:
        yield session


def host_of(local: Local) -> str:
    settle(local)
    return str(actors.admin(local).get("/agents")["agents"][0]["host"])


def test_a_server_gets_a_port_that_is_wired_and_goes_with_it(
    local: Local, owner: actors.Actor
) -> None:
    made, host, woken = connected(owner), host_of(local), []
    network.on_wired(lambda _session, devices: woken.extend(devices))
    with session_of(local) as session:
        planned = network.plan(session, owner.project)
        assert planned == [Requested(network_id=made["id"])]
        ids = network.claim(session, "s-1", owner.project, planned, hostname="one")
        assert network.claim(session, "s-1", owner.project, planned, hostname="one") == ids
        (nic,) = network.nics(session, ["s-1"])["s-1"]
        assert (nic.is_wired, nic.host, nic.dns_name) == (False, "", "one")
        network.bind(session, ids, host)
    settle(local)
    with session_of(local) as session:
        (nic,) = network.nics(session, ["s-1"])["s-1"]
    assert (nic.is_wired, nic.status, nic.network_name) == (True, "ACTIVE", "net")
    assert nic.security_groups == ["default"]
    assert nic.device == f"tap{nic.id[:11]}"
    assert [each.version for each in nic.addresses] == [4]
    assert "s-1" in woken
    shown = owner.get(f"/ports/{nic.id}")["port"]
    assert (shown["device_id"], shown["device_owner"]) == ("s-1", "compute:nova")
    with session_of(local) as session:
        network.release(session, "s-1")
    owner.get(f"/ports/{nic.id}", status=404)


def test_a_port_that_was_there_before_stays_when_its_server_goes(
    local: Local, owner: actors.Actor
) -> None:
    made = connected(owner)
    port = owner.make("port", network_id=made["id"])
    with session_of(local) as session:
        planned = network.plan(session, owner.project, [Requested(port_id=port["id"])])
        assert network.claim(session, "s-2", owner.project, planned) == [port["id"]]
        network.bind(session, [port["id"]], "somewhere")
    with session_of(local) as session, pytest.raises(ApiError, match="still in use"):
        network.plan(session, owner.project, [Requested(port_id=port["id"])])
    with session_of(local) as session:
        network.release(session, "s-2")
    shown = actors.admin(local).show("port", port)
    assert (shown["device_id"], shown["binding:host_id"]) == ("", "")


def test_a_server_that_moves_is_wired_ahead(local: Local, owner: actors.Actor) -> None:
    made, host = connected(owner), host_of(local)
    with session_of(local) as session:
        planned = network.plan(session, owner.project, [Requested(network_id=made["id"])])
        ids = network.claim(session, "s-3", owner.project, planned)
        network.bind(session, ids, "elsewhere")
        network.bind(session, ids, host, ahead=True)
    settle(local)
    with session_of(local) as session:
        (nic,) = network.nics(session, ["s-3"])["s-3"]
        assert (nic.host, nic.next_host) == ("elsewhere", host)
        assert (nic.is_wired, nic.is_wired_ahead) == (False, True)
        network.bind(session, ids, host)
        (nic,) = network.nics(session, ["s-3"])["s-3"]
        assert (nic.host, nic.is_wired, nic.status) == (host, True, "ACTIVE")
        network.release(session, "s-3")


@pytest.mark.parametrize(
    ("what", "status"),
    [("unknown network", 404), ("foreign network", 404), ("unknown port", 404),
     ("foreign port", 404), ("external network", 403), ("the same port twice", 409),
     ("one of several", 409)],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_made(
    local: Local, owner: actors.Actor, what: str, status: int
) -> None:
    admin = actors.admin(local)
    foreign, mine = connected(admin), connected(owner)
    port = owner.make("port", network_id=mine["id"])
    wanted: dict[str, Any] = {
        "unknown network": [Requested(network_id="none")],
        "foreign network": [Requested(network_id=foreign["id"])],
        "unknown port": [Requested(port_id="none")],
        "foreign port": [
            Requested(port_id=admin.make("port", network_id=foreign["id"])["id"])],
        "external network": [
            Requested(network_id=admin.make("network", **{"router:external": True})["id"])],
        "the same port twice": [Requested(port_id=port["id"])] * 2,
        "one of several": None,
    }  # fmt: skip
    connected(owner)
    with session_of(local) as session, pytest.raises(ApiError) as caught:
        network.plan(session, owner.project, wanted[what])
    assert caught.value.status == status


def test_groups_are_put_on_all_of_a_servers_ports_and_taken_off(
    local: Local, owner: actors.Actor
) -> None:
    made = connected(owner)
    owner.make("security_group", name="web")
    with session_of(local) as session:
        planned = network.plan(session, owner.project, [Requested(network_id=made["id"])] * 2)
        network.claim(session, "s-4", owner.project, planned, groups=["web"])
        names = [each.security_groups for each in network.nics(session, ["s-4"])["s-4"]]
        assert names == [["web"], ["web"]]
        network.guard(session, "s-4", "default", True)
        network.guard(session, "s-4", "web", False)
        names = [each.security_groups for each in network.nics(session, ["s-4"])["s-4"]]
        assert names == [["default"], ["default"]]
        network.release(session, "s-4")


def test_the_ports_of_many_servers_take_few_statements(local: Local, owner: actors.Actor) -> None:
    made = connected(owner)
    names = [f"s-5-{number}" for number in range(30)]
    with session_of(local) as session:
        for name in names:
            network.claim(session, name, owner.project, [Requested(network_id=made["id"])])
        session.flush()
        with counted() as statements:
            found = network.nics(session, names)
        assert all(len(found[name]) == 1 for name in names)
        assert len(statements) <= 6
        for name in names:
            network.release(session, name)
