"""Snapshots: the root disk as it is at one moment, whole, and sent away."""

from pathlib import Path

import msgspec
import pytest

from onestack.cli.guest import GuestImage
from tests.compute.libvirt.guests import booted, source, spec
from tests.compute.libvirt.hosts import CallFailed, Host, command
from tests.compute.libvirt.services import web

WRITE = "#!/bin/sh\necho KEPT-IN-MIND > /var/lib/mine; sync; echo WRITTEN"


def test_a_snapshot_is_an_image_of_its_own(host: Host, tiny: GuestImage) -> None:
    guest = spec(tiny.disk, user_data=WRITE)
    root = msgspec.structs.replace(guest.disks[0], size_gb=0)  # no larger than the image
    guest = msgspec.structs.replace(guest, disks=[root, *guest.disks[1:]])
    host.call("create", guest=guest)
    assert "WRITTEN" in booted(host, guest)
    with web(host, "127.0.0.1", 8008) as folder:
        url = "http://127.0.0.1:8008"
        host.call("snapshot", guest_id=guest.id, url=f"{url}/live", disk_format="qcow2")
        host.call("snapshot", guest_id=guest.id, url=f"{url}/live.raw", disk_format="raw")
        with pytest.raises(CallFailed):
            host.call("snapshot", guest_id=guest.id, url="http://127.0.0.1:9/", disk_format="raw")
        host.call("stop", guest_id=guest.id, patience_s=30)
        host.call("snapshot", guest_id=guest.id, url=f"{url}/off", disk_format="qcow2")
        # nothing was left behind, and the image that the guest lies over is what it was
        own = host.folder / "lib/guests" / guest.id
        assert not list(own.glob("snapshot*"))
        base = next(own.glob("root.base.*"))
        assert base.read_bytes() == tiny.disk.read_bytes()
        for name in ("live", "off"):
            said = command("qemu-img", "info", "-f", "qcow2", str(folder / name))
            assert "backing file" not in said
            command(
                "qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(folder / name),
                str(folder / f"{name}.raw"),
            )  # fmt: skip
        for name in ("live.raw", "off.raw"):
            assert b"KEPT-IN-MIND" in (folder / name).read_bytes(), name
        host.call("destroy", guest_id=guest.id)
        again = spec(copied(folder / "live", folder / "image.qcow2"))
        host.call("create", guest=again)
        assert "host tiny" in booted(host, again)
        host.call("destroy", guest_id=again.id)


def copied(path: Path, target: Path) -> Path:
    target.write_bytes(path.read_bytes())
    assert source(target, "qcow2").size
    return target
