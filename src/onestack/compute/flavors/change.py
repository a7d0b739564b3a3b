"""Flavours are made, described anew and deleted."""

from typing import Annotated
from uuid import UUID

from sqlalchemy import or_, select

from onestack.compute import rules
from onestack.compute.flavors.record import FlavorNotFound, FlavorRecord, extra_specs_of
from onestack.compute.flavors.view import FlavorView, shows_extra_specs, view
from onestack.compute.lenient import Flag, Name, Number, flag, whole
from onestack.core import clock, event
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict
from onestack.core.shapes import Meta, Shape, field, since, until

api = Operations("flavors")

RXTX_MAX = 3.40282e38
FlavorId = Annotated[str, Meta(max_length=255, pattern=r"^(?! )[a-zA-Z0-9. _-]*(?<! )$")]
Description = Annotated[str, Meta(max_length=65535)]


class FlavorExists(Conflict):
    message = "Flavor with name {name} already exists."


class FlavorIdExists(Conflict):
    message = "Flavor with ID {flavor_id} already exists."


class BadFactor(BadRequest):
    message = "Invalid input for field/attribute rxtx_factor. Value: {value}."


class FlavorCreate(Shape, forbid_unknown_fields=True):
    """A flavour to make."""

    name: Name
    ram: Number
    vcpus: Number
    disk: Number
    id: FlavorId | int | None = None
    swap: Number = 0
    ephemeral_gb: Number = field(default=0, name="OS-FLV-EXT-DATA:ephemeral")
    rxtx_factor: Annotated[float | str, until("2.101")] = 1.0
    is_public: Flag = field(default=True, name="os-flavor-access:is_public")
    description: Annotated[Description | None, since("2.55")] = None


class FlavorUpdate(Shape, forbid_unknown_fields=True):
    """What to change of a flavour."""

    description: Description | None


@api.post("/v2.1/flavors", rules.rule("os-flavor-manage:create"), key="flavor")
def create(ctx: Context, body: FlavorCreate) -> FlavorView:
    """Make a flavour; without an id, or with `auto`, it is given one."""
    flavor_id = "" if body.id is None else str(body.id)
    if flavor_id in ("", "auto"):
        flavor_id = str(UUID(clock.new_id()))
    is_taken = or_(FlavorRecord.id == flavor_id, FlavorRecord.name == body.name)
    for taken in ctx.session.scalars(select(FlavorRecord).where(is_taken)):
        if taken.id == flavor_id:
            raise FlavorIdExists(flavor_id=flavor_id)
        raise FlavorExists(name=body.name)
    record = FlavorRecord(
        id=flavor_id,
        name=body.name,
        memory_mb=whole(body.ram, "ram", 1),
        vcpus=whole(body.vcpus, "vcpus", 1),
        root_gb=whole(body.disk, "disk"),
        ephemeral_gb=whole(body.ephemeral_gb, "OS-FLV-EXT-DATA:ephemeral"),
        swap_mb=whole(body.swap, "swap"),
        rxtx_factor=_factor(body.rxtx_factor),
        is_public=flag(body.is_public),
        disabled=False,
        description=body.description or None,
        created_at=clock.now(),
    )
    ctx.session.add(record)
    _emit(ctx, "create", record)
    return view(ctx, record, {} if shows_extra_specs(ctx) else None)


@api.put(
    "/v2.1/flavors/{flavor_id}", rules.rule("os-flavor-manage:update"), key="flavor", since="2.55"
)
def update(ctx: Context, flavor_id: str, body: FlavorUpdate) -> FlavorView:
    """Describe a flavour anew: the rest of it never changes."""
    record = stored(ctx, flavor_id)
    record.description, record.updated_at = body.description, clock.now()
    _emit(ctx, "update", record)
    extra_specs = extra_specs_of(ctx.session, flavor_id) if shows_extra_specs(ctx) else None
    return view(ctx, record, extra_specs)


@api.delete("/v2.1/flavors/{flavor_id}", rules.rule("os-flavor-manage:delete"), status=202)
def delete(ctx: Context, flavor_id: str) -> None:
    """Delete a flavour; servers that have it keep what it said."""
    record = stored(ctx, flavor_id)
    ctx.session.delete(record)
    _emit(ctx, "delete", record)


def stored(ctx: Context, flavor_id: str) -> FlavorRecord:
    """The flavour, for who is no tenant and may see them all."""
    record = ctx.session.get(FlavorRecord, flavor_id)
    if record is None:
        raise FlavorNotFound(flavor_id=flavor_id)
    return record


def _factor(given: float | str) -> float:
    try:
        factor = float(given)
    except ValueError:
        factor = 0.0
    if not 0 < factor <= RXTX_MAX:
        raise BadFactor(value=str(given)[:80])
    return factor


def _emit(ctx: Context, what: str, record: FlavorRecord) -> None:
    payload = {
        "flavorid": record.id, "name": record.name, "memory_mb": record.memory_mb,
        "vcpus": record.vcpus, "root_gb": record.root_gb, "is_public": record.is_public,
    }  # fmt: skip
    event.emit(ctx.session, f"compute.flavor.{what}", payload, None, record.id)
