"""OSSA-2016-012, 2013-012, -029: an image claims more than any disk has."""

import time

import pytest

from tests.cloud import Local
from tests.image import actors, disks

EXBIBYTE = 1 << 60


@pytest.mark.parametrize(
    ("disk_format", "disk"),
    [
        ("qcow2", disks.qcow2(8 * EXBIBYTE)),
        ("qcow2", disks.qcow2((1 << 64) - 1)),
        ("vmdk", disks.vmdk(sectors=(1 << 64) - 1)),
        ("vdi", disks.vdi(8 * EXBIBYTE)),
        ("vhd", disks.vhd(8 * EXBIBYTE)),
        ("vhdx", disks.vhdx(8 * EXBIBYTE)),
        ("qcow2", disks.qcow2(extensions=disks.extension(1, b"") * 5000)),
        ("vmdk", disks.vmdk(b"# Disk DescriptorFile\n" + b'="' * 5000)),
    ],
)
def test_absurd_sizes_are_refused_at_once(local: Local, disk_format: str, disk: bytes) -> None:
    demo = actors.demo(local)
    image = demo.make(disk_format=disk_format)
    began = time.monotonic()
    demo.upload(image, disk, status=400)
    assert time.monotonic() - began < 5
