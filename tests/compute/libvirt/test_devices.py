"""Disks and network cards, plugged and unplugged; what the guest sees of them, and who may."""

import re
from collections.abc import Iterator

import msgspec
import pytest

from onestack.cli.guest import GuestImage
from onestack.compute.hypervisor import Disk, GuestSpec, Nic
from tests.compute.libvirt.guests import Person, booted, spec
from tests.compute.libvirt.hosts import CallFailed, Host, until
from tests.compute.libvirt.services import Storage, network, ssh, storage

VOLUME = "9b3b6f2e-0000-4000-8000-000000000001"
PORTS = [
    Nic(port_id="7f0e0000-0000-4000-8000-000000000001", device="tapone", mac="fa:16:3e:00:00:01"),
    Nic(port_id="7f0e0000-0000-4000-8000-000000000002", device="taptwo", mac="fa:16:3e:00:00:02"),
]


@pytest.fixture(scope="module")
def reachable(host: Host, tiny: GuestImage, person: Person) -> Iterator[tuple[GuestSpec, str]]:
    """A guest on a network, and its address."""
    with network(host, [nic.device for nic in PORTS], person.key):
        guest = spec(tiny.disk, nics=PORTS[:1])
        guest = msgspec.structs.replace(guest, disks=guest.disks[:1])  # without a config drive
        host.call("create", guest=guest)
        said = booted(host, guest)
        assert "via metadata host net" in said
        found = re.search(r"GUEST-NET-UP eth0 (\S+)", said)
        assert found
        yield guest, found[1]
        host.call("destroy", guest_id=guest.id)


@pytest.fixture(scope="module")
def shelf(host: Host) -> Iterator[Storage]:
    with storage(host) as one:
        yield one


def test_a_user_logs_in(reachable: tuple[GuestSpec, str], host: Host, person: Person) -> None:
    _, address = reachable
    key = person.folder / "key"
    assert ssh(host, key, address, "hostname; sudo whoami").split() == ["net", "root"]
    assert "mtu 1450" in ssh(host, key, address, "ip link show eth0")
    assert "169.254.169.254 via 10.214.0.1" in ssh(host, key, address, "ip route")
    assert "meta" in ssh(host, key, address, "curl http://169.254.169.254/none || echo meta")
    assert ssh(host, key, address, "lsblk -lb --nodeps | awk '/disk/ {print $1}'").split() == [
        "vda"
    ]


def test_a_volume_is_plugged_and_unplugged(
    reachable: tuple[GuestSpec, str], host: Host, person: Person, shelf: Storage
) -> None:
    guest, address = reachable
    key = person.folder / "key"
    volume = Disk(id=VOLUME, device="vdb", connection=shelf.connection)
    host.call("attach_disk", guest_id=guest.id, disk=volume)
    host.call("attach_disk", guest_id=guest.id, disk=volume)
    assert VOLUME in host.call("guests")[0].disks
    until(lambda: "vdb" in ssh(host, key, address, "ls /sys/block"), 60, "the guest sees it")
    ssh(host, key, address, "sudo mkfs -t vfat /dev/vdb && mount /dev/vdb /mnt && umount /mnt")
    ssh(host, key, address, "sudo mkfs -t ext4 -L mine /dev/vdb && mount /dev/vdb /mnt")
    ssh(host, key, address, "echo HERE-I-AM > /mnt/file; umount /mnt")
    assert ssh(host, key, address, "cat /sys/block/vdb/serial").strip() == VOLUME[:20]
    found = host.call("diagnose", guest_id=guest.id)
    assert (found.power, found.memory_kb) == ("running", guest.memory_mb << 10)
    assert len(found.cpu_times_ns) == guest.vcpus
    assert min(found.cpu_times_ns) > 0
    assert {each.device: each.written.bytes > 0 for each in found.disks}["vdb"]
    (nic,) = found.nics
    assert nic.mac == guest.nics[0].mac
    assert min(nic.rx.bytes, nic.tx.bytes) > 0
    shelf.grow(1)
    host.call("extend_disk", guest_id=guest.id, disk_id=VOLUME, size_gb=1)
    sectors = str((1 << 30) // 512)
    until(lambda: ssh(host, key, address, "cat /sys/block/vdb/size").strip() == sectors, 60,
          "the guest sees that it has grown")  # fmt: skip
    host.call("detach_disk", guest_id=guest.id, disk_id=VOLUME)
    host.call("detach_disk", guest_id=guest.id, disk_id=VOLUME)
    assert "vdb" not in ssh(host, key, address, "ls /sys/block")
    assert not shelf.is_in_use()
    with shelf.volume.open("rb") as file:
        assert b"HERE-I-AM" in file.read(64 << 20)
    assert not list((host.folder / "etc/secrets").iterdir())
    assert VOLUME not in (host.folder / f"etc/qemu/{guest.name}.xml").read_text()


def test_a_volume_is_there_after_a_stop(
    reachable: tuple[GuestSpec, str], host: Host, person: Person, shelf: Storage
) -> None:
    """The guest gets exactly the devices that it is started with."""
    guest, address = reachable
    key = person.folder / "key"
    volume = Disk(id=VOLUME, device="vdb", connection=shelf.connection)
    host.call("stop", guest_id=guest.id, patience_s=30)
    host.call("attach_disk", guest_id=guest.id, disk=volume)
    with_it = msgspec.structs.replace(guest, disks=[*guest.disks, volume])
    assert host.call("start", guest=with_it).disks == ["root", VOLUME]
    booted(host, guest, times=2)
    assert "vdb" in ssh(host, key, address, "ls /sys/block")
    # A guest that does not listen keeps it no longer than it runs.
    host.call("stop", guest_id=guest.id, patience_s=0)
    assert not shelf.is_in_use()
    assert host.call("start", guest=guest).disks == ["root"]
    booted(host, guest, times=3)
    assert "vdb" not in ssh(host, key, address, "ls /sys/block")


def test_a_wrong_password_opens_nothing(
    reachable: tuple[GuestSpec, str], host: Host, shelf: Storage
) -> None:
    guest, _ = reachable
    wrong = shelf.connection
    wrong["data"]["auth_password"] = "wrong-horse-22"
    volume = Disk(id=VOLUME, device="vdb", connection=wrong)
    with pytest.raises(CallFailed) as refused:
        host.call("attach_disk", guest_id=guest.id, disk=volume)
    assert "wrong-horse" not in str(refused.value)
    assert VOLUME not in host.call("guests")[0].disks
    host.call("detach_disk", guest_id=guest.id, disk_id=VOLUME)


def test_a_second_card_gets_an_address(
    reachable: tuple[GuestSpec, str], host: Host, person: Person
) -> None:
    guest, address = reachable
    key, nic = person.folder / "key", PORTS[1]
    host.call("attach_nic", guest_id=guest.id, nic=nic)
    host.call("attach_nic", guest_id=guest.id, nic=nic)
    assert host.call("guests")[0].nics == [each.port_id for each in PORTS]
    until(
        lambda: "10.214.0" in ssh(host, key, address, "ip -4 -o addr show dev eth1 || true"), 60,
        "the second card has an address",
    )  # fmt: skip
    host.call("detach_nic", guest_id=guest.id, port_id=nic.port_id)
    host.call("detach_nic", guest_id=guest.id, port_id=nic.port_id)
    assert "eth1" not in ssh(host, key, address, "ip link")
    assert "taptwo" in host.run("ip", "link")  # the switch's, and so not ours to remove
