"""OSSA-2024-001 (CVE-2024-32498): a qcow2 image keeps its data in another file."""

import pytest

from tests.cloud import Local
from tests.image import actors, disks

DATA_FILE = 0x44415441


@pytest.mark.parametrize(
    "disk",
    [
        disks.qcow2(incompatible=0b100),
        disks.qcow2(incompatible=0b100, extensions=disks.extension(DATA_FILE, b"/etc/shadow")),
        disks.qcow2(extensions=disks.extension(DATA_FILE, b"/etc/shadow")),
        disks.qcow2(version=2, extensions=disks.extension(DATA_FILE, b"/etc/shadow")),
        disks.qcow2(extensions=disks.extension(1, b"x" * 500) * 60
                    + disks.extension(DATA_FILE, b"/etc/shadow")),
        disks.qcow2(incompatible=1 << 40),
    ],
)  # fmt: skip
def test_an_external_data_file_is_refused(local: Local, disk: bytes) -> None:
    demo = actors.demo(local)
    image = demo.make(disk_format="qcow2")
    demo.upload(image, disk, status=400)
    assert demo.get(f"/images/{image['id']}")["status"] == "queued"
