"""Create a volume: empty, or of an image, a snapshot or another volume."""

from typing import Annotated, Any

from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import UNSET, Shape, UnsetType, field, since
from onestack.volume import rules
from onestack.volume.texts import Metadata, Text, trimmed
from onestack.volume.volumes.build import CreateVolume
from onestack.volume.volumes.order import InvalidInput, VolumeWanted
from onestack.volume.volumes.view import VolumeCreated, created

api = Operations("volumes")

SIZE_MAX = 2**31 - 1
HINTS = ("same_host", "different_host")


class VolumeBody(Shape):
    """What a volume is made with; clients send more than this, which is ignored."""

    size: int | str | None = None
    name: Text | None = None
    display_name: Text | None = None
    description: Text | None = None
    display_description: Text | None = None
    volume_type: Text | None = None
    availability_zone: Text | None = None
    snapshot_id: str | None = None
    source_volid: str | None = None
    imageRef: str | None = None  # noqa: N815 - as clients call it
    image_id: str | None = None
    metadata: Metadata | None = None
    consistencygroup_id: str | None = None
    group_id: Annotated[str | UnsetType | None, since("3.13")] = UNSET
    backup_id: Annotated[str | UnsetType | None, since("3.47")] = UNSET


class CreateBody(Shape):
    """The body of a creation."""

    volume: VolumeBody
    hints: dict[str, Any] | None = field(name="OS-SCH-HNT:scheduler_hints", default=None)
    scheduler_hints: dict[str, Any] | None = field(name="scheduler_hints", default=None)


class Created(Shape):
    """The answer to a creation."""

    volume: VolumeCreated


@api.post("/v3/volumes", rules.rule("volume:create", rules.WRITE), status=202)
def create(ctx: Context, body: CreateBody) -> Created:
    """Create a volume."""
    ctx.allow({"project_id": ctx.caller.project_id})
    volume = _wanted(ctx, body.volume).enter(ctx.session)
    CreateVolume.start(ctx.session, volume, hints=_hints(body))
    return Created(volume=created(ctx, volume))


def _wanted(ctx: Context, given: VolumeBody) -> VolumeWanted:
    image_id = given.imageRef or given.image_id
    sources = [each for each in (given.snapshot_id, given.source_volid, image_id) if each]
    if len(sources) > 1:
        raise InvalidInput(reason="snapshot_id, source_volid and imageRef exclude each other.")
    for name in ("consistencygroup_id", "group_id", "backup_id"):
        if getattr(given, name) not in (None, UNSET, ""):
            raise InvalidInput(reason=f"{name} names nothing that is here.")
    return VolumeWanted(
        project_id=ctx.caller.project_id or "",
        user_id=ctx.caller.user_id,
        size=_size(given.size),
        name=trimmed(given.name if given.name is not None else given.display_name),
        description=given.description
        if given.description is not None
        else given.display_description,
        volume_type=given.volume_type or None,
        availability_zone=given.availability_zone or None,
        image_id=image_id or None,
        snapshot_id=given.snapshot_id or None,
        source_volid=given.source_volid or None,
        metadata=given.metadata or {},
        is_admin=rules.is_admin(ctx),
    )


def _size(given: int | str | None) -> int | None:
    if given is None:
        return None
    is_number = isinstance(given, int) or (given.isascii() and given.strip().isdigit())
    if not is_number or not 0 < int(given) <= SIZE_MAX:
        shown = str(given)[:80]
        raise InvalidInput(reason=f"Volume size '{shown}' must be an integer and greater than 0")
    return int(given)


def _hints(body: CreateBody) -> dict[str, list[str]]:
    given = body.hints or body.scheduler_hints or {}
    found = {}
    for name in HINTS:
        value = given.get(name)
        ids = [value] if isinstance(value, str) else value or []
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            raise BadRequest(f"The hint {name} must be an id, or a list of ids.")
        if ids:
            found[name] = [each[:64] for each in ids[:100]]
    return found
