"""What libvirt is told of a guest: hostile words stay words, and what cannot be is refused."""

from xml.etree.ElementTree import Element, fromstring

import msgspec
import pytest

from onestack.compute.drivers.libvirt.domain import (
    LocalFile,
    Machine,
    NotDescribable,
    disk_element,
    domain_xml,
    nic_element,
    secret_uuid,
    secret_xml,
    text_of,
)
from onestack.compute.hypervisor import Disk, GuestSpec, Nic

HERE = Machine("cloud", is_kvm=False, initiator="iqn.2026-11.org.test:here")
ROOT = LocalFile("root.qcow2", "qcow2", "root.base.raw", "raw")
GUEST = GuestSpec(
    id="0b7d7f0a-4a55-4c5e-9a11-0a4b0c9f1d01", name="instance-00000001", vcpus=2, memory_mb=256,
    disks=[Disk(id="root", device="vda", boot_index=0)],
    nics=[Nic(port_id="3f0e", device="tap3f0e", mac="fa:16:3e:00:00:01", mtu=1450)],
)  # fmt: skip
CONNECTION = {
    "driver_volume_type": "iscsi",
    "data": {
        "target_portal": "[fd00::1]:3260", "target_iqn": "iqn.x:v", "target_lun": 1,
        "auth_username": "me", "auth_password": "do-not-show",
    },
}  # fmt: skip


def described(guest: GuestSpec = GUEST, machine: Machine = HERE) -> Element:
    return fromstring(domain_xml(guest, {"root": ROOT}, machine))  # noqa: S314 - our own


@pytest.mark.parametrize(
    "name", ["</metadata><devices>", "\"'&<>", "a\x00\x07\x1b[31mb", "]]>", "é漢字", "x" * 255]
)
def test_names_of_users_stay_text(name: str) -> None:
    hostile = msgspec.structs.replace(
        GUEST, display_name=name, project_id=name, user_id=name, kernel=None
    )
    found = described(hostile)
    shown = found.find("./metadata/*/{urn:onestack:guest:1}name")
    assert shown is not None
    assert shown.text == "".join(each for each in name if each.isprintable())
    assert len(found.findall("./devices")) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"name": "a b"}, {"name": "../x"}, {"machine": "pc,accel=kvm"}, {"machine": "microvm"},
        {"disks": [Disk(id="root", device="vda,id=x")]},
        {"disks": [Disk(id="../root", device="vda")]},
        {"disks": [Disk(id="root", device="vda", bus="floppy")]},
        {"disks": [Disk(id="gone", device="vdb")]},
        {"disks": [Disk(id="root", device="vda", serial="a,b")]},
        {"nics": [Nic(port_id="p", device="tap/../x", mac="fa:16:3e:00:00:01")]},
        {"nics": [Nic(port_id="p", device="tap1", mac="fa:16:3e:00:00:01,x")]},
        {"nics": [Nic(port_id="p", device="tap1", mac="fa:16:3e:00:00:01", model="sriov")]},
        {"properties": {"hw_video_model": "qxl,x"}},
    ],
)  # fmt: skip
def test_what_is_no_device_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(NotDescribable):
        described(msgspec.structs.replace(GUEST, **change))


def test_formats_are_said_to_the_last_layer() -> None:
    """Nothing is left for QEMU to look up in what a user or a guest wrote."""
    disk = described().find("./devices/disk")
    assert disk is not None
    driver, under = disk.find("driver"), disk.find("backingStore/format")
    assert driver is not None
    assert driver.get("type") == "qcow2"
    assert under is not None
    assert under.get("type") == "raw"
    last = disk.find("backingStore/backingStore")
    assert last is not None
    assert not list(last)


def test_a_processor_fits_what_runs_it() -> None:
    for is_kvm, kind, mode in ((False, "qemu", "custom"), (True, "kvm", "host-model")):
        found = described(machine=Machine("cloud", is_kvm, HERE.initiator))
        processor = found.find("cpu")
        assert processor is not None
        assert (found.get("type"), processor.get("mode")) == (kind, mode)


def test_a_volume_is_named_and_its_password_is_not() -> None:
    volume = Disk(id="5f1e", device="vdb", connection=CONNECTION, is_read_only=True)
    text = text_of(disk_element(GUEST.id, volume, None, HERE))
    element = fromstring(text)  # noqa: S314 - our own
    assert "do-not-show" not in text + secret_xml("5f1e")
    host, secret = element.find("./source/host"), element.find("./source/auth/secret")
    assert host is not None
    assert (host.get("name"), host.get("port")) == ("fd00::1", "3260")
    assert secret is not None
    assert secret.get("uuid") == secret_uuid("5f1e") != secret_uuid("5f1f")
    assert element.find("readonly") is not None
    for kind in ("rbd", None):
        other = Disk(id="v", device="vdb", connection={"driver_volume_type": kind, "data": {}})
        with pytest.raises(NotDescribable):
            disk_element(GUEST.id, other, None, HERE)


def test_a_card_uses_the_tap_of_the_switch() -> None:
    element = nic_element(GUEST.nics[0])
    target, mtu = element.find("target"), element.find("mtu")
    assert target is not None
    assert (target.get("dev"), target.get("managed")) == ("tap3f0e", "no")
    assert mtu is not None
    assert mtu.get("size") == "1450"
