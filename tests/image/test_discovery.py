"""What the image service says of itself."""

from tests.cloud import Local
from tests.image import actors


def test_versions_need_no_token(local: Local) -> None:
    for path, status in (("/image/", 300), ("/image", 300), ("/image/versions", 200)):
        answer = local.ask("GET", path)
        assert answer.status == status
        versions = answer.body["versions"]
        assert [each["id"] for each in versions] == [f"v2.{n}" for n in range(16, -1, -1)]
        assert [each["status"] for each in versions] == ["CURRENT"] + ["SUPPORTED"] * 16
        assert versions[0]["links"][0]["href"] == "http://127.0.0.1:5000/image/v2/"


def test_schemas(local: Local) -> None:
    demo = actors.demo(local)
    image = demo.get("/schemas/image")
    assert image["name"] == "image"
    assert image["additionalProperties"] == {"type": "string"}
    shown = demo.made_active()
    assert shown.keys() <= image["properties"].keys()
    assert image["properties"]["size"]["readOnly"]
    assert "qcow2" in image["properties"]["disk_format"]["enum"]
    images = demo.get("/schemas/images")
    assert images["properties"]["images"]["items"] == image
    member = demo.get("/schemas/member")
    assert member["properties"]["status"]["enum"] == ["pending", "accepted", "rejected"]
    assert demo.get("/schemas/members")["properties"]["members"]["items"] == member
    task = demo.get("/schemas/task")
    assert "api_image_import" in task["properties"]["type"]["enum"]
    assert demo.get("/schemas/tasks")["properties"]["tasks"]["items"] == task
    assert local.ask("GET", "/image/v2/schemas/image").status == 401


def test_stores(local: Local) -> None:
    assert actors.demo(local).get("/info/stores")["stores"][0]["id"] == "file"


def test_what_is_not_built_is_not_there(local: Local) -> None:
    demo = actors.demo(local)
    for path in ("/cache", "/info/usage"):
        demo.get(path, status=404)


def test_errors_look_like_glances(local: Local) -> None:
    answer = actors.demo(local).ask("GET", "/images/nothing")
    assert answer.status == 404
    assert answer.body == {
        "message": "No image found with ID nothing", "code": "404 Not Found", "title": "Not Found"
    }  # fmt: skip


def test_an_image_without_an_id_is_not_there(local: Local) -> None:
    demo = actors.demo(local)
    demo.get("/images/", status=404)
    demo.delete("/images/", status=404)
