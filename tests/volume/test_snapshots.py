"""Snapshots, and what is made of them and of other volumes."""

import json
from typing import Any

import pytest

from tests.cloud import Local
from tests.image.actors import Actor as ImageActor
from tests.settle import settle
from tests.volume.actors import Actor, admin, message, newcomer

UNKNOWN = "00000000-0000-4000-8000-000000000000"
ROOT = {"source_type": "snapshot", "destination_type": "volume", "boot_index": 0}


def test_a_snapshot_is_taken_changed_and_deleted(local: Local) -> None:
    user, other = newcomer(local, "snapshots-life"), newcomer(local, "snapshots-other")
    volume = user.volume(size=2)
    body = {"snapshot": {"volume_id": volume["id"], "name": "s", "metadata": {"a": "1"}}}
    made = user.post("/snapshots", body)["snapshot"]
    assert (made["status"], made["size"], made["metadata"]) == ("creating", 2, {"a": "1"})
    settle(local)
    path = f"/snapshots/{made['id']}"
    shown = user.get(path)["snapshot"]
    assert shown["status"] == "available"
    assert shown["os-extended-snapshot-attributes:progress"] == "100%"
    assert shown["os-extended-snapshot-attributes:project_id"] == user.project
    other.get(path, 404)
    other.delete(path, 404)
    assert user.put(path, {"snapshot": {"name": "t"}})["snapshot"]["name"] == "t"
    user.put(path, {"snapshot": {}}, 400)
    user.delete(path)
    settle(local)
    answer = user.ask("GET", path)
    assert (answer.status, message(answer)) == (404, f"Snapshot {made['id']} could not be found.")


def test_metadata(local: Local) -> None:
    user = newcomer(local, "snapshots-metadata")
    path = f"/snapshots/{user.snapshot(user.volume())['id']}/metadata"
    assert user.post(path, {"metadata": {"a": "1"}}, 200) == {"metadata": {"a": "1"}}
    assert user.post(path, {"metadata": {"b": "2"}}, 200)["metadata"] == {"a": "1", "b": "2"}
    assert user.put(path, {"metadata": {"c": "3"}}) == {"metadata": {"c": "3"}}
    assert user.put(f"{path}/c", {"meta": {"c": "4"}}) == {"meta": {"c": "4"}}
    user.put(f"{path}/c", {"meta": {"x": "4"}}, 400)
    assert user.get(f"{path}/c") == {"meta": {"c": "4"}}
    user.delete(f"{path}/c", 200)
    user.delete(f"{path}/c", 404)
    assert user.get(path) == {"metadata": {}}


def test_lists(local: Local) -> None:
    user = newcomer(local, "snapshots-list")
    volume = user.volume()
    first, second = user.snapshot(volume, name="a"), user.snapshot(user.volume(), name="b")

    def ids(query: str) -> list[str]:
        return [each["id"] for each in user.get(f"/snapshots?{query}")["snapshots"]]

    assert ids("") == [second["id"], first["id"]]
    assert ids("sort=name:asc") == [first["id"], second["id"]]
    assert ids(f"volume_id={volume['id']}") == [first["id"]]
    assert ids("name=b&status=available") == [second["id"]]
    assert ids("limit=1") == [second["id"]]
    assert ids(f"marker={second['id']}") == [first["id"]]
    assert ids("offset=1") == [first["id"]]
    details = user.get("/snapshots/detail?with_count=True")
    assert details["count"] == 2
    assert "os-extended-snapshot-attributes:progress" in details["snapshots"][0]
    assert "count" not in user.at("3.44").get("/snapshots/detail?with_count=True")


def test_volumes_in_use_are_taken_from_by_force(local: Local) -> None:
    user = newcomer(local, "snapshots-force")
    volume = user.volume()
    server = {"instance_uuid": "8e7f2e55-8f3c-4d2c-b9c1-1b9b7a1b8a22", "mountpoint": "/dev/vdb"}
    user.act(volume, "os-attach", server)
    body = {"volume_id": volume["id"]}
    user.at("3.65").post("/snapshots", {"snapshot": body}, 400)
    user.at("3.65").post("/snapshots", {"snapshot": {**body, "force": True}})
    user.post("/snapshots", {"snapshot": body})
    user.post("/snapshots", {"snapshot": {**body, "force": False}}, 400)


def test_administrators_know_better(local: Local) -> None:
    user, boss = newcomer(local, "snapshots-admin"), admin(local)
    snapshot = user.snapshot(user.volume())
    path = f"/snapshots/{snapshot['id']}"
    user.post(f"{path}/action", {"os-reset_status": {"status": "error"}}, 403)
    boss.post(f"{path}/action", {"os-reset_status": {"status": "nonsense"}}, 400)
    boss.post(f"{path}/action", {"os-reset_status": {"status": "creating"}})
    report = {"os-update_snapshot_status": {"status": "error", "progress": "80%"}}
    user.post(f"{path}/action", report)
    shown = user.get(path)["snapshot"]
    assert (shown["status"], shown["os-extended-snapshot-attributes:progress"]) == ("error", "80%")
    user.post(f"{path}/action", report, 400)
    boss.post(f"{path}/action", {"os-force_delete": {}})
    settle(local)
    user.get(path, 404)


def test_volumes_are_made_of_snapshots_and_volumes(local: Local) -> None:
    user = newcomer(local, "snapshots-sources")
    volume = user.volume(size=2)
    user.act(volume, "os-set_bootable", {"bootable": True}, 200)
    snapshot = user.snapshot(volume)
    made = user.volume(size=None, snapshot_id=snapshot["id"])
    assert (made["size"], made["snapshot_id"], made["bootable"]) == (2, snapshot["id"], "true")
    clone = user.volume(size=3, source_volid=volume["id"])
    assert (clone["size"], clone["source_volid"]) == (3, volume["id"])
    for source in ({"snapshot_id": snapshot["id"]}, {"source_volid": volume["id"]}):
        answer = user.ask("POST", "/volumes", {"volume": {"size": 1, **source}})
        assert answer.status == 400
        assert "cannot be smaller than" in message(answer)
    other = newcomer(local, "snapshots-sources-other")
    other.post("/volumes", {"volume": {"size": 2, "snapshot_id": snapshot["id"]}}, 404)
    other.post("/volumes", {"volume": {"size": 2, "source_volid": volume["id"]}}, 404)
    assert user.get(f"/snapshots/{snapshot['id']}")["snapshot"]["status"] == "available"


@pytest.mark.parametrize("version", ["3.45", "3.46"])
def test_volumes_are_made_of_the_snapshot_that_an_image_names(local: Local, version: str) -> None:
    user = newcomer(local, f"snapshots-of-images-{version}")
    origin = _bootable(user)
    snapshot = user.snapshot(origin)
    data = {"source_type": "snapshot", "boot_index": None, "snapshot_id": UNKNOWN}
    image = _naming(user, data, {**ROOT, "snapshot_id": snapshot["id"]})
    made = user.at(version).volume(size=None, imageRef=image)
    assert (made["snapshot_id"], made["size"], made["bootable"]) == (snapshot["id"], 1, "true")
    assert made["volume_image_metadata"] == origin["volume_image_metadata"]
    ImageActor(local, user.token).delete(f"/images/{image}")
    user.delete(f"/snapshots/{snapshot['id']}")
    settle(local)
    user.get(f"/snapshots/{snapshot['id']}", 404)
    assert user.show(made)["status"] == "available"


def test_snapshots_that_images_cannot_name(local: Local) -> None:
    user, other = newcomer(local, "snapshots-named"), newcomer(local, "snapshots-named-other")
    snapshot = other.snapshot(other.volume())["id"]
    for unseen in (UNKNOWN, snapshot):
        image = _naming(user, {**ROOT, "snapshot_id": unseen})
        answer = user.ask("POST", "/volumes", {"volume": {"size": 1, "imageRef": image}})
        assert answer.status == 404
        assert message(answer) == f"Snapshot {unseen} could not be found."
    for bad in ("no", {**ROOT, "snapshot_id": "\0"}):
        image = _naming(user, bad)
        answer = user.ask("POST", "/volumes", {"volume": {"size": 1, "imageRef": image}})
        assert answer.status == 400
        assert "block_device_mapping" in message(answer)


def _bootable(user: Actor) -> Any:
    """A volume that was made of an image with data."""
    image = ImageActor(user.local, user.token).made_active(name="origin")
    return user.volume(imageRef=image["id"])


def _naming(user: Actor, *disks: Any) -> str:
    """An image without data that says which disks its servers have."""
    images = ImageActor(user.local, user.token)
    more = {"block_device_mapping": json.dumps(disks), "bdm_v2": "True"}
    return str(images.made_active(b"", name="naming", **more)["id"])
