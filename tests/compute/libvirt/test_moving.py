"""Guests that move between hosts, shut down or running, with their disks."""

from xml.etree.ElementTree import fromstring

import msgspec
import pytest

from onestack.cli.guest import GuestImage
from onestack.compute.hypervisor import Disk, Guest, GuestSpec
from tests.compute.libvirt.guests import booted, spec
from tests.compute.libvirt.hosts import CallFailed, Host, command, until
from tests.compute.libvirt.services import Storage, storage

VOLUME = "9b3b6f2e-0000-4000-8000-000000000001"

SCRIPT = """#!/bin/sh
n=0
while :; do n=$((n+1)); echo TICK-$n > /dev/console; usleep 200000; done &
"""


def test_a_running_guest_moves_without_a_boot(tiny: GuestImage, pair: tuple[Host, Host]) -> None:
    with storage(pair[0]) as shelf:
        moves_with(tiny, pair, shelf)


def moves_with(tiny: GuestImage, pair: tuple[Host, Host], shelf: Storage) -> None:
    one, two = pair
    extra = Disk(id="ephemeral0", device="vdc", size_gb=1)
    volume = Disk(id=VOLUME, device="vdd", connection=shelf.connection)
    guest = spec(tiny.disk, user_data=SCRIPT, disks=[extra, volume])
    one.call("create", guest=guest)
    assert "TICK-1" in booted(one, guest)
    address = two.call("offer", guest=guest, is_live=True)
    one.call("migrate", guest=guest, address=address)
    assert guest.id not in [each.id for each in one.call("guests")]
    assert not (one.folder / "lib/guests" / guest.id).exists()
    assert not list((one.folder / "etc/secrets").iterdir())
    disks = ["root", "config", "ephemeral0", VOLUME]
    assert two.call("guests") == [Guest(guest.id, "running", disks, [])]
    before = len(two.call("console_log", guest_id=guest.id))
    until(lambda: len(two.call("console_log", guest_id=guest.id)) > before + 50, 60, "it ticks")
    assert "GUEST-BOOT" not in two.call("console_log", guest_id=guest.id)[before:]
    # OSSA-2020-006: what it is defined with there is what it has, and no device of before
    assert devices_of(two, guest.id, "--inactive") == devices_of(two, guest.id)
    assert two.call("reboot", guest=guest, is_hard=False).disks == disks
    assert devices_of(two, guest.id, "--inactive") == devices_of(two, guest.id)
    assert {each for each in devices_of(two, guest.id) if "iqn" in each} == {
        f"{shelf.connection['data']['target_iqn']}/{shelf.connection['data']['target_lun']}"
    }
    # it reaches its volume by the other host, and loses it there
    assert "two" in shelf.order("--op", "show", "--mode", "target")
    two.call("detach_disk", guest_id=guest.id, disk_id=VOLUME)
    assert not shelf.is_in_use()
    assert two.call("reboot", guest=without(guest), is_hard=True).disks == disks[:-1]
    two.call("destroy", guest_id=guest.id)


def test_a_guest_that_is_off_moves_with_its_disks(
    tiny: GuestImage, pair: tuple[Host, Host]
) -> None:
    one, two = pair
    write = "#!/bin/sh\necho KEPT > /var/lib/mine; sync; echo WRITTEN"
    guest = spec(tiny.disk, user_data=write)
    one.call("create", guest=guest)
    assert "WRITTEN" in booted(one, guest)
    one.call("stop", guest_id=guest.id, patience_s=30)
    two.call("offer", guest=guest, is_live=False)
    address = two.call("offer", guest=guest, is_live=False)  # asked again: the newest counts
    one.call("send_disks", guest_id=guest.id, address=address)
    one.call("send_disks", guest_id=guest.id, address=address)
    one.call("destroy", guest_id=guest.id)
    assert two.call("start", guest=guest).power == "running"
    booted(two, guest, times=2)
    two.call("stop", guest_id=guest.id, patience_s=30)
    assert b"KEPT" in content_of(two, guest.id)
    two.call("destroy", guest_id=guest.id)


def test_an_offer_opens_to_its_holder_only(tiny: GuestImage, pair: tuple[Host, Host]) -> None:
    one, two = pair
    guest = spec(tiny.disk)
    one.call("create", guest=guest)
    address = two.call("offer", guest=guest, is_live=True)
    place, token, fingerprint = address.split("/")
    forged = {
        f"{place}/{'x' * len(token)}/{fingerprint}": "does not know this offer",
        f"{place}/{token}/{'0' * len(fingerprint)}": "not the one that made the offer",
    }
    for each, why in forged.items():
        with pytest.raises(CallFailed, match=why):
            one.call("migrate", guest=guest, address=each)
    two.call("destroy", guest_id=guest.id)  # takes the offer back
    with pytest.raises(CallFailed):
        one.call("migrate", guest=guest, address=address)
    assert one.call("guests") == [Guest(guest.id, "running", ["root", "config"], [])]
    assert not list(two.folder.rglob(f"*{guest.id}*"))
    one.call("destroy", guest_id=guest.id)


def without(guest: GuestSpec) -> GuestSpec:
    """The guest when it has no volume any more."""
    own = [disk for disk in guest.disks if disk.connection is None]
    return msgspec.structs.replace(guest, disks=own)


def devices_of(host: Host, guest_id: str, *more: str) -> set[str]:
    """What a guest's disks lead to, as libvirt has it."""
    socket = host.folder / "run/libvirt-sock"
    uri = f"qemu+unix:///system?socket={socket}"
    described = host.run("virsh", "-c", uri, "dumpxml", "--security-info", *more, guest_id)
    found = fromstring(described).iterfind("./devices/disk/source")  # noqa: S314 - of libvirt
    return {each.get("file") or each.get("name", "") for each in found}


def content_of(host: Host, guest_id: str) -> bytes:
    """What a guest sees of its root disk."""
    root, raw = host.folder / "lib/guests" / guest_id / "root.qcow2", host.folder / "copy.raw"
    command("qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(root), str(raw))
    content = raw.read_bytes()
    raw.unlink()
    return content
