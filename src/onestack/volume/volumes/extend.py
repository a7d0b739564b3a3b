"""Make a volume larger, also while it is in use."""

from collections.abc import Callable
from typing import Annotated, Any

from sqlalchemy.orm import Session

from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.flow import Ask, Failure, Flow, Next, step
from onestack.core.shapes import Meta, Shape
from onestack.volume import messages, quotas, rules
from onestack.volume.attachments.settle import rest
from onestack.volume.backend import Backend
from onestack.volume.places import address, grows_online
from onestack.volume.types.record import VolumeTypeRecord
from onestack.volume.volumes import access
from onestack.volume.volumes.build import described
from onestack.volume.volumes.order import InvalidInput
from onestack.volume.volumes.record import InvalidVolume, VolumeRecord, set_status

api = Operations("volumes")


Listener = Callable[[Session, str, int], None]
_listeners: list[Listener] = []


def on_extended(listener: Listener) -> None:
    """Have a function called with the id and the size of each volume that has grown, in the
    transaction that says so; each function is registered once."""
    if listener not in _listeners:
        _listeners.append(listener)


class ExtendBody(Shape, forbid_unknown_fields=True):
    """How large the volume shall be."""

    new_size: Annotated[int, Meta(ge=1, le=2**31 - 1)] | Annotated[str, Meta(pattern="^[0-9]+$")]


class ExtendVolume(Flow[VolumeRecord]):
    """Have the backend make it larger; the size counts from the request on."""

    event = "volume.resize"

    old_size: int

    @step()
    def extend_on_backend(self) -> Next:
        asked = {"volume_id": self.subject.id, "size_gb": self.subject.size}
        return Ask(address(self.subject.host), Backend.extend, asked, then=self.extended)

    @step()
    def extended(self) -> Next:
        rest(self.session, self.subject)
        for tell in _listeners:
            tell(self.session, self.subject.id, self.subject.size)
        return None

    def failed(self, failure: Failure) -> None:
        self.subject.size = self.old_size
        set_status(self.subject, "error_extending")
        messages.tell(self.session, self.subject, "004_001", f"extend volume:{failure.text}")

    def describe(self) -> dict[str, Any]:
        return described(self.subject)


@api.post(
    "/v3/volumes/{volume_id}/action",
    rules.rule("volume:extend", rules.WRITE),
    action="os-extend",
    status=202,
)
def extend(ctx: Context, volume_id: str, body: ExtendBody) -> None:
    """Make a volume larger."""
    wanted = int(body.new_size)

    def check(volume: VolumeRecord) -> None:
        online = ("in-use",) if ctx.version >= (3, 42) else ()
        access.in_status(volume, "available", *online)
        if volume.status == "in-use" and not grows_online(ctx.session, volume.host):
            raise InvalidVolume(
                reason=f"the backend of volume {volume.id} cannot extend it while it is attached."
            )
        if wanted <= volume.size:
            raise InvalidInput(
                reason="New size for extend must be greater than current size. "
                f"(current: {volume.size}, extended: {wanted})."
            )

    old_size = access.seen(ctx, volume_id).size
    volume = access.starting(ctx, volume_id, ExtendVolume, check, old_size=old_size)
    kind = ctx.session.get_one(VolumeTypeRecord, volume.volume_type_id)
    more = {"gigabytes": wanted - volume.size}
    quotas.check(ctx.session, volume.project_id, kind, more, wanted)
    volume.size = wanted
    set_status(volume, "extending")
