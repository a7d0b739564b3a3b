"""Give a volume another type, where it is."""

from typing import Literal

from onestack.core import clock, event
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import Name, Shape
from onestack.volume import rules, scheduler
from onestack.volume.places import places
from onestack.volume.scheduler import Wanted
from onestack.volume.types.record import TypeNameNotFound, type_named
from onestack.volume.volumes import access
from onestack.volume.volumes.build import described
from onestack.volume.volumes.order import InvalidInput
from onestack.volume.volumes.record import VolumeRecord

api = Operations("volumes")


class RetypeBody(Shape, forbid_unknown_fields=True):
    """Which type; what its backend cannot be is moved to no other."""

    new_type: Name
    migration_policy: Literal["never", "on-demand"] = "never"


@api.post(
    "/v3/volumes/{volume_id}/action",
    rules.rule("volume:retype", rules.WRITE),
    action="os-retype",
    status=202,
)
def retype(ctx: Context, volume_id: str, body: RetypeBody) -> None:
    """Give a volume another type."""
    volume = access.held(ctx, volume_id)
    access.in_status(volume, "available", "in-use")
    try:
        kind = type_named(ctx.session, body.new_type, volume.project_id, rules.is_admin(ctx))
    except TypeNameNotFound as error:
        raise InvalidInput(reason=error.text) from None
    if kind.id == volume.volume_type_id:
        raise InvalidInput(reason=f"New volume_type same as original: {kind.id}.")
    _check_place(ctx, volume, kind.extra_specs)
    is_multiattach = kind.extra_specs.get("multiattach") == "<is> True"
    if volume.status == "in-use" and is_multiattach != volume.is_multiattach:
        raise InvalidInput(reason="A volume in use cannot gain or lose multiattach.")
    volume.volume_type_id, volume.is_multiattach = kind.id, is_multiattach
    volume.updated_at = clock.now()
    event.emit(ctx.session, "volume.retype", {"id": volume.id, **described(volume)},
               volume.project_id, volume.id)  # fmt: skip


def _check_place(ctx: Context, volume: VolumeRecord, extra_specs: dict[str, str]) -> None:
    wanted = Wanted(size_gb=0, extra_specs=extra_specs, host=volume.host)
    fitting, refusals = scheduler.sift(wanted, places(ctx.session))
    if not fitting:
        reasons = "; ".join(each.reason for each in refusals if each.host == volume.host)
        raise BadRequest(
            f"Retype requires migration, which there is none of: {reasons or 'it is down'}."
        )
