"""Inventories: how much of a class of resources a provider has."""

from collections.abc import Mapping
from typing import Annotated

from sqlalchemy import delete as sql_delete
from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, MethodNotAllowed, NotFound
from onestack.core.shapes import Meta, Shape
from onestack.placement import changes, known, rules
from onestack.placement.names import INTEGER_MAX, RATIO_MAX, Amount, ClassName, Generation
from onestack.placement.providers import find
from onestack.placement.record import AllocationRecord, InventoryRecord, ProviderRecord
from onestack.placement.style import CONCURRENT_UPDATE, dated, locate

api = Operations("inventories")

READ = rules.rule("resource_providers:inventories:list")
SHOW = rules.rule("resource_providers:inventories:show")
CREATE = rules.rule("resource_providers:inventories:create")
UPDATE = rules.rule("resource_providers:inventories:update")
DELETE = rules.rule("resource_providers:inventories:delete")

Reserved = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
Ratio = Annotated[float, Meta(ge=0, le=RATIO_MAX)]


class GenerationConflict(Conflict):
    code = CONCURRENT_UPDATE
    message = "resource provider generation conflict: actual: {actual}, given: {given}"


class InventoryInUse(Conflict):
    code = "placement.inventory.inuse"
    message = "Inventory for '{names}' on resource provider '{provider_id}' in use."


class InventoryExists(Conflict):
    message = "Update conflict: {name} exists already on resource provider {provider_id}."


class InventoryNotFound(NotFound):
    message = "No inventory of class {name} for {provider_id}"


class InventoryNotFoundForDelete(NotFound):
    message = "No inventory of class {name} found for delete"


class NoRecordToUpdate(BadRequest):
    message = "No inventory record with resource class {name} on resource provider {provider_id}."


class UnknownClass(BadRequest):
    message = (
        "Unknown resource class in inventory for resource provider {provider_id}: "
        "No such resource class {name}."
    )


class TooMuchReserved(BadRequest):
    message = (
        "Unable to {verb} inventory for resource provider {provider_id}: Invalid inventory for "
        "'{name}' on resource provider '{provider_id}'. The reserved value is {comparison} total."
    )


class Inventory(Shape, forbid_unknown_fields=True):
    """How much there is, and how it may be given away."""

    total: Amount
    reserved: Reserved = 0
    min_unit: Amount = 1
    max_unit: Amount = INTEGER_MAX
    step_size: Amount = 1
    allocation_ratio: Ratio = 1.0


class InventoryCreate(Inventory, kw_only=True, forbid_unknown_fields=True):
    """An inventory to add."""

    resource_class: ClassName
    resource_provider_generation: Generation | None = None


class InventoryUpdate(Inventory, kw_only=True, forbid_unknown_fields=True):
    """An inventory as it shall be."""

    resource_provider_generation: Generation


class InventoriesUpdate(Shape, forbid_unknown_fields=True):
    """All inventories as they shall be."""

    resource_provider_generation: Generation
    inventories: dict[ClassName, Inventory]


class InventoryView(Shape):
    """An inventory, with its provider's generation."""

    resource_provider_generation: int
    total: int
    reserved: int
    min_unit: int
    max_unit: int
    step_size: int
    allocation_ratio: float


class InventoriesView(Shape):
    """All inventories of a provider."""

    resource_provider_generation: int
    inventories: dict[str, Inventory]


@api.get("/resource_providers/{uuid}/inventories", READ)
def index(ctx: Context, uuid: str) -> InventoriesView:
    """List a provider's inventories."""
    provider = find(ctx.session, uuid)
    return _all(ctx, provider, held(ctx.session, provider.id))


@api.post("/resource_providers/{uuid}/inventories", CREATE, status=201)
def create(ctx: Context, uuid: str, body: InventoryCreate) -> InventoryView:
    """Add an inventory to a provider."""
    number = changes.begin(ctx.session)
    provider = find(ctx.session, uuid)
    given = body.resource_provider_generation
    check_generation(provider, provider.generation if given is None else given)
    if known.unknown_classes(ctx.session, [body.resource_class]):
        raise BadRequest(f"No such resource class {body.resource_class}.")
    if ctx.session.get(InventoryRecord, (provider.id, body.resource_class)) is not None:
        raise InventoryExists(name=body.resource_class, provider_id=provider.id)
    _check_reserved(ctx, "create", provider.id, {body.resource_class: body})
    record = _record(provider.id, body.resource_class, body)
    ctx.session.add(record)
    changes.mark(provider, number, advance=True)
    locate(ctx, f"resource_providers/{provider.id}/inventories/{body.resource_class}")
    return _one(ctx, provider, record)


@api.put("/resource_providers/{uuid}/inventories", UPDATE)
def replace(ctx: Context, uuid: str, body: InventoriesUpdate) -> InventoriesView:
    """Say which inventories a provider has, all at once."""
    number = changes.begin(ctx.session)
    provider = find(ctx.session, uuid)
    check_generation(provider, body.resource_provider_generation)
    _check_reserved(ctx, "update", provider.id, body.inventories)
    write(ctx.session, provider, body.inventories)
    changes.mark(provider, number, advance=True)
    return _all(ctx, provider, body.inventories)


@api.delete("/resource_providers/{uuid}/inventories", DELETE)
def delete_all(ctx: Context, uuid: str) -> None:
    """Delete all inventories of a provider."""
    if ctx.version < (1, 5):
        raise MethodNotAllowed().with_headers(Allow="GET, HEAD, POST, PUT")
    number = changes.begin(ctx.session)
    provider = find(ctx.session, uuid)
    write(ctx.session, provider, {})
    changes.mark(provider, number, advance=True)


@api.get("/resource_providers/{uuid}/inventories/{resource_class}", SHOW)
def show(ctx: Context, uuid: str, resource_class: str) -> InventoryView:
    """Show one inventory of a provider."""
    provider = find(ctx.session, uuid)
    record = ctx.session.get(InventoryRecord, (provider.id, resource_class))
    if record is None:
        raise InventoryNotFound(name=resource_class, provider_id=provider.id)
    return _one(ctx, provider, record)


@api.put("/resource_providers/{uuid}/inventories/{resource_class}", UPDATE)
def update(ctx: Context, uuid: str, resource_class: str, body: InventoryUpdate) -> InventoryView:
    """Change one inventory of a provider."""
    number = changes.begin(ctx.session)
    provider = find(ctx.session, uuid)
    check_generation(provider, body.resource_provider_generation)
    _check_reserved(ctx, "update", provider.id, {resource_class: body})
    record = ctx.session.get(InventoryRecord, (provider.id, resource_class))
    if record is None:
        raise NoRecordToUpdate(name=resource_class, provider_id=provider.id)
    _assign(record, body)
    changes.mark(provider, number, advance=True)
    return _one(ctx, provider, record)


@api.delete("/resource_providers/{uuid}/inventories/{resource_class}", DELETE)
def delete(ctx: Context, uuid: str, resource_class: str) -> None:
    """Delete one inventory of a provider."""
    number = changes.begin(ctx.session)
    provider = find(ctx.session, uuid)
    record = ctx.session.get(InventoryRecord, (provider.id, resource_class))
    if record is None:
        raise InventoryNotFoundForDelete(name=resource_class)
    _refuse_in_use(ctx.session, provider.id, [resource_class])
    ctx.session.delete(record)
    changes.mark(provider, number, advance=True)


def check_generation(provider: ProviderRecord, given: int) -> None:
    """Refuse a change of what the client has not seen."""
    if provider.generation != given:
        raise GenerationConflict(actual=provider.generation, given=given)


def write(session: Session, provider: ProviderRecord, wanted: Mapping[str, Inventory]) -> None:
    """Make a provider's inventories these; what is in use must stay."""
    unknown = known.unknown_classes(session, wanted)
    if unknown:
        raise UnknownClass(provider_id=provider.id, name=unknown[0])
    present = {each.resource_class: each for each in _records(session, provider.id)}
    gone = sorted(present.keys() - wanted.keys())
    _refuse_in_use(session, provider.id, gone)
    if gone:
        session.execute(
            sql_delete(InventoryRecord).where(
                InventoryRecord.provider_id == provider.id,
                InventoryRecord.resource_class.in_(gone),
            )
        )
    for name, inventory in wanted.items():
        if name in present:
            _assign(present[name], inventory)
        else:
            session.add(_record(provider.id, name, inventory))
    session.flush()


def held(session: Session, provider_id: str) -> dict[str, Inventory]:
    """A provider's inventories by resource class."""
    return {each.resource_class: _inventory(each) for each in _records(session, provider_id)}


def _refuse_in_use(session: Session, provider_id: str, names: list[str]) -> None:
    if not names:
        return
    used = session.scalars(
        select(AllocationRecord.resource_class)
        .where(
            AllocationRecord.provider_id == provider_id,
            AllocationRecord.resource_class.in_(names),
        )
        .distinct()
    )
    found = sorted(used)
    if found:
        raise InventoryInUse(names=", ".join(found), provider_id=provider_id)


def _check_reserved(
    ctx: Context, verb: str, provider_id: str, inventories: Mapping[str, Inventory]
) -> None:
    may_be_equal = ctx.version >= (1, 26)
    for name, each in inventories.items():
        if each.reserved > each.total or (each.reserved == each.total and not may_be_equal):
            comparison = "greater than" if may_be_equal else "greater than or equal to"
            raise TooMuchReserved(
                verb=verb, provider_id=provider_id, name=name, comparison=comparison
            )


def _record(provider_id: str, resource_class: str, inventory: Inventory) -> InventoryRecord:
    record = InventoryRecord(provider_id=provider_id, resource_class=resource_class)
    _assign(record, inventory)
    return record


def _records(session: Session, provider_id: str) -> list[InventoryRecord]:
    statement = select(InventoryRecord).where(InventoryRecord.provider_id == provider_id)
    return list(session.scalars(statement.order_by(InventoryRecord.resource_class)))


def _inventory(record: InventoryRecord) -> Inventory:
    return Inventory(
        total=record.total, reserved=record.reserved, min_unit=record.min_unit,
        max_unit=record.max_unit, step_size=record.step_size,
        allocation_ratio=record.allocation_ratio,
    )  # fmt: skip


def _assign(record: InventoryRecord, inventory: Inventory) -> None:
    for name in Inventory.__struct_fields__:
        setattr(record, name, getattr(inventory, name))


def _one(ctx: Context, provider: ProviderRecord, record: InventoryRecord) -> InventoryView:
    dated(ctx, provider.updated_at)
    return InventoryView(
        resource_provider_generation=provider.generation,
        total=record.total, reserved=record.reserved, min_unit=record.min_unit,
        max_unit=record.max_unit, step_size=record.step_size,
        allocation_ratio=record.allocation_ratio,
    )  # fmt: skip


def _all(
    ctx: Context, provider: ProviderRecord, inventories: dict[str, Inventory]
) -> InventoriesView:
    dated(ctx, provider.updated_at)
    return InventoriesView(
        resource_provider_generation=provider.generation, inventories=inventories
    )
