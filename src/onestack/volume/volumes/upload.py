"""Make an image of a volume."""

from typing import Annotated, Any, Literal

from onestack import image
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.flow import Ask, Failure, Flow, Next, step
from onestack.core.moments import precise
from onestack.core.shapes import Name, Shape, field, since
from onestack.volume import messages, rules
from onestack.volume.attachments.settle import rest
from onestack.volume.backend import Backend
from onestack.volume.places import address
from onestack.volume.types.record import VolumeTypeRecord
from onestack.volume.volumes import access
from onestack.volume.volumes.build import DATA_TIMEOUT_S
from onestack.volume.volumes.flags import flag
from onestack.volume.volumes.record import InvalidVolume, VolumeRecord, set_status

api = Operations("volumes")

UPLOAD_PUBLIC = rules.rule("volume_extension:volume_actions:upload_public", rules.ADMIN)
FACTS = frozenset(("checksum", "container_format", "disk_format", "image_id", "image_name",
                   "min_disk", "min_ram", "size", "signature_verified"))  # fmt: skip


class UploadBody(Shape, forbid_unknown_fields=True):
    """What the image is called, and what it is."""

    image_name: Name
    force: bool | str = False
    disk_format: Literal["raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx"] = "raw"
    container_format: Literal["bare"] = "bare"
    visibility: Annotated[Literal["public", "private", "shared", "community"], since("3.1")] = (
        "private"
    )
    protected: Annotated[bool | str, since("3.1")] = False


class Uploading(Shape):
    """The image that a volume is copied into."""

    id: str
    updated_at: str | None
    status: str
    display_description: str | None
    size: int
    volume_type: dict[str, Any]
    image_id: str
    container_format: str
    disk_format: str
    image_name: str
    visibility: Annotated[str, since("3.1")]
    protected: Annotated[bool, since("3.1")]


class Answer(Shape):
    """The answer to an upload that begins."""

    uploading: Uploading = field(name="os-volume_upload_image")


class UploadVolume(Flow[VolumeRecord]):
    """Have the backend send the volume's content."""

    event = "volume.upload"

    image_id: str
    disk_format: str

    @step()
    def upload(self) -> Next:
        asked = {
            "volume_id": self.subject.id,
            "url": image.upload_url(self.cloud, self.image_id),
            "disk_format": self.disk_format,
        }
        return Ask(
            address(self.subject.host), Backend.upload, asked, then=self.uploaded,
            timeout_s=DATA_TIMEOUT_S,
        )  # fmt: skip

    @step()
    def uploaded(self) -> Next:
        rest(self.session, self.subject)
        return None

    def failed(self, failure: Failure) -> None:
        image.abandon(self.session, self.image_id)
        rest(self.session, self.subject)
        told = f"copy volume to image:{failure.text}"
        messages.tell(self.session, self.subject, "005_001", told)


@api.post(
    "/v3/volumes/{volume_id}/action",
    rules.rule("volume_extension:volume_actions:upload_image", rules.WRITE),
    action="os-volume_upload_image",
    status=202,
)
def upload(ctx: Context, volume_id: str, body: UploadBody) -> Answer:
    """Make an image of a volume's content."""
    volume = access.seen(ctx, volume_id)
    if body.visibility == "public":
        ctx.allow(volume, rule=UPLOAD_PUBLIC)
    is_forced = flag(body.force)

    def check(found: VolumeRecord) -> None:
        if found.status != "available" and not (is_forced and found.status == "in-use"):
            raise InvalidVolume(
                reason=f"Volume {found.id} status must be available or in-use with force, "
                f"but current status is: {found.status}."
            )

    check(volume)
    image_id = image.draft(ctx.session, _draft(volume, body))
    more = {"image_id": image_id, "disk_format": body.disk_format}
    volume = access.starting(ctx, volume_id, UploadVolume, check, **more)
    set_status(volume, "uploading")
    return Answer(uploading=_uploading(ctx, volume, body, image_id))


def _draft(volume: VolumeRecord, body: UploadBody) -> image.Draft:
    said = volume.image_metadata or {}
    return image.Draft(
        name=body.image_name,
        project_id=volume.project_id,
        disk_format=body.disk_format,
        container_format=body.container_format,
        visibility=body.visibility,
        min_disk=volume.size,
        protected=flag(body.protected),
        properties={name: str(text) for name, text in said.items() if name not in FACTS},
    )


def _uploading(ctx: Context, volume: VolumeRecord, body: UploadBody, image_id: str) -> Uploading:
    kind = ctx.session.get_one(VolumeTypeRecord, volume.volume_type_id)
    return Uploading(
        id=volume.id,
        updated_at=precise(volume.updated_at),
        status="uploading",
        display_description=volume.description,
        size=volume.size,
        volume_type={
            "id": kind.id, "name": kind.name, "description": kind.description,
            "is_public": kind.is_public, "qos_specs_id": kind.qos_specs_id,
            "extra_specs": kind.extra_specs, "created_at": precise(kind.created_at),
            "updated_at": precise(kind.updated_at), "deleted": False, "deleted_at": None,
        },
        image_id=image_id,
        container_format=body.container_format,
        disk_format=body.disk_format,
        image_name=body.image_name,
        visibility=body.visibility,
        protected=flag(body.protected),
    )  # fmt: skip
