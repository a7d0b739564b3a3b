"""OSSA-2023-002 (CVE-2022-47951): the description of a VMDK names files of the host."""

import pytest

from tests.cloud import Local
from tests.image import actors, disks

FLAT = 'RW 100 FLAT "/etc/passwd" 0'


@pytest.mark.parametrize(
    "disk",
    [
        disks.description("monolithicFlat", FLAT),
        disks.vmdk(disks.description("monolithicFlat", FLAT)),
        disks.vmdk(disks.description("monolithicSparse", FLAT)),
        disks.vmdk(disks.description("streamOptimized", 'RW 100 SPARSE "/etc/passwd"')),
        disks.vmdk(disks.description("twoGbMaxExtentFlat", FLAT)),
        disks.vmdk(disks.description(), sectors=0),
        disks.vmdk(disks.description("streamOptimized"), version=3, footer=b"KDMV"),
    ],
)
def test_only_vmdks_of_one_file_are_taken(local: Local, disk: bytes) -> None:
    demo = actors.demo(local)
    image = demo.make(disk_format="vmdk")
    demo.upload(image, disk, status=400)
    demo.upload(image, disks.vmdk())
