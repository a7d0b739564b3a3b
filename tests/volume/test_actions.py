"""What is done to volumes by actions, and what becomes of them."""

from typing import Any

import pytest

from onestack.core import agents
from onestack.core.agent import Agent
from onestack.core.db import Database
from onestack.volume.drivers.simulated import SimulatedBackend
from tests.cloud import Local
from tests.settle import settle
from tests.volume.actors import admin, message, newcomer

SERVER = "8e7f2e55-8f3c-4d2c-b9c1-1b9b7a1b8a11"


def backend_of(local: Local) -> SimulatedBackend:
    """The cloud's backend, to be told to fail."""
    (found,) = local.cloud.get(Agent).drivers("backend")
    assert isinstance(found, SimulatedBackend)
    return found


def test_a_volume_grows(local: Local) -> None:
    user = newcomer(local, "actions-extend")
    volume = user.volume()
    user.act(volume, "os-extend", {"new_size": 3})
    assert user.show(volume)["status"] == "extending"
    assert user.settled(volume, "available")["size"] == 3
    answer = user.ask("POST", f"/volumes/{volume['id']}/action", {"os-extend": {"new_size": 3}})
    assert answer.status == 400
    assert "New size for extend must be greater than current size" in message(answer)
    user.act(volume, "os-extend", {"new_size": "x"}, 400)
    user.act(volume, "os-extend", {"new_size": None}, 400)
    user.act(volume, "os-extend", {"new_size": 2_000}, 413)


def test_a_volume_that_could_not_grow_is_as_large_as_before(local: Local) -> None:
    user = newcomer(local, "actions-extend-fails")
    volume = user.volume()
    backend_of(local).fail("extend", "no room")
    user.act(volume, "os-extend", {"new_size": 3})
    assert user.settled(volume, "error_extending")["size"] == 1
    (told,) = user.get(f"/messages?resource_uuid={volume['id']}")["messages"]
    assert "no room" in told["user_message"]
    user.delete(f"/volumes/{volume['id']}")


def test_volumes_in_use_grow_for_clients_that_know_it(local: Local) -> None:
    user = newcomer(local, "actions-extend-online")
    volume = user.volume()
    user.act(volume, "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdb"})
    user.at("3.41").act(volume, "os-extend", {"new_size": 2}, 400)
    user.act(volume, "os-extend", {"new_size": 2})
    assert user.settled(volume, "in-use")["size"] == 2


def test_a_backend_may_not_grow_what_is_in_use(fresh: Local) -> None:
    user = newcomer(fresh, "actions-extend-offline")
    volume = user.volume()
    user.act(volume, "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdb"})
    with fresh.cloud.get(Database).transaction() as session:
        (agent,) = agents.of_kind(session, "backend")
        (pool,) = agent.description["pools"]
        limited = {**pool, "capabilities": {"online_extend_support": False}}
        agent.description = {**agent.description, "pools": [limited]}
    answer = user.ask("POST", f"/volumes/{volume['id']}/action", {"os-extend": {"new_size": 2}})
    assert answer.status == 400
    assert "cannot extend it while it is attached" in message(answer)
    assert user.show(volume)["size"] == 1


def test_a_creation_that_a_backend_refuses_is_an_error(local: Local) -> None:
    user = newcomer(local, "actions-create-fails")
    backend_of(local).fail("create", "out of order", 1)
    volume = user.volume("error")
    assert admin(local).show(volume)["os-vol-host-attr:host"] is None
    user.delete(f"/volumes/{volume['id']}")
    settle(local)
    user.get(f"/volumes/{volume['id']}", 404)


def test_a_deletion_that_fails_can_be_forced(local: Local) -> None:
    user = newcomer(local, "actions-delete-fails")
    volume = user.volume()
    backend_of(local).fail("delete", "busy")
    user.delete(f"/volumes/{volume['id']}")
    user.settled(volume, "error_deleting")
    user.delete(f"/volumes/{volume['id']}", 400)
    user.act(volume, "os-force_delete", status=403)
    admin(local).act(volume, "os-force_delete")
    settle(local)
    user.get(f"/volumes/{volume['id']}", 404)


def test_what_was_attached_before_there_were_attachments(local: Local) -> None:
    user = newcomer(local, "actions-attach")
    volume = user.volume()
    user.act(volume, "os-reserve")
    assert user.show(volume)["status"] == "attaching"
    user.act(volume, "os-reserve", status=400)
    user.act(volume, "os-unreserve")
    assert user.show(volume)["status"] == "available"
    connector = {"connector": {"host": "h", "initiator": "iqn.2026-01.org.onestack:h"}}
    found = user.act(volume, "os-initialize_connection", connector, 200)["connection_info"]
    assert found["driver_volume_type"] == "simulated"
    user.act(volume, "os-initialize_connection", {"connector": {}}, 400)
    user.act(volume, "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdb"})
    (attachment,) = user.show(volume)["attachments"]
    assert (attachment["server_id"], attachment["device"]) == (SERVER, "/dev/vdb")
    user.act(volume, "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdc"}, 400)
    user.delete(f"/volumes/{volume['id']}", 400)
    user.act(volume, "os-begin_detaching")
    assert user.show(volume)["status"] == "detaching"
    user.act(volume, "os-roll_detaching")
    assert user.show(volume)["status"] == "in-use"
    user.act(volume, "os-terminate_connection", connector)
    user.act(volume, "os-detach", {"attachment_id": SERVER}, 400)
    user.act(volume, "os-detach", {"attachment_id": attachment["attachment_id"]})
    assert user.show(volume)["status"] == "available"
    assert user.show(volume)["attachments"] == []
    user.act(volume, "os-attach", {"mountpoint": "/dev/vdb"}, 400)
    user.act(volume, "os-detach", {})
    assert user.show(volume)["status"] == "available"


def test_a_volume_in_error_is_detached_by_force(local: Local) -> None:
    user, boss = newcomer(local, "actions-force-detach"), admin(local)
    volume = user.volume()
    user.act(volume, "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdb"})
    boss.act(volume, "os-reset_status", {"status": "error"})
    (attachment,) = user.show(volume)["attachments"]
    body = {"attachment_id": attachment["attachment_id"], "connector": None}
    user.act(volume, "os-force_detach", body, 403)
    boss.act(volume, "os-force_detach", body)
    found = user.show(volume)
    assert (found["status"], found["attachments"]) == ("available", [])


def test_flags(local: Local) -> None:
    user = newcomer(local, "actions-flags")
    volume = user.volume()
    user.act(volume, "os-set_bootable", {"bootable": True}, 200)
    assert user.show(volume)["bootable"] == "true"
    user.act(volume, "os-set_bootable", {"bootable": "perhaps"}, 400)
    user.act(volume, "os-update_readonly_flag", {"readonly": True})
    assert user.show(volume)["metadata"] == {"readonly": "True"}
    body = {"instance_uuid": SERVER, "mountpoint": "/dev/vdb"}
    user.act(volume, "os-attach", body, 400)
    user.act(volume, "os-attach", {**body, "mode": "ro"})
    admin(local).act(volume, "os-reset_status", {"status": "error"})
    assert user.show(volume)["status"] == "error"
    admin(local).act(volume, "os-reset_status", {"status": "nonsense"}, 400)
    admin(local).act(volume, "os-reset_status", {}, 400)


def test_actions_that_there_are_not(local: Local) -> None:
    user = newcomer(local, "actions-none")
    volume = user.volume()
    user.act(volume, "os-nothing", status=400)
    user.post(f"/volumes/{volume['id']}/action", {"os-reserve": {}, "os-attach": {}}, 400)
    user.post("/volumes/no/action", {"os-reserve": {}}, 404)


def test_a_volume_gets_another_type(local: Local) -> None:
    boss, user = admin(local), newcomer(local, "actions-retype")
    volume = user.volume()
    fits = boss.post("/types", {"volume_type": {"name": "retype-fits"}}, 200)["volume_type"]
    specs = {"volume_backend_name": "elsewhere"}
    body = {"volume_type": {"name": "retype-elsewhere", "extra_specs": specs}}
    boss.post("/types", body, 200)
    user.act(volume, "os-retype", {"new_type": "retype-fits", "migration_policy": "never"})
    found = user.show(volume)
    assert (found["volume_type"], found["volume_type_id"]) == ("retype-fits", fits["id"])
    user.act(volume, "os-retype", {"new_type": "retype-fits"}, 400)
    user.act(volume, "os-retype", {"new_type": "retype-elsewhere"}, 400)
    user.act(volume, "os-retype", {"new_type": "no"}, 400)


def test_a_volume_goes_back_to_its_last_snapshot(local: Local) -> None:
    user = newcomer(local, "actions-revert")
    volume = user.volume()
    first, last = user.snapshot(volume), user.snapshot(volume)
    user.act(volume, "revert", {"snapshot_id": first["id"]}, 400)
    user.at("3.39").act(volume, "revert", {"snapshot_id": last["id"]}, 404)
    user.act(volume, "revert", {"snapshot_id": last["id"]})
    assert user.show(volume)["status"] == "reverting"
    user.settled(volume, "available")
    assert user.get(f"/snapshots/{last['id']}")["snapshot"]["status"] == "available"


def test_image_metadata(local: Local) -> None:
    user = newcomer(local, "actions-image-metadata")
    volume = user.volume()
    body = {"metadata": {"os": "x", "more": "y"}}
    assert user.act(volume, "os-set_image_metadata", body, 200) == body
    assert user.show(volume)["volume_image_metadata"] == body["metadata"]
    user.act(volume, "os-unset_image_metadata", {"key": "more"}, 200)
    user.act(volume, "os-unset_image_metadata", {"key": "more"}, 404)
    shown = user.act(volume, "os-show_image_metadata", {}, 200)
    assert shown == {"metadata": {"os": "x"}}


@pytest.mark.parametrize("visibility", ["private", "public"])
def test_an_upload_that_fails_leaves_no_image(local: Local, visibility: str) -> None:
    user = newcomer(local, f"actions-upload-{visibility}")
    volume = user.volume()
    backend_of(local).fail("upload", "no way", 1)
    body = {"image_name": "copy", "disk_format": "raw", "visibility": visibility}
    if visibility == "public":
        user.act(volume, "os-volume_upload_image", body, 403)
        user = admin(local)
    shown: Any = user.act(volume, "os-volume_upload_image", body)["os-volume_upload_image"]
    assert (shown["status"], shown["disk_format"], shown["size"]) == ("uploading", "raw", 1)
    path = f"/image/v2/images/{shown['image_id']}"
    assert local.ask("GET", path, token=user.token).body["status"] == "queued"
    user.settled(volume, "available")
    assert local.ask("GET", path, token=user.token).status == 404
