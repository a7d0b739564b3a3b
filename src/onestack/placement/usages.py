"""Usages: how much is in use, of a provider and by a project."""

from collections.abc import Mapping
from typing import Annotated, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.shapes import Meta, Shape, since
from onestack.placement import rules
from onestack.placement.names import OwnerId
from onestack.placement.providers import find
from onestack.placement.record import AllocationRecord, ConsumerRecord, InventoryRecord
from onestack.placement.style import dated

api = Operations("usages")

ALL, UNKNOWN = "all", "unknown"
COUNT = "consumer_count"


class UsageQuery(Shape, forbid_unknown_fields=True):
    """Whose usage to show."""

    project_id: OwnerId
    user_id: OwnerId | None = None
    consumer_type: Annotated[
        Annotated[str, Meta(pattern=r"^([A-Z0-9_]+|all|unknown)$(?!\n)", max_length=255)] | None,
        since("1.38"),
    ] = None


class ProviderUsagesView(Shape):
    """How much of each class of a provider is in use."""

    resource_provider_generation: int
    usages: dict[str, int]


class UsagesView(Shape):
    """How much of each class is in use; since 1.38 by type of consumer, with their count."""

    usages: Mapping[str, int | dict[str, int]]


@api.get("/resource_providers/{uuid}/usages", rules.rule("resource_providers:usages"))
def of_provider(ctx: Context, uuid: str) -> ProviderUsagesView:
    """Show how much of a provider is in use."""
    provider = find(ctx.session, uuid)
    dated(ctx, provider.updated_at)
    return ProviderUsagesView(
        resource_provider_generation=provider.generation, usages=used_of(ctx.session, provider.id)
    )


@api.get("/usages", rules.rule("usages", rules.OWN_PROJECT), since="1.9")
def show(ctx: Context, query: UsageQuery) -> UsagesView:
    """Show how much a project, or a user in it, has in use."""
    ctx.allow(project_id=query.project_id)
    dated(ctx)
    if ctx.version < (1, 38):
        rows = ctx.session.execute(_sums(query, AllocationRecord.resource_class))
        return UsagesView(usages={name: int(used) for name, used in rows})
    return UsagesView(usages=_by_type(ctx.session, query))


def used_of(session: Session, provider_id: str) -> dict[str, int]:
    """How much of each class of a provider is in use: of those that are not used, nothing."""
    classes = select(InventoryRecord.resource_class).where(
        InventoryRecord.provider_id == provider_id
    )
    found = dict.fromkeys(session.scalars(classes.order_by(InventoryRecord.resource_class)), 0)
    sums: Any = (
        select(AllocationRecord.resource_class, func.sum(AllocationRecord.used))
        .where(AllocationRecord.provider_id == provider_id)
        .group_by(AllocationRecord.resource_class)
    )
    found.update((name, int(used)) for name, used in session.execute(sums))
    return found


def _by_type(session: Session, query: UsageQuery) -> dict[str, dict[str, int]]:
    wanted = query.consumer_type
    kind: Any = func.coalesce(ConsumerRecord.type, UNKNOWN)
    counts = _owned(select(kind, func.count(ConsumerRecord.id)), query).group_by(kind)
    sums = _sums(query, kind, AllocationRecord.resource_class)
    found: dict[str, dict[str, int]] = {}
    for name, count in session.execute(counts):
        own = found.setdefault(ALL if wanted == ALL else name, {COUNT: 0})
        own[COUNT] += count
    for name, resource_class, used in session.execute(sums):
        own = found[ALL if wanted == ALL else name]
        own[resource_class] = own.get(resource_class, 0) + int(used)
    if wanted is None:
        return found
    return {name: each for name, each in found.items() if name == wanted}


def _sums(query: UsageQuery, *columns: Any) -> Any:
    statement = select(*columns, func.sum(AllocationRecord.used)).join(
        ConsumerRecord, ConsumerRecord.id == AllocationRecord.consumer_id
    )
    return _owned(statement, query).group_by(*columns)


def _owned(statement: Any, query: UsageQuery) -> Any:
    statement = statement.where(ConsumerRecord.project_id == query.project_id)
    if query.user_id is not None:
        statement = statement.where(ConsumerRecord.user_id == query.user_id)
    return statement
