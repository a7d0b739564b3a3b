"""OSSA-2015-011, -014, 2016-001, -007: a disk that builds on another file has it read."""

import pytest

from tests.cloud import Local
from tests.image import actors, disks


@pytest.mark.parametrize("backing", [b"/etc/passwd", b"json:{}", b"nbd://127.0.0.1/", b"x"])
def test_a_backing_file_is_refused_at_upload(local: Local, backing: bytes) -> None:
    demo = actors.demo(local)
    for version in (2, 3):
        image = demo.make(disk_format="qcow2")
        answer = demo.upload(image, disks.qcow2(version=version, backing=backing), status=400)
        assert b"passwd" not in answer.content
        assert demo.get(f"/images/{image['id']}")["status"] == "queued"
        assert demo.data(image, status=204) == b""


def test_a_difference_to_another_file_is_refused(local: Local) -> None:
    demo = actors.demo(local)
    for disk_format, disk in (
        ("vhd", disks.vhd(kind=4)),
        ("vhdx", disks.vhdx(flags=2)),
        ("vdi", disks.vdi(kind=4)),
        ("vmdk", disks.vmdk(disks.description(more='parentFileNameHint="/etc/passwd"'))),
    ):
        demo.upload(demo.make(disk_format=disk_format), disk, status=400)
