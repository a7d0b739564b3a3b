"""OSSA-2024-002 (CVE-2024-40767): an image is declared as what it is not."""

from tests.cloud import Local
from tests.image import actors, disks


def test_the_declared_format_is_the_real_one(local: Local) -> None:
    demo = actors.demo(local)
    for declared in ("raw", "iso", "vmdk", "vhd", "ami", "aki", "ari"):
        demo.upload(demo.make(disk_format=declared), disks.qcow2(), status=400)
    for disk in (disks.vmdk(), disks.vhdx(), disks.vdi(), disks.vhd(), bytes(4096)):
        demo.upload(demo.make(disk_format="qcow2"), disk, status=400)


def test_an_image_is_one_thing_only(local: Local) -> None:
    demo = actors.demo(local)
    both = disks.iso(disks.qcow2(backing=b"/etc/passwd")[:1024])
    for declared in ("iso", "qcow2", "raw"):
        demo.upload(demo.make(disk_format=declared), both, status=400)


def test_packing_hides_no_disk(local: Local) -> None:
    demo = actors.demo(local)
    for container in ("ova", "docker", "compressed"):
        image = demo.make(disk_format="vmdk", container_format=container)
        demo.upload(image, disks.qcow2(backing=b"/etc/passwd"), status=400)


def test_a_format_cannot_change_under_data(local: Local) -> None:
    demo = actors.demo(local)
    image = demo.made_active(disks.qcow2(), disk_format="qcow2")
    demo.replace(image, status=403, disk_format="raw")
    demo.replace(image, status=403, container_format="ova")
