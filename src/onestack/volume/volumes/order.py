"""What a volume is ordered with, checked, within quota, and entered: the part of a creation that
its request does. Each task shows in the request's trace."""

from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy.orm import Session

from onestack import image
from onestack.core import clock, trace
from onestack.core.errors import BadRequest
from onestack.volume import quotas
from onestack.volume.places import ZONE
from onestack.volume.snapshots.record import InvalidSnapshot, SnapshotRecord, snapshot_of
from onestack.volume.types.record import VolumeTypeRecord, default_type, type_named
from onestack.volume.volumes.record import InvalidVolume, VolumeRecord, new_id, volume_of

READABLE = ("available", "in-use")
IMAGE_FACTS = ("checksum", "container_format", "disk_format", "min_disk", "min_ram", "size")


class VolumeWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A volume that somebody wants, made of nothing or of one source."""

    project_id: str
    user_id: str
    size: int | None = None
    name: str | None = None
    description: str | None = None
    volume_type: str | None = None  # its name or id
    availability_zone: str | None = None
    image_id: str | None = None
    snapshot_id: str | None = None
    source_volid: str | None = None
    metadata: dict[str, str] = {}
    is_admin: bool = False

    def enter(self, session: Session) -> VolumeRecord:
        """A new volume's row, which `CreateVolume` makes a volume of."""
        with trace.span("task", "extract_volume_request"):
            record, kind = _extracted(session, self)
        with trace.span("task", "reserve_quota"):
            more = {"volumes": 1, "gigabytes": record.size}
            quotas.check(session, record.project_id, kind, more, record.size)
        with trace.span("task", "create_entry"):
            session.add(record)
        # What a project has is counted by its rows: with the entry, the quota is used.
        with trace.span("task", "commit_quota"):
            session.flush()
        return record


class InvalidInput(BadRequest):
    message = "Invalid input received: {reason}"


class Source(msgspec.Struct):
    """What is known of where a volume's first bytes come from."""

    size: int | None = None
    size_min: int = 1
    snapshot_id: str | None = None
    too_small: str = ""
    type_id: str | None = None
    type_name: str | None = None
    availability_zone: str | None = None
    is_bootable: bool = False
    image_metadata: dict[str, Any] | None = None


def _extracted(session: Session, wanted: VolumeWanted) -> tuple[VolumeRecord, VolumeTypeRecord]:
    source = _source(session, wanted)
    zone = wanted.availability_zone or source.availability_zone or ZONE
    if zone != ZONE:
        raise InvalidInput(reason=f"Availability zone '{zone[:255]}' is invalid.")
    kind = _type(session, wanted, source)
    record = VolumeRecord(
        id=new_id(), project_id=wanted.project_id, user_id=wanted.user_id, name=wanted.name,
        description=wanted.description, size=_size(wanted, source), status="creating",
        availability_zone=zone, volume_type_id=kind.id, snapshot_id=source.snapshot_id,
        source_volid=wanted.source_volid,
        image_id=wanted.image_id if source.snapshot_id is None else None,
        is_bootable=source.is_bootable, image_metadata=source.image_metadata,
        is_multiattach=kind.extra_specs.get("multiattach") == "<is> True",
        metadata_=dict(wanted.metadata), created_at=clock.now(),
    )  # fmt: skip
    return record, kind


def _source(session: Session, wanted: VolumeWanted) -> Source:
    owner = None if wanted.is_admin else wanted.project_id
    if wanted.snapshot_id is not None:
        return _of_snapshot(session, snapshot_of(session, wanted.snapshot_id, owner))
    if wanted.source_volid is not None:
        return _of_volume(volume_of(session, wanted.source_volid, owner))
    if wanted.image_id is not None:
        found = image.describe(session, wanted.image_id, wanted.project_id, wanted.is_admin)
        snapshot_id = _root_snapshot(found)
        if snapshot_id is not None:
            return _of_snapshot(session, snapshot_of(session, snapshot_id, owner))
        return _of_image(found, wanted)
    return Source()


def _root_snapshot(found: image.Image) -> str | None:
    """What an image of a server's volumes, which has no data, says that the root is made of."""
    for each in found.block_devices:
        if each.get("source_type") == "snapshot" and each.get("boot_index") == 0:
            return str(each.get("snapshot_id"))
    return None


def _of_snapshot(session: Session, snapshot: SnapshotRecord) -> Source:
    if snapshot.status != "available":
        raise InvalidSnapshot(
            reason="Originating snapshot status must be one of 'available' values"
        )
    volume = volume_of(session, snapshot.volume_id, None)
    size = snapshot.volume_size
    return replace(
        _of_volume_row(volume),
        size=size,
        size_min=size,
        snapshot_id=snapshot.id,
        type_id=snapshot.volume_type_id,
        too_small=f"cannot be smaller than the snapshot size {size}GB. "
        "They must be >= original snapshot size.",
    )


def _of_volume(volume: VolumeRecord) -> Source:
    if volume.status not in READABLE:
        reason = "Originating volume status must be one of available, in-use values"
        raise InvalidVolume(reason=f"{reason}, but it is {volume.status}.")
    return _of_volume_row(volume)


def _of_volume_row(volume: VolumeRecord) -> Source:
    return Source(
        size=volume.size,
        size_min=volume.size,
        too_small=f"cannot be smaller than original volume size {volume.size}GB. "
        "They must be >= original volume size.",
        type_id=volume.volume_type_id,
        availability_zone=volume.availability_zone,
        is_bootable=volume.is_bootable,
        image_metadata=volume.image_metadata,
    )


def _of_image(found: image.Image, wanted: VolumeWanted) -> Source:
    if found.status != "active":
        raise InvalidInput(reason=f"Image {found.id} is not active.")
    size_gb = -(-max(found.virtual_size or 0, found.size or 0) // (1 << 30))
    if wanted.size is not None and wanted.size < size_gb:
        raise InvalidInput(reason=f"Size of specified image {size_gb}GB is larger than volume "
                                  f"size {wanted.size}GB.")  # fmt: skip
    if wanted.size is not None and wanted.size < found.min_disk:
        raise InvalidInput(reason=f"Volume size {wanted.size}GB cannot be smaller than the image "
                                  f"minDisk size {found.min_disk}GB.")  # fmt: skip
    facts = {name: str(getattr(found, name)) for name in IMAGE_FACTS}
    return Source(
        type_name=found.properties.get("cinder_img_volume_type"),
        is_bootable=True,
        image_metadata={
            **found.properties, "image_id": found.id, "image_name": found.name or "", **facts,
        },
    )  # fmt: skip


def _size(wanted: VolumeWanted, source: Source) -> int:
    size = source.size if wanted.size is None else wanted.size
    if size is None or size <= 0:
        raise InvalidInput(reason=f"Volume size '{size}' must be an integer and greater than 0")
    if size < source.size_min:
        raise InvalidInput(reason=f"Volume size '{size}'GB {source.too_small}")
    return size


def _type(session: Session, wanted: VolumeWanted, source: Source) -> VolumeTypeRecord:
    name = wanted.volume_type or (source.type_name if source.type_id is None else None)
    known = session.get(VolumeTypeRecord, source.type_id) if source.type_id is not None else None
    if name is None:
        return known or default_type(session, wanted.project_id)
    kind = type_named(session, name, wanted.project_id, wanted.is_admin)
    if known is not None and kind.id != known.id and kind.extra_specs != known.extra_specs:
        raise InvalidInput(
            reason=f"Invalid volume_type provided: {kind.id} (requested type is not compatible; "
            "recommend omitting the type argument)."
        )
    return kind
