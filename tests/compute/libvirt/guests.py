"""Guests for tests: the tiny guest, told by a config drive who it is, and what it said."""

import base64
import json
import shutil
import subprocess
import tempfile
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from onestack.compute.hypervisor import Disk, GuestSpec, Nic
from onestack.core.download import Source
from tests.compute.libvirt.hosts import Host, until

BOOT_S = 180.0
DONE = "GUEST-CLOUDINIT-DONE"


def source(path: Path, disk_format: str) -> Source:
    """An image that lies on the host."""
    return Source(f"http://nowhere/{path.name}", path.stat().st_size, "", disk_format, str(path))


@dataclass
class Person:
    """Whose key opens the guests."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="lvt-key-")))

    @cached_property
    def key(self) -> str:
        words = ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(self.folder / "key")]
        subprocess.run(words, check=True, timeout=30)
        return (self.folder / "key.pub").read_text().strip()

    def forget(self) -> None:
        shutil.rmtree(self.folder)


def drive(guest_id: str, key: str = "", user_data: str = "") -> Disk:
    """A config drive as the compute service makes it."""
    said = {"uuid": guest_id, "hostname": "tiny.novalocal", "public_keys": {"mine": key}}
    files = {
        "openstack/latest/meta_data.json": json.dumps(said).encode(),
        "openstack/latest/user_data": user_data.encode(),
    }
    packed = {name: base64.b64encode(content).decode() for name, content in files.items()}
    return Disk(id="config", device="vdb", config_drive=packed)


def spec(
    image: Path, key: str = "", user_data: str = "", disks: list[Disk] = [], nics: list[Nic] = []  # noqa: B006 - never changed
) -> GuestSpec:  # fmt: skip
    """A guest as the compute service orders it."""
    guest_id = str(uuid.uuid4())
    root = Disk(id="root", device="vda", size_gb=1, image=source(image, "qcow2"), boot_index=0)
    return GuestSpec(
        id=guest_id,
        name=f"instance-{guest_id[:8]}",
        vcpus=1,
        memory_mb=128,
        disks=[root, drive(guest_id, key, user_data), *disks],
        nics=nics,
        display_name="a <tiny> & \"quoted\" 'name'\x07",
    )


def booted(host: Host, guest: GuestSpec, times: int = 1) -> str:
    """Wait until the guest has said that often that it is ready; all that it said."""

    def is_ready() -> bool:
        return bool(host.call("console_log", guest_id=guest.id).count(DONE) >= times)

    until(is_ready, BOOT_S, f"{guest.name} boots")
    return str(host.call("console_log", guest_id=guest.id))
