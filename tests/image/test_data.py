"""Data is uploaded once, whole or not at all, and downloaded as it came."""

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import Local
from tests.conftest import Clouds
from tests.image import actors
from tests.image.uploads import SlowUpload, files_of

DATA = bytes(range(256)) * 40


@pytest.fixture
def demo(fresh: Local) -> actors.Actor:
    """A member of a project, in a cloud with an empty store."""
    return actors.demo(fresh)


def test_parts_are_downloaded(demo: actors.Actor) -> None:
    image = demo.made_active(DATA)
    path = f"/images/{image['id']}/file"
    whole = demo.ask("GET", path)
    assert whole.status == 200
    assert whole.content == DATA
    assert whole.headers["content-md5"] == image["checksum"]
    assert whole.headers["content-type"] == "application/octet-stream"
    assert whole.headers["content-length"] == str(len(DATA))
    assert "etag" not in whole.headers
    for asked, start, end in (("bytes=0-9", 0, 10), ("bytes=10000-", 10000, 10240),
                              ("bytes=-5", 10235, 10240), ("bytes=5-99999", 5, 10240)):  # fmt: skip
        part = demo.ask("GET", path, Range=asked)
        assert part.status == 206
        assert part.content == DATA[start:end]
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{len(DATA)}"
    old = demo.ask("GET", path, Content_Range="bytes 1-3/*")
    assert (old.status, old.content) == (206, DATA[1:4])
    assert demo.ask("GET", path, Range="bytes=10240-").status == 416
    assert demo.ask("HEAD", path).headers["content-length"] == str(len(DATA))


def test_data_comes_once(demo: actors.Actor) -> None:
    image = demo.made_active(DATA)
    demo.upload(image, b"other", status=409)
    assert demo.data(image) == DATA
    assert len(files_of(demo.local)) == 1
    demo.delete(f"/images/{image['id']}")
    assert files_of(demo.local) == []


def test_uploads_say_what_they_are(demo: actors.Actor) -> None:
    image = demo.make()
    for kind in ("application/json", "text/plain", ""):
        headers = {"content-type": kind} if kind else {}
        answer = demo.ask("PUT", f"/images/{image['id']}/file", b"{}", **headers)
        if kind:
            assert answer.status == 415
    demo.upload(demo.make(), b"x", status=400, x_image_meta_store="elsewhere")
    demo.upload(demo.make(), b"x", x_image_meta_store="file")


def test_of_two_uploads_one_wins(demo: actors.Actor) -> None:
    image = demo.make()
    first = SlowUpload(demo, image)
    first.piece(DATA)
    assert demo.get(f"/images/{image['id']}")["status"] == "saving"
    second = SlowUpload(demo, image)
    second.piece(b"other", is_last=True)
    assert second.status() == 409
    first.piece(DATA, is_last=True)
    assert first.status() == 204
    assert demo.data(image) == DATA * 2


def test_a_client_that_leaves_leaves_nothing(demo: actors.Actor) -> None:
    image = demo.make()
    upload = SlowUpload(demo, image)
    upload.piece(DATA)
    assert len(files_of(demo.local)) == 1
    upload.leave()
    upload.status()
    assert files_of(demo.local) == []
    shown = demo.get(f"/images/{image['id']}")
    assert (shown["status"], shown["size"], shown["checksum"]) == ("queued", None, None)
    demo.upload(image, DATA)
    assert demo.data(image) == DATA


def test_an_image_deleted_during_its_upload_is_gone(demo: actors.Actor) -> None:
    image = demo.make()
    upload = SlowUpload(demo, image)
    upload.piece(DATA)
    demo.delete(f"/images/{image['id']}")
    upload.piece(DATA, is_last=True)
    assert upload.status() == 410
    assert files_of(demo.local) == []


def test_refused_data_is_not_kept(demo: actors.Actor) -> None:
    image = demo.make(disk_format="qcow2")
    demo.upload(image, b"no qcow2 at all", status=400)
    assert demo.get(f"/images/{image['id']}")["status"] == "queued"
    assert files_of(demo.local) == []


def test_data_may_be_as_long_as_the_settings_say(another: Clouds) -> None:
    demo = actors.demo(another(ONESTACK_IMAGE_SIZE_MAX_BYTES="1000"))
    image = demo.make()
    demo.upload(image, b"x" * 1001, status=413)
    upload = SlowUpload(demo, image)
    upload.piece(b"x" * 600)
    upload.piece(b"x" * 600)
    assert upload.status() == 413
    assert files_of(demo.local) == []
    demo.upload(image, b"x" * 1000)


def test_a_full_disk_leaves_nothing(demo: actors.Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    # No test can fill a disk that others work on.
    monkeypatch.setattr("onestack.image.drivers.files._write", full)
    image = demo.make()
    demo.upload(image, DATA, status=413)
    assert demo.get(f"/images/{image['id']}")["status"] == "queued"
    assert files_of(demo.local) == []


def test_deactivated_images_are_for_administrators(demo: actors.Actor) -> None:
    admin = actors.admin(demo.local)
    image = demo.made_active(DATA)
    path = f"/images/{image['id']}"
    for _ in range(2):
        demo.post(f"{path}/actions/deactivate", status=204)
    assert demo.get(path)["status"] == "deactivated"
    demo.data(image, status=403)
    assert admin.data(image) == DATA
    for _ in range(2):
        demo.post(f"{path}/actions/reactivate", status=204)
    assert demo.data(image) == DATA
    queued = f"/images/{demo.make()['id']}"
    demo.post(f"{queued}/actions/deactivate", status=403)
    demo.post(f"{queued}/actions/reactivate", status=403)


def test_lost_data_is_not_found(demo: actors.Actor) -> None:
    image = demo.made_active(DATA)
    for name in files_of(demo.local):
        Path(demo.local.data, "images", name).unlink()
    demo.data(image, status=404)
    demo.delete(f"/images/{image['id']}")


def test_an_upload_takes_little_memory(demo: actors.Actor) -> None:
    upload = SlowUpload(demo, demo.make())
    piece = bytes(1 << 20)
    upload.piece(piece)
    tracemalloc.start()
    for _ in range(63):
        upload.piece(piece)
    upload.piece(b"", is_last=True)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert upload.status() == 204
    assert most < 8 << 20
