"""Volume: disks that outlive the servers that use them.

Compute, for each volume of a server, does this in a few steps of its flow:

    volume = volume_of(session, volume_id, project_id)      # one that is there
    volume = VolumeWanted(size=1, image_id=...).enter(session)  # or a new one
    attachment = reserve(session, volume, server_id, is_of_server=True)
    Child(CreateVolume, volume, then=...)                   # only for a new one
    Child(Connect, attachment, state={"connector": {"host": host, "initiator": ...}}, then=...)
    mark(session, attachment, "attached", "/dev/vdb")

After `Connect`, `attachment.connection_info` is what the guest's disk needs. A server lets go by
`mark(..., "detaching")`, and `Child(Disconnect, attachment, state={"deletes_volume": False},
then=...)`: right at any moment after the reservation, it leaves neither export nor attachment.
"""

from typing import Any

from onestack.core.api import Service
from onestack.core.flow import Flow
from onestack.volume import (
    discovery,
    limits,
    messages,
    pools,
    qos_specs,
    quota_sets,
    services,
    transfers,
)
from onestack.volume.attachments import operations as attachments
from onestack.volume.attachments.connect import Connect, Disconnect, mark, reserve
from onestack.volume.attachments.record import attachments_of
from onestack.volume.backend import Backend
from onestack.volume.rules import SHARED
from onestack.volume.snapshots import metadata as snapshot_metadata
from onestack.volume.snapshots import operations as snapshots
from onestack.volume.snapshots.take import CreateSnapshot, DeleteSnapshot
from onestack.volume.style import ROOT, VERSIONS, VolumeStyle
from onestack.volume.types import defaults
from onestack.volume.types import operations as types
from onestack.volume.volumes import (
    connections,
    create,
    delete,
    extend,
    flags,
    image_metadata,
    read,
    retype,
    revert,
    update,
    upload,
)
from onestack.volume.volumes.build import CreateVolume
from onestack.volume.volumes.extend import on_extended
from onestack.volume.volumes.order import VolumeWanted
from onestack.volume.volumes.record import volume_of
from onestack.volume.volumes.removal import DeleteVolume
from onestack.volume.wiring import host_reported, wire

# Rules that an operation judges by besides the one that it declares.
JUDGED_TOO = (delete.FORCE, upload.UPLOAD_PUBLIC)

SERVICE = Service(
    name="volume",
    type="volumev3",
    title="Volume",
    root=ROOT,
    version="3.70",
    microversions=VERSIONS,
    style=VolumeStyle(),
    topic="volume",
    takes_last_slash=False,
    shared_rules=SHARED | {rule.name: rule.check for rule in JUDGED_TOO},
    project_under="/v3",
    nouns=(
        discovery.api,
        read.api,
        create.api,
        update.api,
        delete.api,
        extend.api,
        flags.api,
        retype.api,
        upload.api,
        revert.api,
        image_metadata.api,
        connections.api,
        snapshots.api,
        snapshot_metadata.api,
        attachments.api,
        types.api,
        defaults.api,
        qos_specs.api,
        transfers.api,
        quota_sets.api,
        limits.api,
        messages.api,
        services.api,
        pools.api,
    ),
)

FLOWS: tuple[type[Flow[Any]], ...] = (
    CreateVolume,
    DeleteVolume,
    extend.ExtendVolume,
    upload.UploadVolume,
    revert.RevertVolume,
    CreateSnapshot,
    DeleteSnapshot,
    Connect,
    Disconnect,
)

__all__ = [
    "FLOWS",
    "SERVICE",
    "Backend",
    "Connect",
    "CreateSnapshot",
    "CreateVolume",
    "Disconnect",
    "VolumeWanted",
    "attachments_of",
    "host_reported",
    "mark",
    "on_extended",
    "reserve",
    "volume_of",
    "wire",
]
