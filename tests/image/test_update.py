"""Images are changed by patches, in both dialects."""

from tests.cloud import Local
from tests.image import actors


def test_attributes_and_properties_change(local: Local) -> None:
    demo = actors.demo(local)
    image = demo.make(name="before", colour="red", tags=["x"])
    changed = demo.patch(
        image,
        {"op": "replace", "path": "/name", "value": "after"},
        {"op": "replace", "path": "/colour", "value": "blue"},
        {"op": "add", "path": "/shape", "value": "round"},
        {"op": "add", "path": "/a~1b~0c", "value": "slash"},
        {"op": "replace", "path": "/tags", "value": ["y", "z", "y"]},
        {"op": "replace", "path": "/min_ram", "value": 64},
        {"op": "replace", "path": "/visibility", "value": "private"},
    )
    assert changed["name"] == "after"
    assert changed["colour"] == "blue"
    assert changed["shape"] == "round"
    assert changed["a/b~c"] == "slash"
    assert changed["tags"] == ["y", "z"]
    assert changed["min_ram"] == 64
    assert changed["visibility"] == "private"
    assert demo.get(f"/images/{image['id']}") == changed
    gone = demo.patch(image, {"op": "remove", "path": "/colour"})
    assert "colour" not in gone
    assert "colour" not in demo.get(f"/images/{image['id']}")
    # What is there is replaced by an addition.
    assert demo.patch(image, {"op": "add", "path": "/shape", "value": "x"})["shape"] == "x"
    assert demo.patch(image, {"op": "add", "path": "/name", "value": "y"})["name"] == "y"


def test_the_first_dialect(local: Local) -> None:
    demo = actors.demo(local)
    image = demo.make(name="before")
    changed = demo.patch(
        image, {"replace": "/name", "value": "after"}, {"add": "/colour", "value": "red"},
        dialect=actors.FIRST,
    )  # fmt: skip
    assert (changed["name"], changed["colour"]) == ("after", "red")
    again = {"add": "/colour", "value": "red"}
    demo.patch(image, again, status=409, dialect=actors.FIRST)
    assert "colour" not in demo.patch(image, {"remove": "/colour"}, dialect=actors.FIRST)


def test_all_of_a_patch_or_nothing(local: Local) -> None:
    demo = actors.demo(local)
    image = demo.make(name="before")
    demo.patch(
        image, {"op": "replace", "path": "/name", "value": "after"},
        {"op": "replace", "path": "/nothing", "value": "x"}, status=409,
    )  # fmt: skip
    assert demo.get(f"/images/{image['id']}") == image


def test_what_a_patch_may_not(local: Local) -> None:
    demo = actors.demo(local)
    image = demo.made_active()
    for status, change in (
        (409, {"op": "remove", "path": "/nothing"}),
        (409, {"op": "replace", "path": "/nothing", "value": "x"}),
        (403, {"op": "remove", "path": "/name"}),
        (403, {"op": "replace", "path": "/id", "value": "x"}),
        (403, {"op": "replace", "path": "/status", "value": "queued"}),
        (403, {"op": "replace", "path": "/size", "value": 1}),
        (403, {"op": "add", "path": "/deleted", "value": "x"}),
        (403, {"op": "add", "path": "/os_glance_x", "value": "x"}),
        (403, {"op": "replace", "path": "/disk_format", "value": "qcow2"}),
        (403, {"op": "add", "path": "/locations/-", "value": {"url": "file:///etc/passwd"}}),
        (403, {"op": "replace", "path": "/locations", "value": []}),
        (400, {"op": "replace", "path": "/name", "value": 1}),
        (400, {"op": "replace", "path": "/tags", "value": "x"}),
        (400, {"op": "replace", "path": "/min_disk", "value": -1}),
        (400, {"op": "add", "path": "/own", "value": 1}),
        (400, {"op": "add", "path": "/own/deeper", "value": "x"}),
        (400, {"op": "add", "path": "own", "value": "x"}),
        (400, {"op": "move", "from": "/name", "path": "/own"}),
        (400, {"op": "test", "path": "/name", "value": "x"}),
        (400, {"path": "/name", "value": "x"}),
        (400, {"op": "add", "path": "/own"}),
        (400, {"replace": "/name", "value": "x"}),
    ):
        demo.patch(image, change, status=status)
    assert demo.get(f"/images/{image['id']}") == image
    demo.patch(image, "x", status=400)
    answer = demo.ask("PATCH", f"/images/{image['id']}", {"name": "x"}, content_type=actors.SECOND)
    assert answer.status == 400


def test_other_media_types_are_refused(local: Local) -> None:
    demo = actors.demo(local)
    image = demo.make()
    for kind in ("application/json", "application/json-patch+json", "text/plain"):
        answer = demo.ask("PATCH", f"/images/{image['id']}", [], content_type=kind)
        assert answer.status == 415
        assert actors.SECOND in answer.headers["accept-patch"]


def test_formats_change_while_there_is_no_data(local: Local) -> None:
    demo = actors.demo(local)
    image = demo.make(disk_format=None, container_format=None)
    demo.upload(image, b"x", status=400)
    changed = demo.replace(image, disk_format="raw", container_format="bare")
    assert (changed["disk_format"], changed["container_format"]) == ("raw", "bare")
    demo.upload(image, b"x")
