"""What a hypervisor is told of a server: everything, from the rows, at any time."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from sqlalchemy.orm import Session

from onestack import image, volume
from onestack.compute.hypervisor import Disk, GuestSpec, Nic
from onestack.compute.servers import config_drive
from onestack.compute.servers.networking import NicOfServer, nics_of
from onestack.compute.servers.record import BlockDeviceRecord, ServerRecord, disks_of
from onestack.core.context import Cloud
from onestack.core.download import Source
from onestack.core.errors import NotFound

SWAP = "swap"
CONFIG_DEVICE = "vdz"  # behind everything that is attached later
TO_GUESTS = ("hw_", "hw:", "os_")  # what of images and flavours concerns the guest itself


def spec_of(
    session: Session, cloud: Cloud, server: ServerRecord, *, is_new: bool = False,
    secrets: config_drive.Secrets | None = None,
) -> GuestSpec:  # fmt: skip
    """The guest that a server is. Only a new one needs the data of its image."""
    rows = disks_of(session, server.id)
    nics = nics_of(session, [server.id]).get(server.id, ())
    disks = _disks(session, cloud, server, rows, is_new)
    if server.has_config_drive:
        content = config_drive.files(session, server, nics, rows, secrets)
        disks.append(Disk(id="config", device=CONFIG_DEVICE, config_drive=content))
    said = server.image_properties
    return GuestSpec(
        id=server.id, name=server.guest_name, vcpus=server.vcpus, memory_mb=server.memory_mb,
        disks=disks, nics=[nic_of(server, each) for each in nics],
        kernel=_source(cloud, said.get("kernel_id"), is_new),
        ramdisk=_source(cloud, said.get("ramdisk_id"), is_new),
        command_line=said.get("os_command_line", ""), machine=said.get("hw_machine_type", ""),
        properties={
            name: str(value)
            for name, value in {**said, **server.extra_specs}.items()
            if name.startswith(TO_GUESTS)
        },
        project_id=server.project_id, user_id=server.user_id, display_name=server.name,
    )  # fmt: skip


def nic_of(server: ServerRecord, nic: NicOfServer) -> Nic:
    """A port as a hypervisor gets it."""
    return Nic(
        port_id=nic.port_id, device=nic.device, mac=nic.mac, mtu=nic.mtu,
        model=server.image_properties.get("hw_vif_model", "virtio"),
    )  # fmt: skip


def volume_disk(
    server: ServerRecord, row: BlockDeviceRecord, attachments: Iterable[object]
) -> Disk:
    """A volume as a hypervisor gets it."""
    found = next(each for each in attachments if getattr(each, "id", None) == row.attachment_id)
    return Disk(
        id=str(row.volume_id), device=_device(row), size_gb=row.size_gb or 0,
        bus=row.disk_bus or _bus(server), connection=getattr(found, "connection_info", None),
        boot_index=row.boot_index, serial=str(row.volume_id),
        is_read_only=getattr(found, "attach_mode", "rw") == "ro",
    )  # fmt: skip


def _disks(
    session: Session, cloud: Cloud, server: ServerRecord, rows: Sequence[BlockDeviceRecord],
    is_new: bool,
) -> list[Disk]:  # fmt: skip
    found: list[Disk] = []
    has_volumes = any(row.attachment_id for row in rows)
    attachments = volume.attachments_of(session, [server.id]) if has_volumes else []
    ephemeral = 0
    for row in rows:
        device, bus = _device(row), row.disk_bus or _bus(server)
        if row.destination_type == "volume":
            if _is_connected(row, attachments):
                found.append(volume_disk(server, row, attachments))
        elif row.source_type == "image":
            found.append(
                Disk(
                    id="root", device=device, size_gb=server.root_gb, bus=bus, boot_index=0,
                    image=_source(cloud, row.image_id, is_new),
                )
            )  # fmt: skip
        elif row.guest_format == SWAP:
            found.append(Disk(id=SWAP, device=device, size_mb=row.size_gb or 0, bus=bus))
        else:
            found.append(
                Disk(
                    id=f"ephemeral{ephemeral}", device=device, size_gb=row.size_gb or 0, bus=bus,
                    filesystem=row.guest_format or "ext4",
                )
            )  # fmt: skip
            ephemeral += 1
    return found


def _is_connected(row: BlockDeviceRecord, attachments: Iterable[object]) -> bool:
    """Whether a volume is there for the guest; one that is being attached is plugged in later."""
    return any(
        getattr(each, "id", None) == row.attachment_id
        and getattr(each, "connection_info", None) is not None
        for each in attachments
    )


def _source(cloud: Cloud, image_id: str | None, is_new: bool) -> Source | None:
    """Where the data of an image is; a guest that is there may have outlived its image."""
    if not image_id:
        return None
    if is_new:
        return image.source(cloud, image_id)
    with suppress(NotFound):
        return image.source(cloud, image_id)
    return None


def _device(row: BlockDeviceRecord) -> str:
    return (row.device_name or "").removeprefix("/dev/")


def _bus(server: ServerRecord) -> str:
    return str(server.image_properties.get("hw_disk_bus", "virtio"))
