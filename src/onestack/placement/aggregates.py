"""Aggregates: which groups of providers a provider is in."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import UNSET, Shape, UnsetType
from onestack.placement import changes, rules
from onestack.placement.inventories import check_generation
from onestack.placement.names import Generation
from onestack.placement.providers import find
from onestack.placement.record import ProviderAggregateRecord, ProviderRecord
from onestack.placement.style import dated

api = Operations("aggregates")

Aggregates = list[UUID]


class NotUnique(BadRequest):
    message = "JSON does not validate: the list of aggregates has non-unique elements"


class WrongForm(BadRequest):
    message = "JSON does not validate: version {version} takes {form}"


class AggregatesUpdate(Shape, forbid_unknown_fields=True):
    """The aggregates that a provider shall be in."""

    aggregates: Aggregates
    resource_provider_generation: Generation


class AggregatesView(Shape):
    """The aggregates that a provider is in."""

    aggregates: list[str]
    resource_provider_generation: int | UnsetType = UNSET


@api.get(
    "/resource_providers/{uuid}/aggregates",
    rules.rule("resource_providers:aggregates:list"),
    since="1.1",
)
def index(ctx: Context, uuid: str) -> AggregatesView:
    """List the aggregates that a provider is in."""
    return _view(ctx, find(ctx.session, uuid))


@api.put(
    "/resource_providers/{uuid}/aggregates",
    rules.rule("resource_providers:aggregates:update"),
    since="1.1",
)
def replace(ctx: Context, uuid: str, body: AggregatesUpdate | Aggregates) -> AggregatesView:
    """Say which aggregates a provider is in; before 1.19 the body is a list without generation."""
    has_generation = ctx.version >= (1, 19)
    number = changes.begin(ctx.session)
    provider = find(ctx.session, uuid)
    if isinstance(body, AggregatesUpdate) != has_generation:
        form = "an object with resource_provider_generation" if has_generation else "a list"
        raise WrongForm(version=ctx.version, form=form)
    if isinstance(body, AggregatesUpdate):
        check_generation(provider, body.resource_provider_generation)
        body = body.aggregates
    wanted = [str(each) for each in body]
    if len(set(wanted)) < len(wanted):
        raise NotUnique
    write(ctx.session, provider.id, wanted)
    changes.mark(provider, number, advance=has_generation)
    return _view(ctx, provider)


def write(session: Session, provider_id: str, wanted: Iterable[str]) -> None:
    """Make a provider's aggregates these."""
    present, wanted = set(of(session, provider_id)), set(wanted)
    if present - wanted:
        session.execute(
            delete(ProviderAggregateRecord).where(
                ProviderAggregateRecord.provider_id == provider_id,
                ProviderAggregateRecord.aggregate_id.in_(present - wanted),
            )
        )
    session.add_all(
        ProviderAggregateRecord(provider_id=provider_id, aggregate_id=each)
        for each in wanted - present
    )
    session.flush()


def of(session: Session, provider_id: str) -> list[str]:
    """The aggregates that a provider is in."""
    statement = select(ProviderAggregateRecord.aggregate_id).where(
        ProviderAggregateRecord.provider_id == provider_id
    )
    return sorted(session.scalars(statement))


def _view(ctx: Context, provider: ProviderRecord) -> AggregatesView:
    dated(ctx, provider.updated_at)
    shown = AggregatesView(aggregates=of(ctx.session, provider.id))
    if ctx.version >= (1, 19):
        shown.resource_provider_generation = provider.generation
    return shown
