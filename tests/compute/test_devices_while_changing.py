"""Volumes and ports that come and go while something else is done to their server."""

import time

import pytest

from onestack.compute.hypervisor import Guest
from onestack.core.engine import Engine
from tests.cloud import Local
from tests.compute.test_drift import World
from tests.conftest import Clouds
from tests.settle import settle

WAIT_S = 1.1  # longer than a flow waits before it looks again


@pytest.fixture
def local(another: Clouds) -> Local:
    """A cloud in which no other test left guests."""
    return another()


def at_rest(world: World) -> str:
    """The server's status when everything is over, and rows and hosts agree."""
    settle(world.local)
    time.sleep(WAIT_S)
    settle(world.local)
    assert world.found() == []
    shown = world.owner.show(world.server)
    assert shown["OS-EXT-STS:task_state"] is None
    return str(shown["status"])


def stopped(local: Local) -> World:
    world = World(local)
    world.owner.act(world.server, "os-stop")
    settle(local)
    return world


def guest(world: World) -> Guest:
    found: list[Guest] = world.driver("hypervisor").guests()
    return next(each for each in found if each.id == world.id)


def test_a_server_is_started_while_it_gets_a_volume(local: Local) -> None:
    world = stopped(local)
    volume = world.owner.volume()
    path = f"/servers/{world.id}/os-volume_attachments"
    world.owner.member.post(path, {"volumeAttachment": {"volumeId": volume}}, 200)
    world.owner.act(world.server, "os-start")
    assert at_rest(world) == "ACTIVE"
    assert world.owner.state(volume) == "in-use"
    assert volume in guest(world).disks


def test_a_server_is_started_while_it_loses_a_volume(local: Local) -> None:
    world = stopped(local)
    world.owner.member.delete(f"/servers/{world.id}/os-volume_attachments/{world.volume}", 202)
    engine = local.cloud.get(Engine)
    assert engine.run_one()  # the guest has let go of it
    world.owner.act(world.server, "os-start")
    assert at_rest(world) == "ACTIVE"
    assert world.owner.state(world.volume) == "available"


def test_a_server_is_started_while_it_loses_a_port(local: Local) -> None:
    world = stopped(local)
    (port,) = world.owner.member.get(f"/servers/{world.id}/os-interface")["interfaceAttachments"]
    world.owner.member.delete(f"/servers/{world.id}/os-interface/{port['port_id']}", 202)
    engine = local.cloud.get(Engine)
    assert engine.run_one()  # the guest has let go of it
    world.owner.act(world.server, "os-start")
    assert at_rest(world) == "ACTIVE"
    assert guest(world).nics == []


def test_a_server_that_is_deleted_waits_for_no_device(local: Local) -> None:
    world = stopped(local)
    volume = world.owner.volume()
    path = f"/servers/{world.id}/os-volume_attachments"
    world.owner.member.post(path, {"volumeAttachment": {"volumeId": volume}}, 200)
    world.owner.delete(world.server)
    assert world.owner.state(volume) == "available"
    assert world.found() == []


def test_what_a_server_gets_while_it_is_shut_down_is_for_its_next_start(local: Local) -> None:
    world = stopped(local)
    world.driver("hypervisor").destroy(world.id)  # as on a host that it came to meanwhile
    volume = world.owner.volume()
    world.owner.attach(world.server, volume)
    assert world.owner.state(volume) == "in-use"
    path = f"/servers/{world.id}/os-interface"
    before = world.owner.member.get(path)["interfaceAttachments"]
    body = {"interfaceAttachment": {"net_id": before[0]["net_id"]}}
    world.owner.member.post(path, body, 200)
    settle(local)
    world.owner.act(world.server, "os-start")
    assert at_rest(world) == "ACTIVE"
    assert volume in guest(world).disks
    assert len(guest(world).nics) == len(before) + 1
