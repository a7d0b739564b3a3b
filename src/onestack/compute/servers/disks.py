"""Which disks a new server has: what its creator asked for, checked, and what its flavour adds."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy.orm import Session

from onestack import volume
from onestack.compute.flavors.record import FlavorRecord
from onestack.compute.lenient import flag, whole
from onestack.compute.servers.record import BlockDeviceRecord
from onestack.compute.servers.wanted import WantedDisk
from onestack.core import clock
from onestack.core.errors import BadRequest, NotFound

SWAP = "swap"
DEVICES_MAX = 26
_DEVICE = re.compile(r"^(?:/dev/)?(?:[vsxh]+d)([a-z])$")


class InvalidMapping(BadRequest):
    message = "Block Device Mapping is Invalid: {reason}"


class BadBootSequence(BadRequest):
    message = (
        "Block Device Mapping is Invalid: Boot sequence for the instance and image/block device "
        "mapping combination is not valid."
    )


class NotBootable(BadRequest):
    message = "Block Device {volume_id} is not bootable."


class EphemeralTooLarge(BadRequest):
    message = (
        "Ephemeral disks requested are larger than the instance type allows. If no size is given "
        "in one block device mapping, flavor ephemeral size will be used."
    )


class SwapTooLarge(BadRequest):
    message = "Swap drive requested is larger than instance type allows."


class SwapTwice(BadRequest):
    message = "More than one swap drive requested."


class BothMappings(BadRequest):
    message = "Using different block_device_mapping syntaxes is not allowed in the same request."


class TooManyDisks(BadRequest):
    message = "The maximum number of disk devices (26) is exceeded"


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """A disk that a new server will have."""

    source_type: str
    destination_type: str
    source_id: str | None = None
    size_gb: int | None = None
    volume_type: str | None = None
    boot_index: int | None = None
    device_name: str | None = None
    device_type: str | None = None
    disk_bus: str | None = None
    guest_format: str | None = None
    tag: str | None = None
    delete_on_termination: bool = False

    @property
    def is_root(self) -> bool:
        return self.boot_index == 0

    @property
    def is_swap(self) -> bool:
        return self.source_type == "blank" and self.guest_format == SWAP

    @property
    def is_ephemeral(self) -> bool:
        is_local = self.source_type == "blank" and self.destination_type == "local"
        return is_local and not self.is_swap


def plan(
    new: Sequence[WantedDisk] | None,
    old: Sequence[WantedDisk] | None,
    image_id: str | None,
    of_image: Sequence[Disk] = (),
) -> list[Disk]:
    """The disks that somebody asked for, and the image's, the root first; the flavour's are still
    to come."""
    if new and old:
        raise BothMappings
    disks = _with_images(of_old(old, image_id) if old else of_new(new or ()), of_image)
    if any(each.is_root for each in of_image):
        image_id = None
    is_image_there = any(each.source_type == "image" and each.is_root for each in disks)
    if image_id is not None and not is_image_there:
        root = Disk(
            source_type="image", destination_type="local", source_id=image_id, boot_index=0,
            delete_on_termination=True, device_type="disk",
        )  # fmt: skip
        disks.insert(0, root)
    _check_boot_sequence(disks)
    return sorted(disks, key=lambda each: not each.is_root)


def of_new(new: Iterable[WantedDisk]) -> list[Disk]:
    """The disks of a mapping as the second version of the API has it: by boot index."""
    return [_disk(each) for each in new if not each.no_device]


def of_old(old: Iterable[WantedDisk], image_id: str | None) -> list[Disk]:
    """The disks of a mapping as the first version of the API has it: by device name."""
    disks: list[Disk] = []
    for each in old:
        if each.no_device is not None and each.no_device != "":
            continue
        virtual = (each.virtual_name or "").partition("ephemeral")
        is_blank = bool(each.virtual_name) and each.volume_id is None and each.snapshot_id is None
        source = "blank" if is_blank else "snapshot" if each.snapshot_id else "volume"
        disk = _disk(each, source_type=source)
        if virtual[0] == SWAP:
            disk = replace(disk, guest_format=SWAP)
        disks.append(disk)
    if image_id is None and disks:
        named = [at for at, each in enumerate(disks) if (each.device_name or "").endswith("da")]
        at = named[0] if named else 0
        disks[at] = replace(disks[at], boot_index=0)
    return disks


def with_flavor(disks: list[Disk], flavor: FlavorRecord) -> list[Disk]:
    """These disks, and those that the flavour adds where nobody asked for their like."""
    ephemeral = [each for each in disks if each.is_ephemeral]
    swap = [each for each in disks if each.is_swap]
    sizes = [each.size_gb or flavor.ephemeral_gb for each in ephemeral]
    if sum(sizes) > flavor.ephemeral_gb:
        raise EphemeralTooLarge
    if len(swap) > 1:
        raise SwapTwice
    if swap and (swap[0].size_gb or 0) > flavor.swap_mb:
        raise SwapTooLarge
    found = [
        replace(each, size_gb=each.size_gb or flavor.ephemeral_gb) if each.is_ephemeral else each
        for each in disks
    ]
    blank = Disk(source_type="blank", destination_type="local", delete_on_termination=True)
    if flavor.ephemeral_gb and not ephemeral:
        found.append(replace(blank, size_gb=flavor.ephemeral_gb))
    if flavor.swap_mb and not swap:
        found.append(replace(blank, size_gb=flavor.swap_mb, guest_format=SWAP))
    if len(found) > DEVICES_MAX:
        raise TooManyDisks
    return found


def root_volume(session: Session, disks: Sequence[Disk], project_id: str | None) -> dict[str, str]:
    """What is known of the image that the root volume was made of; empty if none is there yet."""
    root = disks[0]
    if root.source_type != "volume":
        return {}
    found = _volume(session, root, project_id)
    if not found.is_bootable:
        raise NotBootable(volume_id=found.id)
    return {name: str(value) for name, value in (found.image_metadata or {}).items()}


def check_sources(session: Session, disks: Iterable[Disk], project_id: str | None) -> None:
    """Refuse volumes and snapshots that are not this project's."""
    for disk in disks:
        if disk.source_type == "volume":
            _volume(session, disk, project_id)
        elif disk.source_type == "snapshot":
            found: Any = session.get(volume.CreateSnapshot.subject_type, disk.source_id)
            if found is None or found.project_id != project_id:
                raise InvalidMapping(reason=f"failed to get snapshot {disk.source_id}.")


def rows(server_id: str, disks: Iterable[Disk]) -> list[BlockDeviceRecord]:
    """The disks as a server's rows, each with a device name of its own."""
    found: list[BlockDeviceRecord] = []
    names: set[str] = set()
    for position, disk in enumerate(disks):
        name = device_name(disk.device_name, names)
        names.add(name)
        found.append(
            BlockDeviceRecord(
                id=clock.new_id(), server_id=server_id, position=position,
                source_type=disk.source_type, destination_type=disk.destination_type,
                image_id=disk.source_id if disk.source_type == "image" else None,
                snapshot_id=disk.source_id if disk.source_type == "snapshot" else None,
                volume_id=disk.source_id if disk.source_type == "volume" else None,
                volume_type=disk.volume_type, size_gb=disk.size_gb, boot_index=disk.boot_index,
                device_name=name, disk_bus=disk.disk_bus, device_type=disk.device_type,
                guest_format=disk.guest_format, tag=disk.tag,
                delete_on_termination=disk.delete_on_termination,
            )
        )  # fmt: skip
    return found


def device_name(wanted: str | None, taken: Iterable[str]) -> str:
    """The name that was asked for, if it is free, or the first that is."""
    used = set(taken)
    asked = _DEVICE.match(wanted or "")
    if asked is not None and f"/dev/vd{asked[1]}" not in used:
        return f"/dev/vd{asked[1]}"
    for letter in "abcdefghijklmnopqrstuvwxyz":
        if f"/dev/vd{letter}" not in used:
            return f"/dev/vd{letter}"
    raise TooManyDisks


def _volume(session: Session, disk: Disk, project_id: str | None) -> Any:
    try:
        return volume.volume_of(session, str(disk.source_id), project_id)
    except NotFound:
        raise InvalidMapping(reason=f"failed to get volume {disk.source_id}.") from None


def _with_images(asked: Sequence[Disk], of_image: Sequence[Disk]) -> list[Disk]:
    """The disks that were asked for, and the image's except where one of these takes its name."""
    if any(each.is_root for each in of_image):
        # Clients name the image as the root disk, though it only says what that is.
        asked = [each for each in asked if not (each.is_root and each.source_type == "image")]
    names = {_letter(each) for each in asked} - {None}
    return [*asked, *(each for each in of_image if _letter(each) not in names)]


def _letter(disk: Disk) -> str | None:
    found = _DEVICE.match(disk.device_name or "")
    return found[1] if found else None


def _disk(wanted: WantedDisk, source_type: str | None = None) -> Disk:
    source = source_type or wanted.source_type or _implied(wanted)
    destination = wanted.destination_type
    if destination is None:
        destination = "volume" if source in ("volume", "snapshot") else "local"
    named = {
        "volume": wanted.volume_id, "snapshot": wanted.snapshot_id, "image": wanted.image_id,
    }  # fmt: skip
    source_id = None if source == "blank" else wanted.uuid or named[source]
    size = wanted.volume_size
    boot_index = None if wanted.boot_index is None else int(wanted.boot_index)
    disk = Disk(
        source_type=source, destination_type=destination, source_id=source_id,
        size_gb=None if size in (None, "") else whole(size or 0, "volume_size", least=0),
        volume_type=wanted.volume_type or None,
        boot_index=None if boot_index is None or boot_index < 0 else boot_index,
        device_name=wanted.device_name, device_type=wanted.device_type, disk_bus=wanted.disk_bus,
        guest_format=wanted.guest_format, tag=wanted.tag,
        delete_on_termination=flag(wanted.delete_on_termination),
    )  # fmt: skip
    _check(disk)
    return disk


def _implied(wanted: WantedDisk) -> str:
    for name in ("volume", "snapshot", "image"):
        if getattr(wanted, f"{name}_id") is not None:
            return name
    return "blank"


def _check(disk: Disk) -> None:
    if disk.source_type != "blank" and not disk.source_id:
        raise BadRequest("Missing device UUID.")
    if disk.source_type in ("volume", "snapshot") and disk.destination_type == "local":
        raise InvalidMapping(
            reason="Invalid source and destination type combination: "
            f"{disk.source_type} to {disk.destination_type}."
        )
    if disk.destination_type == "volume" and not disk.size_gb:
        if disk.source_type == "image":
            raise InvalidMapping(
                reason="Images with destination_type 'volume' need to have a non-zero size "
                "specified"
            )
        if disk.source_type == "blank":
            raise InvalidMapping(
                reason="Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size"
            )
    is_local_image = disk.source_type == "image" and disk.destination_type == "local"
    if is_local_image and not disk.is_root:
        raise InvalidMapping(reason="Mapping image to local is not supported.")


def _check_boot_sequence(disks: Sequence[Disk]) -> None:
    """Exactly one disk is booted first, and the others that may be follow without a gap."""
    indexes = sorted(each.boot_index for each in disks if each.boot_index is not None)
    if not disks or indexes != list(range(len(indexes))) or not indexes:
        raise BadBootSequence
