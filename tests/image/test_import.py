"""Images are imported from what was staged, as Horizon and the SDK upload them."""

import datetime as dt

from sqlalchemy import update

from onestack.core import clock
from onestack.core.db import Database
from onestack.image.images.record import ImageRecord
from tests.cloud import Local
from tests.image import actors
from tests.image.test_upkeep import tidy
from tests.image.uploads import files_of
from tests.settle import settle

DIRECT = {"method": {"name": "glance-direct"}}
OCTETS = {"content_type": "application/octet-stream"}


def stage(who: actors.Actor, image: dict[str, str], data: bytes, status: int = 204) -> None:
    answer = who.ask("PUT", f"/images/{image['id']}/stage", data, **OCTETS)
    assert answer.status == status, answer


def test_a_staged_image_is_imported(fresh: Local) -> None:
    demo = actors.demo(fresh)
    image = demo.make()
    path = f"/images/{image['id']}"
    stage(demo, image, b"data")
    staged = demo.get(path)
    assert (staged["status"], staged["size"], staged["checksum"]) == ("uploading", 4, None)
    assert "stores" not in staged
    assert demo.data(image, status=204) == b""
    answer = demo.ask("POST", f"{path}/import", {**DIRECT, "all_stores": True})
    assert (answer.status, answer.content) == (202, b"")
    assert demo.get(path)["status"] == "importing"
    assert demo.get(path)["os_glance_importing_to_stores"] == "file"
    assert demo.get(f"{path}/tasks")["tasks"][0]["status"] == "pending"
    settle(fresh)
    shown = demo.get(path)
    assert (shown["status"], shown["stores"], shown["size"]) == ("active", "file", 4)
    assert shown["checksum"] == "8d777f385d3dfec8815d20f7496026dc"
    assert (shown["os_glance_importing_to_stores"], shown["os_glance_failed_import"]) == ("", "")
    assert demo.data(image) == b"data"
    (task,) = demo.get(f"{path}/tasks")["tasks"]
    assert (task["status"], task["type"]) == ("success", "api_image_import")
    assert task["request_id"] == answer.headers["x-openstack-request-id"]
    assert task["input"]["import_req"]["method"] == {"name": "glance-direct"}
    assert task["result"] == {"image_id": image["id"]}
    # Its own properties can be changed, and the service's cannot.
    assert demo.replace(image, name="new")["name"] == "new"
    demo.patch(image, {"op": "add", "path": "/mine", "value": "x"})
    demo.replace(image, status=403, os_glance_failed_import="x")


def test_what_is_not_what_it_says_is_not_imported(fresh: Local) -> None:
    demo = actors.demo(fresh)
    image = demo.make(disk_format="qcow2")
    path = f"/images/{image['id']}"
    stage(demo, image, b"no disk at all")
    demo.post(f"{path}/import", DIRECT, status=202)
    settle(fresh)
    shown = demo.get(path)
    assert (shown["status"], shown["size"]) == ("queued", None)
    assert shown["os_glance_failed_import"] == "file"
    (task,) = demo.get(f"{path}/tasks")["tasks"]
    assert task["status"] == "failure"
    assert "qcow2" in task["message"]
    tidy(fresh)
    assert files_of(fresh) == []
    demo.upload(image, b"QFI\xfb", status=400)  # it waits for data again


def test_imports_that_cannot_begin(fresh: Local) -> None:
    demo = actors.demo(fresh)
    image = demo.make()
    path = f"/images/{image['id']}/import"
    demo.post(path, DIRECT, status=409)  # nothing is staged
    for body in ({}, {"method": {}}, {"method": {"name": "web-download"}}):
        demo.post(path, body, status=400)
    stage(demo, image, b"data")
    stage(demo, image, b"data", status=409)
    demo.upload(image, b"data", status=409)
    demo.post(path, {**DIRECT, "stores": ["elsewhere"]}, status=409)
    demo.post(path, {**DIRECT, "stores": ["file"], "all_stores": True}, status=400)
    demo.post(path, {**DIRECT, "stores": ["file"]}, status=202)
    demo.post(path, DIRECT, status=409)
    settle(fresh)
    demo.post(path, DIRECT, status=409)
    bare = demo.make(disk_format=None)
    stage(demo, bare, b"data")
    demo.post(f"/images/{bare['id']}/import", DIRECT, status=409)


def test_who_may_import(fresh: Local) -> None:
    demo = actors.demo(fresh)
    image = demo.make()
    path = f"/images/{image['id']}"
    reader = actors.newcomer(fresh, "reader", "reader", demo.project)
    stranger = actors.newcomer(fresh, "stranger")
    for who, status in ((reader, 403), (stranger, 404)):
        stage(who, image, b"data", status=status)
    stage(demo, image, b"data")
    for who, status in ((reader, 403), (stranger, 404)):
        who.post(f"{path}/import", DIRECT, status=status)
    demo.post(f"{path}/import", DIRECT, status=202)
    settle(fresh)
    assert len(reader.get(f"{path}/tasks")["tasks"]) == 1
    stranger.get(f"{path}/tasks", status=404)


def test_all_tasks_are_the_administrators(fresh: Local) -> None:
    demo, admin = actors.demo(fresh), actors.admin(fresh)
    ids = []
    for _ in range(2):
        image = demo.make()
        stage(demo, image, b"data")
        demo.post(f"/images/{image['id']}/import", DIRECT, status=202)
        ids.append(demo.get(f"/images/{image['id']}/tasks")["tasks"][0]["id"])
    demo.get("/tasks", status=403)
    demo.get(f"/tasks/{ids[0]}", status=403)
    page = admin.get("/tasks?limit=1&status=pending")
    assert len(page["tasks"]) == 1
    following = admin.get(page["next"].removeprefix("/v2"))["tasks"]
    assert {page["tasks"][0]["id"], following[0]["id"]} == set(ids)
    assert "input" not in page["tasks"][0]
    settle(fresh)
    assert admin.get("/tasks?status=pending")["tasks"] == []
    shown = admin.get(f"/tasks/{ids[0]}")
    assert shown["status"] == "success"
    assert shown.keys() <= demo.get("/schemas/task")["properties"].keys()
    admin.get("/tasks/nothing", status=404)


def test_an_image_that_is_deleted_while_it_is_imported_is_gone(fresh: Local) -> None:
    demo, admin = actors.demo(fresh), actors.admin(fresh)
    image = demo.make()
    stage(demo, image, b"data")
    demo.post(f"/images/{image['id']}/import", DIRECT, status=202)
    demo.delete(f"/images/{image['id']}")
    settle(fresh)
    demo.get(f"/images/{image['id']}", status=404)
    assert [each["status"] for each in admin.get("/tasks")["tasks"]] == ["failure"]
    assert files_of(fresh) == []


def test_staging_whose_process_died_can_be_done_again(fresh: Local) -> None:
    demo = actors.demo(fresh)
    image = demo.make()
    long_ago = clock.now() - dt.timedelta(hours=1)
    half = {"status": "uploading", "data": "a" * 32, "upload_seen_at": long_ago}
    with fresh.cloud.get(Database).transaction() as session:
        session.execute(update(ImageRecord).where(ImageRecord.id == image["id"]).values(**half))
    demo.post(f"/images/{image['id']}/import", DIRECT, status=409)  # not all of it is there
    tidy(fresh)
    stage(demo, image, b"whole")
    demo.post(f"/images/{image['id']}/import", DIRECT, status=202)
    settle(fresh)
    assert demo.data(image) == b"whole"


def test_which_methods_there_are(local: Local) -> None:
    found = actors.demo(local).get("/info/import")["import-methods"]
    assert (found["value"], found["type"]) == (["glance-direct"], "array")
