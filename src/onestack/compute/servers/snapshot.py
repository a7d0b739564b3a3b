"""Make an image of a server: of its root disk, or of snapshots of its volumes."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec.structs import replace
from sqlalchemy.orm import Session

from onestack import image, volume
from onestack.compute import rules
from onestack.compute.hypervisor import Hypervisor
from onestack.compute.lenient import Name, Number, whole
from onestack.compute.servers import access, action, moving
from onestack.compute.servers.record import BlockDeviceRecord, ServerRecord, disks_of
from onestack.compute.servers.states import check_state
from onestack.core.api import Operations, Reply
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Forbidden
from onestack.core.flow import Ask, Child, Failure, Flow, Next, Preempted, step
from onestack.core.shapes import Meta, Shape

api = Operations("server images")

STATES = ("active", "stopped", "paused", "suspended")
UPLOAD_S = 6 * 3600.0
METADATA_MAX = 128
# What of an image says something of that image alone.
NOT_INHERITED = frozenset(
    ("cache_in_nova", "bittorrent", "mappings", "block_device_mapping", "bdm_v2",
     "root_device_name", "os_hash_algo", "os_hash_value", "stores", "owner_specified.openstack.md5",
     "owner_specified.openstack.sha256", "owner_specified.openstack.object")
)  # fmt: skip
VOLUME_BACKED = rules.rule("servers:create_image:allow_volume_backed", rules.MEMBER)

Key = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9-_:. ]{1,255}$")]
Metadata = dict[Key, Annotated[str, Meta(max_length=255)]]


class TooMuchMetadata(Forbidden):
    message = "Quota exceeded, too many metadata items"


class NoBackupOfVolumes(BadRequest):
    message = "Backup is not supported for volume-backed instances."


class CreateImageBody(Shape, forbid_unknown_fields=True):
    """The image to make."""

    name: Name
    metadata: Metadata = {}


class BackupBody(Shape, forbid_unknown_fields=True):
    """The backup to make, and how many of its type are kept."""

    name: Name
    backup_type: Annotated[str, Meta(max_length=255)]
    rotation: Number
    metadata: Metadata = {}


class ImageMade(Shape):
    """The image that is being made."""

    image_id: str


@api.post(action.PATH, action.rule("servers:create_image"), action="createImage", status=202)
def create_image(ctx: Context, server_id: str, body: CreateImageBody) -> Reply:
    """Make an image of a server."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "createImage", STATES)
    if len(body.metadata) > METADATA_MAX:
        raise TooMuchMetadata
    return told(ctx, make(ctx, server, body.name, "createImage", body.metadata))


@api.post(action.PATH, action.rule("os-create-backup"), action="createBackup", status=202)
def create_backup(ctx: Context, server_id: str, body: BackupBody) -> Reply:
    """Make an image of a server, one of so many of its type."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "createBackup", STATES)
    rotation = whole(body.rotation, "rotation", least=0)
    if moving.is_volume_backed(ctx.session, server):
        raise NoBackupOfVolumes
    more = {"image_type": "backup", "backup_type": body.backup_type} | body.metadata
    image_id = image.draft(ctx.session, draft_of(server, body.name, more))
    state = {"image_id": image_id, "backup_type": body.backup_type, "rotation": rotation}
    action.begin(ctx, server, "createBackup", SnapshotServer, **state)
    return told(ctx, image_id)


def make(ctx: Context, server: ServerRecord, name: str, verb: str, more: Mapping[str, str]) -> str:
    """Begin to make an image of a server; the image's id."""
    disks = disks_of(ctx.session, server.id)
    of_volumes = [each for each in disks if each.volume_id is not None]
    root = next((each for each in disks if each.is_root), None)
    if root is None or root.volume_id is None:
        image_id = image.draft(ctx.session, draft_of(server, name, more))
        action.begin(ctx, server, verb, SnapshotServer, image_id=image_id)
        return image_id
    ctx.allow(server, rule=VOLUME_BACKED)
    snapshots = [_volume_snapshot(ctx, name, each) for each in of_volumes]
    mapping = [_mapped(*each) for each in zip(of_volumes, snapshots, strict=True)]
    given = dict(more) | {
        "block_device_mapping": msgspec.json.encode(mapping).decode(), "bdm_v2": "True",
        "root_device_name": server.root_device_name or "/dev/vda",
    }  # fmt: skip
    wanted = replace(draft_of(server, name, given), needs_data=False)
    image_id = image.draft(ctx.session, wanted)
    if snapshots:
        action.begin(ctx, server, verb, SnapshotVolumes, snapshot_ids=snapshots)
    return image_id


def told(ctx: Context, image_id: str) -> Reply:
    """Which image is being made, as this version tells it."""
    if ctx.version >= (2, 45):
        return Reply(ImageMade(image_id=image_id))
    address = f"{ctx.request.base_url}{image.SERVICE.root}/v2/images/{image_id}"
    return Reply(headers={"Location": address})


def draft_of(server: ServerRecord, name: str, more: Mapping[str, str]) -> image.Draft:
    """An image that will be like the one that a server was made of."""
    inherited = {
        key: str(value)
        for key, value in server.image_properties.items()
        if key not in NOT_INHERITED and not key.startswith("os_hash")
    }
    own = {
        "base_image_ref": server.image_id or "", "instance_uuid": server.id,
        "user_id": server.user_id, "owner_id": server.project_id, "image_location": "snapshot",
        "image_state": "available", "image_type": "snapshot",
    }  # fmt: skip
    return image.Draft(
        name=name, project_id=server.project_id, min_disk=server.root_gb,
        properties=inherited | own | dict(more),
    )  # fmt: skip


def undo(session: Session, preempted: Iterable[Preempted]) -> None:
    """Forget the images that were being made of a server that is going."""
    for each in preempted:
        image_id = each.state.get("image_id")
        if isinstance(image_id, str):
            image.abandon(session, image_id)


def _volume_snapshot(ctx: Context, name: str, disk: BlockDeviceRecord) -> str:
    found = volume.volume_of(ctx.session, str(disk.volume_id), None)
    snapshot = volume.CreateSnapshot.enter(
        ctx.session, found, ctx.caller.user_id, name=f"snapshot for {name}", force=True
    )
    return snapshot.id


def _mapped(disk: BlockDeviceRecord, snapshot_id: str) -> dict[str, Any]:
    """A volume of a server to be made of the image, in the words of a new server's disks."""
    return {
        "source_type": "snapshot", "destination_type": "volume", "snapshot_id": snapshot_id,
        "volume_size": disk.size_gb, "boot_index": disk.boot_index,
        "device_name": disk.device_name, "disk_bus": disk.disk_bus,
        "device_type": disk.device_type, "guest_format": disk.guest_format,
        "volume_type": disk.volume_type, "tag": disk.tag,
        "delete_on_termination": disk.delete_on_termination,
        "no_device": None, "image_id": None, "volume_id": None,
    }  # fmt: skip


class SnapshotServer(Flow[ServerRecord]):
    """Has the host send the root disk to the image service."""

    event = "compute.instance.snapshot"
    deadline_s = UPLOAD_S + 600

    image_id: str
    backup_type: str = ""
    rotation: int | None = None  # how many backups of this type are kept

    @step(shows="image_snapshot")
    def send(self) -> Next:
        given = {
            "guest_id": self.subject.id, "disk_format": "qcow2",
            "url": image.upload_url(self.cloud, self.image_id),
        }  # fmt: skip
        host = action.host_of(self.subject)
        return Ask(host, Hypervisor.snapshot, given, then=self.sent, timeout_s=UPLOAD_S)

    @step(shows="image_uploading")
    def sent(self) -> Next:
        if not image.has_data(self.session, self.image_id):
            raise Failure("ImageNotFound", f"Image {self.image_id} did not get its data.")
        if self.rotation is not None:
            like = {"instance_uuid": self.subject.id, "backup_type": self.backup_type}
            image.rotate(self.session, self.subject.project_id, like, self.rotation)
        action.end(self)
        return None

    def failed(self, failure: Failure) -> None:
        image.abandon(self.session, self.image_id)
        action.give_up(self, failure)


class SnapshotVolumes(Flow[ServerRecord]):
    """Has each volume of the server snapshotted."""

    event = "compute.instance.snapshot"

    snapshot_ids: list[str]

    @step(shows="image_snapshot")
    def following(self) -> Next:
        if not self.snapshot_ids:
            action.end(self)
            return None
        first, *self.snapshot_ids = self.snapshot_ids
        record = self.session.get(volume.CreateSnapshot.subject_type, first)
        if record is None:
            return self.following
        return Child(volume.CreateSnapshot, record, then=self.following)

    def failed(self, failure: Failure) -> None:
        action.give_up(self, failure)
