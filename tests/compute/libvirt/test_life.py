"""A guest's life: made, started, stopped, paused, suspended, destroyed; whoever dies meanwhile."""

import json
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from onestack.cli.guest import GuestImage
from onestack.compute.hypervisor import Disk, Guest, GuestSpec
from tests.compute.libvirt.guests import booted, drive, source, spec
from tests.compute.libvirt.hosts import CallFailed, Host, until

VISIT = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as visit:
        print(visit.recv(12).decode())
except ConnectionRefusedError:
    print("refused")
"""


@pytest.fixture
def guest(tiny: GuestImage) -> GuestSpec:
    return spec(tiny.disk)


def power(host: Host, guest: GuestSpec) -> str | None:
    found = {each.id: each.power for each in host.call("guests")}
    return found.get(guest.id)


def test_a_guest_is_made_boots_and_leaves_nothing(host: Host, tiny: GuestImage) -> None:
    disks = [
        Disk(id="ephemeral0", device="vdc", size_gb=1),
        Disk(id="swap", device="vdd", size_mb=64),
    ]
    guest = spec(
        tiny.disk, user_data="#!/bin/sh\nfor d in vda vdc vdd; do blkid /dev/$d; done; df -m /",
        disks=disks,
    )  # fmt: skip
    made = host.call("create", guest=guest)
    assert made == Guest(guest.id, "running", ["root", "config", "ephemeral0", "swap"])
    assert host.call("create", guest=guest) == made  # again, with the same effect
    said = booted(host, guest)
    assert "via config-drive host tiny" in said
    assert 'LABEL="guestroot"' in said
    assert 'LABEL="ephemeral0"' in said
    assert 'TYPE="swap"' in said
    host.call("destroy", guest_id=guest.id)
    host.call("destroy", guest_id=guest.id)
    assert power(host, guest) is None
    assert not list(host.folder.rglob(f"*{guest.id}*"))
    assert not list(host.folder.rglob(f"{guest.name}*xml"))


def test_power(host: Host, guest: GuestSpec) -> None:
    host.call("create", guest=guest)
    booted(host, guest)
    assert host.call("pause", guest_id=guest.id).power == "paused"
    assert host.call("pause", guest_id=guest.id).power == "paused"
    assert host.call("unpause", guest_id=guest.id).power == "running"
    assert host.call("suspend", guest_id=guest.id).power == "suspended"
    assert power(host, guest) == "suspended"
    assert host.call("resume", guest=guest).power == "running"
    assert host.call("stop", guest_id=guest.id, patience_s=30).power == "shutdown"
    said = host.call("console_log", guest_id=guest.id)
    assert said.count("GUEST-BOOT") == 1  # it went on after being suspended, and heard the button
    assert host.call("start", guest=guest).power == "running"
    booted(host, guest, times=2)
    assert host.call("reboot", guest=guest, is_hard=False).power == "running"
    booted(host, guest, times=3)
    assert host.call("reboot", guest=guest, is_hard=True).power == "running"
    assert host.call("stop", guest_id=guest.id, patience_s=0).power == "shutdown"
    host.call("destroy", guest_id=guest.id)


def test_who_destroys_a_guest_does_not_wait_until_it_shuts_down(
    host: Host, tiny: GuestImage
) -> None:
    deaf = spec(tiny.disk, user_data="#!/bin/sh\nkillall acpid")
    host.call("create", guest=deaf)
    booted(host, deaf)
    with ThreadPoolExecutor(1) as threads:
        stopping = threads.submit(host.call, "stop", guest_id=deaf.id, patience_s=3600)
        time.sleep(1)
        host.call("destroy", guest_id=deaf.id)
        assert stopping.result().power == "shutdown"
    assert power(host, deaf) is None


def test_guests_outlive_the_agent_and_libvirtd(host: Host, guest: GuestSpec) -> None:
    host.call("create", guest=guest)
    booted(host, guest)
    daemons, machines = host.processes("libvirtd"), host.processes("qemu")
    host.kill()
    host.restart()
    assert power(host, guest) == "running"
    assert (host.processes("libvirtd"), host.processes("qemu")) == (daemons, machines)
    for pid in daemons:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not host.processes("libvirtd"), 60, "libvirtd ends")
    assert power(host, guest) == "running"
    assert host.processes("qemu") == machines
    assert host.call("stop", guest_id=guest.id, patience_s=30).power == "shutdown"
    host.call("destroy", guest_id=guest.id)


def test_a_libvirtd_that_nobody_noted_gives_way(host: Host, guest: GuestSpec) -> None:
    """As one whose agent is killed at the very moment of its start: there would be two."""
    host.call("create", guest=guest)
    booted(host, guest)
    before, machines = host.processes("libvirtd"), host.processes("qemu")
    host.kill()
    (note,) = host.folder.rglob("libvirtd.json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {"pid": 0}))
    host.restart()
    assert power(host, guest) == "running"
    after = host.processes("libvirtd")
    assert len(after) == len(before)
    assert not set(after) & set(before)
    assert host.processes("qemu") == machines
    host.call("destroy", guest_id=guest.id)


def test_a_host_that_is_taken_down_has_nothing_running(host: Host, guest: GuestSpec) -> None:
    host.call("create", guest=guest)
    booted(host, guest)
    host.call("take_down")
    assert host.processes("libvirtd") == host.processes("qemu") == []
    host.kill()
    host.restart()
    assert power(host, guest) == "shutdown"
    assert host.call("start", guest=guest).power == "running"
    assert booted(host, guest, times=2).count("GUEST-BOOT") == 2
    host.call("destroy", guest_id=guest.id)


def test_a_guest_that_crashed_is_seen_and_starts_again(host: Host, guest: GuestSpec) -> None:
    before = set(host.processes("qemu"))
    host.call("create", guest=guest)
    for pid in set(host.processes("qemu")) - before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: power(host, guest) in ("crashed", "shutdown"), 60, "the crash is seen")
    assert host.call("start", guest=guest).power == "running"
    booted(host, guest)
    host.call("destroy", guest_id=guest.id)


def test_what_cannot_be_is_refused_and_leaves_nothing(
    host: Host, tiny: GuestImage, tmp_path: Path
) -> None:
    for guest, why in hostile(tiny, tmp_path):
        with pytest.raises(CallFailed, match=why):
            host.call("create", guest=guest)
        host.call("destroy", guest_id=guest.id)
        assert not list(host.folder.rglob(f"*{guest.id}*"))


def visited(host: Host, port: int) -> str:
    """The first that a port of the host says."""
    return host.run(sys.executable, "-c", VISIT, host.address, str(port))


def hostile(tiny: GuestImage, folder: Path) -> list[tuple[GuestSpec, str]]:
    """Guests that must not be made, and what is said of each."""
    root = spec(tiny.disk).disks[0]
    cases = []
    liar = folder / "liar.qcow2"
    liar.write_bytes(b"no qcow2" * 1000)
    cases.append((liar, "no qcow2"))
    for name, at, value in (("backing", 8, b"\0" * 7 + b"\x70"), ("data", 72, b"\0" * 7 + b"\x04")):
        path = folder / f"{name}.qcow2"
        content = bytearray(tiny.disk.read_bytes())
        content[at : at + 8] = value
        path.write_bytes(content)
        cases.append((path, "refers to another file"))
    found = [(spec(path), why) for path, why in cases]
    small = spec(tiny.disk)
    image = folder / "large.raw"
    with image.open("wb") as file:
        file.truncate(3 << 30)
    large = Disk(id="root", device="vda", size_gb=1, image=source(image, "raw"))
    found.append((_with(small, [large, drive(small.id)]), "needs 3 GB"))
    bad = Disk(id="root", device="vda'/>", size_gb=1, image=root.image)
    found.append((_with(spec(tiny.disk), [bad]), "device"))
    return found


def _with(guest: GuestSpec, disks: list[Disk]) -> GuestSpec:
    return GuestSpec(
        id=guest.id, name=guest.name, vcpus=1, memory_mb=128, disks=disks
    )  # fmt: skip


def test_a_kernel_of_its_own_boots_a_root_disk(host: Host, tiny: GuestImage) -> None:
    guest = spec(tiny.disk)
    guest = GuestSpec(
        id=guest.id, name=guest.name, vcpus=1, memory_mb=128, disks=guest.disks,
        kernel=source(tiny.kernel, "aki"), ramdisk=source(tiny.initrd, "ari"),
        command_line="root=LABEL=guestroot console=tty0 console=ttyS0 quiet word-of-mine",
    )  # fmt: skip
    host.call("create", guest=guest)
    booted(host, guest)
    host.call("destroy", guest_id=guest.id)


def test_a_disk_grows_while_the_guest_is_off(host: Host, tiny: GuestImage) -> None:
    guest = spec(tiny.disk, user_data="#!/bin/sh\ncat /sys/block/vda/size")
    host.call("create", guest=guest)
    assert "2097152" in booted(host, guest)
    host.call("stop", guest_id=guest.id, patience_s=30)
    host.call("resize_root", guest_id=guest.id, size_gb=2)
    host.call("resize_root", guest_id=guest.id, size_gb=1)  # never smaller
    again = spec(tiny.disk, user_data="#!/bin/sh\ncat /sys/block/vda/size")
    root, config = guest.disks[0], drive(again.id, user_data="#!/bin/sh\ncat /sys/block/vda/size")
    (host.folder / "lib/guests" / guest.id / "config.iso").unlink()
    bigger = GuestSpec(id=guest.id, name=guest.name, vcpus=1, memory_mb=128, disks=[root, config])
    host.call("create", guest=bigger)
    assert "4194304" in booted(host, guest, times=2)
    host.call("destroy", guest_id=guest.id)


def test_a_console_is_bounded_and_reachable(host: Host, guest: GuestSpec) -> None:
    host.call("create", guest=guest)
    log = host.folder / "lib/guests" / guest.id / "serial.log"
    booted(host, guest)
    with log.open("ab") as file:
        file.write(b"x" * (3 << 20) + b"the end\n")
    host.call("describe")
    assert log.stat().st_size < 1 << 20
    assert host.call("console_log", guest_id=guest.id).endswith("the end\n")
    screen = host.call("console", guest_id=guest.id, kind="vnc")
    assert screen.host == host.address
    assert visited(host, screen.port).startswith("RFB 003")
    assert visited(host, screen.port) == "refused\n"  # it takes one visitor
    host.call("destroy", guest_id=guest.id)
    with pytest.raises(CallFailed, match="no vnc console"):
        host.call("console", guest_id=guest.id, kind="vnc")
