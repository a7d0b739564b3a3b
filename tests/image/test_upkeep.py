"""A killed process leaves nothing behind for long."""

import datetime as dt
from pathlib import Path
from typing import Any

from sqlalchemy import update

from onestack.core import clock
from onestack.core.db import Database
from onestack.core.engine import Engine
from onestack.core.flow import begin
from onestack.image.images.record import ImageRecord
from onestack.image.upkeep import ClearAway
from tests.cloud import Local
from tests.image import actors
from tests.image.uploads import SlowUpload, files_of

LONG_AGO = dt.timedelta(hours=1)


def tidy(local: Local) -> None:
    """Let upkeep run once."""
    engine = local.cloud.get(Engine)
    with local.cloud.get(Database).transaction() as session:
        begin(session, ClearAway, None, {})
    engine.run_until_idle()
    with local.cloud.get(Database).transaction() as session:
        session.connection().exec_driver_sql("DELETE FROM flows")


def change(local: Local, image: Any, **values: Any) -> None:
    with local.cloud.get(Database).transaction() as session:
        session.execute(update(ImageRecord).where(ImageRecord.id == image["id"]).values(**values))


def test_an_upload_whose_process_died_can_be_done_again(fresh: Local) -> None:
    demo = actors.demo(fresh)
    image = demo.make()
    # As a process leaves it that is killed in the middle.
    silent = {"status": "saving", "data": "a" * 32, "upload_seen_at": clock.now() - LONG_AGO}
    change(fresh, image, **silent)
    Path(fresh.data, "images", "incoming", "a" * 32).write_bytes(b"half")
    demo.upload(image, b"x", status=409)
    tidy(fresh)
    assert files_of(fresh) == []
    assert demo.get(f"/images/{image['id']}")["status"] == "queued"
    demo.upload(image, b"whole")
    assert demo.data(image) == b"whole"


def test_a_file_that_no_image_refers_to_goes(fresh: Local) -> None:
    demo = actors.demo(fresh)
    image = demo.made_active()
    # Killed between the file's rename and the commit, or between a deletion and its file's.
    Path(fresh.data, "images", "b" * 32).write_bytes(b"orphan")
    Path(fresh.data, "images", "other-file").write_bytes(b"not ours")
    tidy(fresh)
    assert len(files_of(fresh)) == 2
    assert "b" * 32 not in files_of(fresh)
    assert demo.data(image) == b"data"


def test_what_is_under_way_is_left_alone(fresh: Local) -> None:
    demo = actors.demo(fresh)
    image = demo.make()
    upload = SlowUpload(demo, image)
    upload.piece(b"one")
    tidy(fresh)
    upload.piece(b"two", is_last=True)
    assert upload.status() == 204
    assert demo.data(image) == b"onetwo"


def test_an_upload_that_was_given_up_does_not_come_back(fresh: Local) -> None:
    demo = actors.demo(fresh)
    image = demo.make()
    upload = SlowUpload(demo, image)
    upload.piece(b"old")
    change(fresh, image, upload_seen_at=clock.now() - LONG_AGO)
    tidy(fresh)
    demo.upload(image, b"new")
    upload.piece(b"old", is_last=True)
    assert upload.status() == 410
    assert demo.data(image) == b"new"
    assert len(files_of(fresh)) == 1
