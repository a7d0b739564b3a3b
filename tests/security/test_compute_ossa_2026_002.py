"""OSSA-2026-002 (CVE-2026-24708): a guest writes a header of qcow2 into its own raw disk, which the
host takes for one when it resizes, moves or starts the guest."""

import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from onestack.compute.drivers.libvirt.disks import Disks
from onestack.compute.drivers.libvirt.domain import Machine, domain_xml
from onestack.compute.drivers.libvirt.images import size_of
from onestack.compute.drivers.libvirt.layout import Layout
from onestack.compute.hypervisor import Disk, GuestSpec
from onestack.core import shell
from onestack.core.download import Source
from onestack.core.shell_host import Result

GUEST = "0b7d7f0a-4a55-4c5e-9a11-0a4b0c9f1d01"
NAME = b"/etc/passwd"
HEADER = struct.pack(">4sIQI", b"QFI\xfb", 3, 112, len(NAME)).ljust(112, b"\0") + NAME


@pytest.fixture
def layout() -> Iterator[Layout]:
    """A host's folder, with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        one = Layout(Path(folder))
        one.make()
        yield one


def test_a_disk_is_what_it_was_made_as_whatever_is_in_it(layout: Layout) -> None:
    folder = layout.guest(GUEST)
    folder.mkdir()
    for name in ("ephemeral0.raw", "root.base.raw", "root.qcow2"):
        (folder / name).write_bytes(HEADER.ljust(4096, b"\0"))
    image = Source("http://nowhere/", 4096, "", "raw")
    disks = [Disk(id="root", device="vda", image=image), Disk(id="ephemeral0", device="vdb")]
    guest = GuestSpec(id=GUEST, name="instance-1", vcpus=1, memory_mb=64, disks=disks)
    files = Disks(layout).find(guest)
    machine = Machine("mark", is_kvm=False, initiator="iqn.2026-11.test:x")
    found = fromstring(domain_xml(guest, files, machine))  # noqa: S314 - our own
    drivers = [each.get("type") for each in found.iterfind("./devices/disk/driver")]
    layers = [each.get("type") for each in found.iterfind("./devices/disk/backingStore/format")]
    assert (drivers, layers) == (["qcow2", "raw"], ["raw"])
    assert size_of(folder / "ephemeral0.raw", "raw") == 4096


def test_every_call_of_qemu_img_names_the_format(layout: Layout, tmp_path: Path) -> None:
    """Also when a disk is made, grown and measured."""
    image = tmp_path / "image.raw"
    image.write_bytes(HEADER.ljust(1 << 20, b"\0"))
    source = Source("http://nowhere/", 1 << 20, "", "raw", str(image))
    root = Disk(id="root", device="vda", size_gb=1, image=source)
    guest = GuestSpec(id=GUEST, name="instance-1", vcpus=1, memory_mb=64, disks=[root])

    def answer(argv: tuple[str, ...], _input: bytes | None) -> Result:
        for word in argv:
            if word.endswith("root.qcow2"):
                Path(word).touch()
        return Result(b'{"virtual-size": 1073741824}', b"", 0)

    with shell.use(shell.Simulated(answer)) as programs:
        disks = Disks(layout)
        disks.make(guest)
        disks.grow_root(GUEST, 2)
    called = [words for words in programs.commands if "qemu-img" in words]  # type: ignore[attr-defined]
    # What sets the limits comes first, and with it the program a first time.
    verbs = [words[words.index("qemu-img") + 2] for words in called]
    assert verbs == ["create", "info", "resize"]
    assert all("-f" in words for words in called)
    assert "-F" in called[0]
    assert called[0][called[0].index("-F") + 1] == "raw"
