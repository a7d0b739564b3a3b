"""Volumes: made, shown, listed, changed and deleted."""

from typing import Any

import pytest

from onestack.core.db import Database
from onestack.core.trace import find
from onestack.volume.volumes.record import VolumeRecord
from tests.cloud import Local
from tests.settle import settle
from tests.volume.actors import admin, message, newcomer


def test_a_volume_is_made_and_deleted(local: Local) -> None:
    user = newcomer(local, "volumes-life")
    made = user.post("/volumes", {"volume": {"size": 2, "name": " data ", "description": "d"}})
    volume = made["volume"]
    assert (volume["status"], volume["name"], volume["size"]) == ("creating", "data", 2)
    assert volume["volume_type"] == "__DEFAULT__"
    volume = user.settled(volume, "available")
    assert volume["bootable"] == "false"
    assert volume["attachments"] == []
    assert volume["os-vol-tenant-attr:tenant_id"] == user.project
    assert "os-vol-host-attr:host" not in volume
    shown = admin(local).show(volume)
    assert shown["os-vol-host-attr:host"].endswith("@simulated#simulated")
    user.delete(f"/volumes/{volume['id']}")
    assert user.show(volume)["status"] == "deleting"
    settle(local)
    user.get(f"/volumes/{volume['id']}", 404)


def test_each_task_of_a_creation_is_seen_in_its_trace(local: Local) -> None:
    user = newcomer(local, "volumes-trace")
    volume = user.volume()
    names = [span.name for trace in find(volume["id"]) for span in trace.spans]
    for task in ("CreateVolume.schedule", "CreateVolume.create_on_backend", "CreateVolume.created"):
        assert task in names
    answer = user.ask("POST", "/volumes", {"volume": {"size": 1}})
    request_id = answer.headers["x-openstack-request-id"]
    tasks = [s.name for t in find(request_id) for s in t.spans if s.kind == "task"]
    assert tasks == ["extract_volume_request", "reserve_quota", "create_entry", "commit_quota"]


def test_the_project_in_the_path_must_be_the_callers(local: Local) -> None:
    user, other = newcomer(local, "volumes-path"), newcomer(local, "volumes-path-other")
    volume = user.volume()
    found = user.get(f"/{user.project}/volumes/{volume['id']}")["volume"]
    assert found["id"] == volume["id"]
    assert user.get(f"/{user.project}/volumes/detail")["volumes"][0]["id"] == volume["id"]
    answer = other.ask("GET", f"/{user.project}/volumes/{volume['id']}")
    assert (answer.status, message(answer)) == (400, "Malformed request url")


def test_volumes_of_others_are_not_there(local: Local) -> None:
    user, other = newcomer(local, "volumes-mine"), newcomer(local, "volumes-theirs")
    volume = user.volume()
    path = f"/volumes/{volume['id']}"
    for method, body in (("GET", None), ("DELETE", None), ("PUT", {"volume": {"name": "x"}})):
        answer = other.ask(method, path, body)
        assert answer.status == 404
        assert message(answer) == f"Volume {volume['id']} could not be found."
    assert other.ids() == []
    assert other.ids("all_tenants=1") == []
    assert volume["id"] in admin(local).ids("all_tenants=1")
    assert admin(local).ids(f"all_tenants=1&project_id={user.project}") == [volume["id"]]


def test_readers_read_only(local: Local) -> None:
    user = newcomer(local, "volumes-owner")
    volume = user.volume()
    reader = newcomer(local, "volumes-reader", "reader", user.project)
    assert reader.show(volume)["id"] == volume["id"]
    reader.post("/volumes", {"volume": {"size": 1}}, 403)
    reader.delete(f"/volumes/{volume['id']}", 403)
    reader.put(f"/volumes/{volume['id']}", {"volume": {"name": "x"}}, 403)
    reader.act(volume, "os-extend", {"new_size": 5}, 403)
    user.act(volume, "os-reset_status", {"status": "error"}, 403)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": 0}, "Volume size '0' must be an integer and greater than 0"),
        ({"size": "abc"}, "must be an integer and greater than 0"),
        ({"size": -1}, "must be an integer and greater than 0"),
        ({}, "must be an integer and greater than 0"),
        ({"size": 1, "availability_zone": "moon"}, "Availability zone 'moon' is invalid."),
        ({"size": 1, "metadata": {"": "x"}}, "Invalid input"),
        ({"size": 1, "metadata": {"x": "y" * 256}}, "Invalid input"),
        ({"size": 1, "name": "n" * 256}, "Invalid input"),
        ({"size": 1, "snapshot_id": "s", "source_volid": "v"}, "exclude each other"),
    ],
)
def test_bad_creations_are_refused(local: Local, given: Any, said: str) -> None:
    answer = admin(local).ask("POST", "/volumes", {"volume": given})
    assert answer.status == 400
    assert said in message(answer)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"volume_type": "no"}, "Volume type with name no could not be found."),
        ({"snapshot_id": "no"}, "Snapshot no could not be found."),
        ({"source_volid": "no"}, "Volume no could not be found."),
        ({"imageRef": "no"}, "No image found with ID no"),
    ],
)
def test_sources_must_be_there(local: Local, given: Any, said: str) -> None:
    answer = admin(local).ask("POST", "/volumes", {"volume": {"size": 1, **given}})
    assert (answer.status, message(answer)) == (404, said)


def test_lists_are_filtered_sorted_and_cut(local: Local) -> None:
    user = newcomer(local, "volumes-list")
    small = user.volume(name="small", metadata={"kind": "a"})
    large = user.volume(name="large", size=3, metadata={"kind": "b", "more": "c"})
    middle = user.volume(name="middle", size=2, metadata={"kind": "a"})
    every = [middle["id"], large["id"], small["id"]]
    assert user.ids() == every
    assert user.ids("sort=size:asc") == [small["id"], middle["id"], large["id"]]
    assert user.ids("sort_key=name&sort_dir=asc") == [large["id"], middle["id"], small["id"]]
    assert user.ids("name=large") == [large["id"]]
    assert user.ids("name~=l") == every[1:] + every[:1] or len(user.ids("name~=l")) == 3
    assert user.ids("status=available&size=2") == [middle["id"]]
    assert user.ids("metadata=%7B'kind'%3A'a'%7D") == [middle["id"], small["id"]]
    assert user.ids("metadata=%7B'kind'%3A'b','more'%3A'c'%7D") == [large["id"]]
    assert user.ids("bootable=true") == []
    assert user.ids("bootable=false") == every
    assert user.ids("created_at=gt:2020-01-01T00:00:00") == every
    assert user.ids("created_at=lt:2020-01-01T00:00:00") == []
    assert user.ids("limit=0") == []
    page = user.get("/volumes?limit=2&with_count=true")
    assert [each["id"] for each in page["volumes"]] == every[:2]
    assert page["count"] == 3
    following = page["volumes_links"][0]["href"].partition("/volume/v3")[2]
    assert [each["id"] for each in user.get(following)["volumes"]] == every[2:]
    assert user.ids("offset=1") == every[1:]
    assert set(user.get("/volumes")["volumes"][0]) == {"id", "name", "links"}
    summary = user.get("/volumes/summary")["volume-summary"]
    assert (summary["total_count"], summary["total_size"]) == (3, 6)
    assert sorted(summary["metadata"]["kind"]) == ["a", "b"]
    user.at("3.11").get("/volumes/summary", 404)


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1", "limit=x", "sort=nothing", "sort=name:up", "metadata=(((",
        "metadata=[1]", "bootable=perhaps", "created_at=soon", "unknown=1", "offset=-1",
    ],
)  # fmt: skip
def test_bad_queries_are_refused(local: Local, query: str) -> None:
    user = newcomer(local, f"volumes-query-{query}".replace("(", "-")[:60])
    assert user.ask("GET", f"/volumes?{query}").status == 400


def test_clients_before_filters_were_checked_may_say_anything(local: Local) -> None:
    user = newcomer(local, "volumes-old-filters")
    assert user.at("3.30").get("/volumes?unknown=1")["volumes"] == []


def test_names_and_metadata_change(local: Local) -> None:
    user = newcomer(local, "volumes-update")
    volume = user.volume(metadata={"a": "1"})
    path = f"/volumes/{volume['id']}"
    shown = user.put(path, {"volume": {"name": "new", "description": ""}})["volume"]
    assert (shown["name"], shown["description"], shown["metadata"]) == ("new", "", {"a": "1"})
    user.put(path, {"volume": {}}, 400)
    user.put(path, {"volume": {"size": 5}}, 400)
    assert user.post(f"{path}/metadata", {"metadata": {"b": "2"}}, 200) == {
        "metadata": {"a": "1", "b": "2"}
    }
    assert user.put(f"{path}/metadata", {"metadata": {"c": "3"}}) == {"metadata": {"c": "3"}}
    assert user.put(f"{path}/metadata/c", {"meta": {"c": "4"}}) == {"meta": {"c": "4"}}
    user.put(f"{path}/metadata/c", {"meta": {"d": "4"}}, 400)
    assert user.get(f"{path}/metadata/c") == {"meta": {"c": "4"}}
    user.get(f"{path}/metadata/x", 404)
    user.delete(f"{path}/metadata/x", 404)
    user.delete(f"{path}/metadata/c", 200)
    assert user.get(f"{path}/metadata") == {"metadata": {}}
    user.post(f"{path}/metadata", {"metadata": {"k" * 256: "x"}}, 400)


def test_what_is_in_use_or_has_snapshots_stays(local: Local) -> None:
    user = newcomer(local, "volumes-stay")
    volume = user.volume()
    snapshot = user.snapshot(volume)
    answer = user.ask("DELETE", f"/volumes/{volume['id']}")
    assert answer.status == 400
    assert message(answer).startswith("Invalid volume: Volume status must be available or error")
    user.delete(f"/volumes/{volume['id']}?cascade=true")
    settle(local)
    user.get(f"/volumes/{volume['id']}", 404)
    user.get(f"/snapshots/{snapshot['id']}", 404)


def test_a_deletion_replaces_a_creation(local: Local) -> None:
    user = newcomer(local, "volumes-preempt")
    volume = user.post("/volumes", {"volume": {"size": 1}})["volume"]
    user.delete(f"/volumes/{volume['id']}")
    settle(local)
    user.get(f"/volumes/{volume['id']}", 404)
    with local.cloud.get(Database).transaction(write=False) as session:
        assert session.get(VolumeRecord, volume["id"]) is None


def test_fields_come_with_their_microversions(local: Local) -> None:
    user = newcomer(local, "volumes-versions")
    volume = user.volume()
    for version, name in (
        ("3.13", "group_id"), ("3.48", "shared_targets"), ("3.63", "volume_type_id"),
        ("3.65", "consumes_quota"),
    ):  # fmt: skip
        before = f"3.{int(version[2:]) - 1}"
        assert name in user.at(version).show(volume)
        assert name not in user.at(before).show(volume)


def test_a_volume_that_no_backend_has_room_for(local: Local) -> None:
    user = newcomer(local, "volumes-no-room")
    local_admin = admin(local)
    local_admin.put(f"/os-quota-sets/{user.project}", {"quota_set": {"gigabytes": -1}})
    volume = user.volume("error", size=2_000_000_000)
    (told,) = user.get(f"/messages?resource_uuid={volume['id']}")["messages"]
    assert "Could not find any available weighted backend" in told["user_message"]
    assert user.get(f"/messages/{told['id']}")["message"] == told
    other = newcomer(local, "volumes-no-room-other")
    other.get(f"/messages/{told['id']}", 404)
    user.delete(f"/messages/{told['id']}", 204)
    assert user.get("/messages")["messages"] == []
    user.delete(f"/volumes/{volume['id']}")
    settle(local)
    user.get(f"/volumes/{volume['id']}", 404)
