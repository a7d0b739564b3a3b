"""Images: registered, shown, listed, changed and deleted."""

import hashlib
import re

from sqlalchemy import select

from onestack.core.db import Database
from onestack.core.event import EventRecord
from tests.cloud import Local
from tests.conftest import Clouds
from tests.image import actors


def test_an_image_lives(local: Local) -> None:
    demo = actors.demo(local)
    answer = demo.ask(
        "POST",
        "/images",
        {"name": "first", "disk_format": "raw", "container_format": "bare", "tags": ["b", "a"],
         "min_disk": 1, "hw_disk_bus": "virtio"},
    )  # fmt: skip
    made = answer.body
    assert answer.status == 201
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made["id"])
    assert made == {
        "id": made["id"],
        "name": "first",
        "status": "queued",
        "visibility": "shared",
        "protected": False,
        "os_hidden": False,
        "owner": demo.project,
        "disk_format": "raw",
        "container_format": "bare",
        "min_disk": 1,
        "min_ram": 0,
        "size": None,
        "virtual_size": None,
        "checksum": None,
        "os_hash_algo": None,
        "os_hash_value": None,
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
        "tags": ["a", "b"],
        "self": f"/v2/images/{made['id']}",
        "file": f"/v2/images/{made['id']}/file",
        "schema": "/v2/schemas/image",
        "hw_disk_bus": "virtio",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", made["created_at"])
    path = f"/images/{made['id']}"
    assert demo.get(path) == made
    assert made in demo.get("/images?limit=1000")["images"]
    assert demo.data(made, status=204) == b""
    data = b"some data" * 1000
    demo.upload(made, data)
    shown = demo.get(path)
    assert shown["status"] == "active"
    assert shown["size"] == shown["virtual_size"] == len(data)
    assert shown["checksum"] == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert shown["os_hash_algo"] == "sha512"
    assert shown["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert shown["stores"] == "file"
    assert demo.data(made) == data
    demo.delete(path)
    demo.get(path, status=404)
    demo.delete(path, status=404)
    assert made["id"] not in demo.ids()


def test_an_image_may_bring_its_id(local: Local) -> None:
    demo = actors.demo(local)
    given = "11111111-2222-3333-4444-55555555aaaa"
    assert demo.make(id=given)["id"] == given
    demo.make(id=given, status=409)
    demo.make(id="not-a-uuid", status=400)


def test_what_is_not_a_clients_to_set_is_refused(local: Local) -> None:
    demo = actors.demo(local)
    for name in ("size", "checksum", "created_at", "self", "file", "schema", "stores",
                 "direct_url", "os_hash_value", "locations", "deleted", "os_glance_x"):  # fmt: skip
        assert demo.ask("POST", "/images", {name: "x"}).status == 403, name
    assert demo.ask("POST", "/images", {"status": "active"}).status == 403


def test_bad_attributes_are_bad_requests(local: Local) -> None:
    demo = actors.demo(local)
    for body in (
        {"name": "x" * 256}, {"name": 1}, {"name": "a\nb"}, {"visibility": "secret"},
        {"disk_format": "floppy"}, {"container_format": "tar"}, {"min_disk": -1},
        {"min_ram": 2**31}, {"tags": ["x" * 256]}, {"tags": "x"}, {"tags": [""]},
        {"protected": "yes"}, {"own": 1}, {"own": None}, {"own": ["x"]}, {"x" * 256: "x"},
        {"own": "x" * 65536}, {"bad\u0007name": "x"},
    ):  # fmt: skip
        assert demo.ask("POST", "/images", body).status == 400, body
    assert demo.ask("POST", "/images", ["x"]).status == 400
    demo.make(status=413, **{f"p{number}": "x" for number in range(129)})
    demo.make(status=413, tags=[f"t{number}" for number in range(129)])
    assert demo.make(name=None, disk_format=None, container_format=None)["name"] is None


def test_who_sees_what(local: Local) -> None:
    owner = actors.newcomer(local, "sees-owner")
    other = actors.newcomer(local, "sees-other")
    admin = actors.admin(local)
    made = {
        visibility: owner.make(visibility=visibility)["id"]
        for visibility in ("private", "shared", "community")
    }
    made["public"] = admin.make(visibility="public")["id"]
    assert set(made.values()) <= set(owner.ids())
    assert made["public"] in other.ids()
    assert not {made["private"], made["shared"], made["community"]} & set(other.ids())
    assert made["community"] in other.ids("visibility=community")
    assert made["community"] in other.ids("visibility=all")
    other.get(f"/images/{made['community']}")
    for visibility in ("private", "shared"):
        other.get(f"/images/{made[visibility]}", status=404)
        other.delete(f"/images/{made[visibility]}", status=404)
        admin.get(f"/images/{made[visibility]}")
    other.delete(f"/images/{made['community']}", status=403)
    assert other.ids("visibility=private") == []
    assert {made["private"], made["shared"]} <= set(admin.ids())
    other.get("/images?visibility=secret", status=400)


def test_roles_decide(local: Local) -> None:
    owner = actors.newcomer(local, "roles-owner")
    reader = actors.newcomer(local, "roles-reader", "reader", owner.project)
    image = owner.made_active()
    path = f"/images/{image['id']}"
    assert reader.get(path) == image
    assert image["id"] in reader.ids()
    reader.make(status=403)
    reader.delete(path, status=403)
    reader.replace(image, status=403, name="x")
    reader.data(image, status=403)
    reader.put(f"{path}/tags/x", status=403)
    owner.make(status=403, visibility="public")
    owner.replace(image, status=403, visibility="public")
    owner.make(status=403, owner="0" * 32)
    owner.replace(image, status=403, owner="0" * 32)
    assert actors.admin(local).make(owner="0" * 32)["owner"] == "0" * 32
    assert local.ask("GET", f"/image/v2{path}").status == 401


def test_a_protected_image_stays(local: Local) -> None:
    demo = actors.demo(local)
    image = demo.make(protected=True)
    demo.delete(f"/images/{image['id']}", status=403)
    demo.replace(image, protected=False)
    demo.delete(f"/images/{image['id']}")


def test_lists_come_in_pages(local: Local) -> None:
    owner = actors.newcomer(local, "pages")
    made = [owner.make(name=f"page-{number}")["id"] for number in range(5)]
    first = owner.get("/images?owner=" + owner.project + "&limit=2&sort=name:asc")
    assert [each["id"] for each in first["images"]] == made[:2]
    assert first["schema"] == "/v2/schemas/images"
    assert first["first"] == f"/v2/images?owner={owner.project}&limit=2&sort=name%3Aasc"
    seen = made[:2]
    following = first["next"]
    while following:
        page = owner.get(following.removeprefix("/v2"))
        seen += [each["id"] for each in page["images"]]
        following = page.get("next")
    assert seen == made
    assert owner.ids(f"owner={owner.project}") == made[::-1]  # the newest first
    assert owner.get("/images?limit=0")["images"] == []
    owner.get("/images?limit=-1", status=400)
    owner.get("/images?marker=nothing", status=400)
    hidden = actors.demo(local).make(visibility="private")["id"]
    owner.get(f"/images?marker={hidden}", status=400)


def test_lists_are_sorted(local: Local) -> None:
    owner = actors.newcomer(local, "sorted")
    sizes = {owner.made_active(b"x" * size, name=name)["id"]: size
             for name, size in (("b", 3), ("a", 7), ("c", 1))}  # fmt: skip
    empty = owner.make(name="d")["id"]
    own = f"owner={owner.project}"
    assert owner.ids(f"{own}&sort=size:asc") == [*sorted(sizes, key=sizes.__getitem__), empty]
    assert owner.ids(f"{own}&sort_key=size&sort_dir=desc")[1:] == sorted(
        sizes, key=sizes.__getitem__, reverse=True
    )
    by_status = owner.get(f"/images?{own}&sort_key=status&sort_key=name&sort_dir=asc")["images"]
    assert [each["name"] for each in by_status] == ["a", "b", "c", "d"]
    marker = owner.ids(f"{own}&sort=size:asc")[1]
    assert owner.ids(f"{own}&sort=size:asc&marker={marker}")[1:] == [empty]
    for query in ("sort=colour", "sort=name:up", "sort=name&sort_key=name", "sort_key=min_disk",
                  "sort_key=name&sort_dir=asc&sort_dir=desc", "sort=name,name"):  # fmt: skip
        owner.get(f"/images?{query}", status=400)


def test_lists_are_filtered(local: Local) -> None:
    owner = actors.newcomer(local, "filtered")
    one = owner.made_active(b"x" * 10, name="one, two", tags=["red", "round"], colour="blue")
    two = owner.make(name="two", tags=["red"], disk_format="qcow2", protected=True)
    three = owner.make(name="three", os_hidden=True, colour="green")
    own = f"owner={owner.project}&"
    cases = {
        "": [two, one],
        "os_hidden=true": [three],
        "name=two": [two],
        "name=in:two,three": [two],
        'name=in:"one, two",two': [two, one],
        f"id=in:{one['id']},{two['id']}": [two, one],
        "status=active": [one],
        "status=in:active,queued": [two, one],
        "disk_format=in:qcow2,iso": [two],
        "container_format=bare": [two, one],
        "tag=red": [two, one],
        "tag=red&tag=round": [one],
        "size=10": [one],
        "size_min=5": [one],
        "size_max=5": [],
        "protected=true": [two],
        "colour=blue": [one],
        "colour=green": [],
        "colour=green&os_hidden=true": [three],
        "visibility=shared": [two, one],
        "checksum=" + one["checksum"]: [one],
        "created_at=gte:2020-01-01T00:00:00Z": [two, one],
        "created_at=lt:2020-01-01T00:00:00Z": [],
        "updated_at=gt:2099-01-01": [],
        f"created_at=eq:{three['created_at']}&os_hidden=true": [three],
        f"created_at={three['created_at']}&os_hidden=true": [three],
        f"created_at=neq:{three['created_at']}&os_hidden=true": [],
        f"created_at=lte:{three['created_at']}&os_hidden=true": [three],
        f"created_at=gt:{three['created_at']}&os_hidden=true": [],
    }
    for query, expected in cases.items():
        found = owner.ids(own + query.replace('"', "%22").replace(" ", "%20"))
        assert found == [each["id"] for each in expected], query
    for query in ("created_at=yesterday", "created_at=gte:", "size=x", "protected=perhaps",
                  "name=in:%22a", "member_status=x", "size_min=-1"):  # fmt: skip
        owner.get(f"/images?{query}", status=400)


def test_a_project_has_as_many_images_as_the_settings_say(another: Clouds) -> None:
    demo = actors.demo(another(ONESTACK_IMAGE_IMAGES_PER_PROJECT="2"))
    first = demo.make()
    demo.make()
    demo.make(status=413)
    demo.delete(f"/images/{first['id']}")
    demo.make()


def test_events_tell_what_happened(fresh: Local) -> None:
    demo = actors.demo(fresh)
    image = demo.made_active(name="told")
    demo.replace(image, name="changed")
    demo.delete(f"/images/{image['id']}")
    with fresh.cloud.get(Database).transaction() as session:
        rows = session.scalars(select(EventRecord).where(EventRecord.resource == image["id"]))
        told = [(row.name, row.project_id, row.payload["status"]) for row in rows]
    assert told == [
        ("image.create", demo.project, "queued"),
        ("image.prepare", demo.project, "saving"),
        ("image.upload", demo.project, "active"),
        ("image.activate", demo.project, "active"),
        ("image.update", demo.project, "active"),
        ("image.delete", demo.project, "active"),
    ]


def test_nothing_is_done_to_an_image_in_the_background(local: Local) -> None:
    owner = actors.newcomer(local, "tasks-owner")
    stranger = actors.newcomer(local, "tasks-stranger")
    made = owner.made_active(name="one")
    assert owner.get(f"/images/{made['id']}/tasks") == {"tasks": []}
    assert stranger.ask("GET", f"/images/{made['id']}/tasks").status == 404
