"""Images: registered, shown, listed, changed and deleted."""

import hashlib
import re

from tests.cloud import Local
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
    assert shown["checksum"] == hashlib.md5(data).hexdigest()
    assert shown["os_hash_algo"] == "sha512"
    assert shown["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert shown["stores"] == "file"
    assert demo.data(made) == data
    demo.delete(path)
    demo.get(path, status=404)
    demo.delete(path, status=404)
    assert made["id"] not in demo.ids()
