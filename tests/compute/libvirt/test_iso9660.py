"""Config drives, read by another program than the one that wrote them."""

import subprocess
from pathlib import Path

import pytest

from onestack.compute.drivers.libvirt import iso9660
from tests.compute.libvirt.hosts import command
from tests.servers.install import program

FILES = {
    "openstack/latest/meta_data.json": b'{"uuid": "1"}',
    "openstack/latest/user_data": b"",
    "openstack/2018-08-27/network_data.json": bytes(range(256)) * 100,
    "ec2/latest/meta-data.json": b"{}",
    **{f"openstack/content/{number:04}": str(number).encode() for number in range(80)},
}


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    path = tmp_path / "drive.iso"
    path.write_bytes(iso9660.image(FILES, "config-2"))
    return path


def test_every_file_is_found_by_its_name(drive: Path) -> None:
    words = (str(program("isoinfo")), "-R", "-i", str(drive))
    folders = {str(parent) for name in FILES for parent in Path(name).parents} - {"."}
    listed = command(*words, "-f").split()
    assert sorted(listed) == sorted(f"/{name}" for name in {*FILES, *folders})
    for name, content in list(FILES.items())[:6]:
        done = subprocess.run([*words, "-x", f"/{name}"], capture_output=True, check=True)
        assert done.stdout == content


def test_the_volume_has_its_label(drive: Path) -> None:
    said = command("blkid", "-p", str(drive))
    assert 'LABEL="config-2"' in said
    assert 'TYPE="iso9660"' in said


def test_the_same_content_is_the_same_image() -> None:
    backwards = dict(reversed(FILES.items()))
    assert iso9660.image(FILES, "config-2") == iso9660.image(backwards, "config-2")
