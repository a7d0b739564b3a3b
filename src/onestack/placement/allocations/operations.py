"""Allocations over HTTP, in all the forms that clients of different versions know."""

from typing import Annotated
from uuid import UUID

import msgspec
from sqlalchemy import select

from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest, NotFound
from onestack.core.shapes import UNSET, Meta, Shape, UnsetType, since
from onestack.placement import rules
from onestack.placement.allocations.write import ANY, Amounts, Claim, release, replace
from onestack.placement.names import (
    Amount,
    ClassName,
    ConsumerType,
    Generation,
    OwnerId,
    Suffix,
    canonical,
)
from onestack.placement.providers import find
from onestack.placement.record import AllocationRecord, ConsumerRecord, ProviderRecord
from onestack.placement.style import dated

api = Operations("allocations")

UNKNOWN_TYPE = "unknown"

Resources = Annotated[dict[ClassName, Amount], Meta(min_length=1)]
Mappings = Annotated[dict[Suffix, Annotated[list[UUID], Meta(min_length=1)]], Meta(min_length=1)]


class BadConsumer(BadRequest):
    message = "Malformed consumer_uuid: {consumer_id}"


class WrongForm(BadRequest):
    message = "JSON does not validate: allocations of version {version} are {form}"


class NoAllocations(NotFound):
    message = "No allocations for consumer '{consumer_id}'"


class ProviderReference(Shape, forbid_unknown_fields=True):
    """A provider by its id."""

    uuid: UUID


class ListedAllocation(Shape, forbid_unknown_fields=True):
    """What to take of a provider, as it was said before 1.12."""

    resource_provider: ProviderReference
    resources: Resources


class Allocation(Shape, forbid_unknown_fields=True):
    """What to take of a provider; its generation is taken for the sake of what was shown."""

    resources: Resources
    generation: Generation | None = None


class AllocationsUpdate(Shape, forbid_unknown_fields=True):
    """All that a consumer shall have."""

    allocations: list[ListedAllocation] | dict[UUID, Allocation]
    project_id: Annotated[OwnerId, since("1.8")]
    user_id: Annotated[OwnerId, since("1.8")]
    consumer_generation: Annotated[Generation | None, since("1.28")]
    consumer_type: Annotated[ConsumerType, since("1.38")]
    mappings: Annotated[Mappings | UnsetType, since("1.34")] = UNSET


class ConsumerAllocations(Shape, forbid_unknown_fields=True):
    """All that one of several consumers shall have."""

    allocations: dict[UUID, Allocation]
    project_id: OwnerId
    user_id: OwnerId
    consumer_generation: Annotated[Generation | None, since("1.28")]
    consumer_type: Annotated[ConsumerType, since("1.38")]
    mappings: Annotated[Mappings | UnsetType, since("1.34")] = UNSET


class HeldView(Shape):
    """What a consumer has of a provider."""

    generation: int
    resources: dict[str, int]


class AllocationsView(Shape, omit_defaults=True):
    """All that a consumer has, and who it is."""

    allocations: dict[str, HeldView]
    project_id: Annotated[str | UnsetType, since("1.12")] = UNSET
    user_id: Annotated[str | UnsetType, since("1.12")] = UNSET
    consumer_generation: Annotated[int | UnsetType, since("1.28")] = UNSET
    consumer_type: Annotated[str | UnsetType, since("1.38")] = UNSET


class HolderView(Shape):
    """What a consumer has of the provider at hand."""

    resources: dict[str, int]
    consumer_generation: Annotated[int, since("1.28")]


class ProviderAllocationsView(Shape):
    """Who has what of a provider."""

    resource_provider_generation: int
    allocations: dict[str, HolderView]


@api.post("/allocations", rules.rule("allocations:manage"), since="1.13", status=204)
def manage(
    ctx: Context, body: Annotated[dict[UUID, ConsumerAllocations], Meta(min_length=1)]
) -> None:
    """Replace what several consumers have, all at once or not at all."""
    replace(ctx.session, [claim_of(str(each), wanted) for each, wanted in body.items()])


@api.get("/allocations/{consumer_uuid}", rules.rule("allocations:list"))
def show(ctx: Context, consumer_uuid: str) -> AllocationsView:
    """List what a consumer has."""
    consumer_id = canonical(consumer_uuid) or consumer_uuid
    consumer = ctx.session.get(ConsumerRecord, consumer_id)
    if consumer is None:
        dated(ctx)
        return AllocationsView(allocations={})
    rows = ctx.session.execute(
        select(
            AllocationRecord.provider_id, ProviderRecord.generation,
            AllocationRecord.resource_class, AllocationRecord.used,
        )
        .join(ProviderRecord, ProviderRecord.id == AllocationRecord.provider_id)
        .where(AllocationRecord.consumer_id == consumer_id)
        .order_by(AllocationRecord.provider_id, AllocationRecord.resource_class)
    )  # fmt: skip
    held: dict[str, HeldView] = {}
    for provider_id, generation, name, used in rows:
        own = held.setdefault(provider_id, HeldView(generation=generation, resources={}))
        own.resources[name] = used
    dated(ctx, consumer.updated_at)
    return AllocationsView(
        allocations=held, project_id=consumer.project_id, user_id=consumer.user_id,
        consumer_generation=consumer.generation, consumer_type=consumer.type or UNKNOWN_TYPE,
    )  # fmt: skip


@api.put("/allocations/{consumer_uuid}", rules.rule("allocations:update"), status=204)
def update(ctx: Context, consumer_uuid: str, body: AllocationsUpdate) -> None:
    """Replace what a consumer has."""
    consumer_id = canonical(consumer_uuid)
    if consumer_id is None:
        raise BadConsumer(consumer_id=consumer_uuid)
    is_list = isinstance(body.allocations, list)
    if is_list != (ctx.version < (1, 12)):
        raise WrongForm(version=ctx.version, form="a list" if not is_list else "an object")
    if not body.allocations and ctx.version < (1, 28):
        raise WrongForm(version=ctx.version, form="never empty: [] should be non-empty")
    replace(ctx.session, [claim_of(consumer_id, body)])


@api.delete("/allocations/{consumer_uuid}", rules.rule("allocations:delete"))
def delete(ctx: Context, consumer_uuid: str) -> None:
    """Take all from a consumer that it has."""
    if not release(ctx.session, canonical(consumer_uuid) or consumer_uuid):
        raise NoAllocations(consumer_id=consumer_uuid)


@api.get(
    "/resource_providers/{uuid}/allocations", rules.rule("resource_providers:allocations:list")
)
def of_provider(ctx: Context, uuid: str) -> ProviderAllocationsView:
    """List who has what of a provider."""
    provider = find(ctx.session, uuid)
    rows = ctx.session.execute(
        select(
            AllocationRecord.consumer_id, ConsumerRecord.generation,
            AllocationRecord.resource_class, AllocationRecord.used,
        )
        .join(ConsumerRecord, ConsumerRecord.id == AllocationRecord.consumer_id)
        .where(AllocationRecord.provider_id == provider.id)
        .order_by(AllocationRecord.consumer_id, AllocationRecord.resource_class)
    )  # fmt: skip
    held: dict[str, HolderView] = {}
    for consumer_id, generation, name, used in rows:
        own = HolderView(resources={}, consumer_generation=generation)
        held.setdefault(consumer_id, own).resources[name] = used
    dated(ctx, provider.updated_at)
    return ProviderAllocationsView(
        resource_provider_generation=provider.generation, allocations=held
    )


def claim_of(consumer_id: str, body: AllocationsUpdate | ConsumerAllocations) -> Claim:
    """What a body claims; what its version does not know is left open."""
    generation = body.consumer_generation
    return Claim(
        consumer_id=consumer_id,
        amounts=_amounts(body.allocations),
        project_id=_or_none(body.project_id),
        user_id=_or_none(body.user_id),
        type=_or_none(body.consumer_type),
        generation=ANY if isinstance(generation, UnsetType) else generation,
    )


def _amounts(given: list[ListedAllocation] | dict[UUID, Allocation]) -> Amounts:
    if isinstance(given, dict):
        return {str(provider): each.resources for provider, each in given.items()}
    found: dict[str, dict[str, int]] = {}
    for each in given:
        found.setdefault(str(each.resource_provider.uuid), {}).update(each.resources)
    return found


def _or_none(value: str | msgspec.UnsetType) -> str | None:
    return None if isinstance(value, UnsetType) else value
