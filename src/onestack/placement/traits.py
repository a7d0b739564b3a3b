"""Traits: what a provider is like."""

from typing import Annotated

from sqlalchemy import delete as sql_delete
from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.api import Operations, Reply
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.shapes import Meta, Shape
from onestack.placement import changes, known, rules
from onestack.placement.names import Generation, TraitName, is_custom
from onestack.placement.providers import find
from onestack.placement.record import ProviderRecord, ProviderTraitRecord, TraitRecord
from onestack.placement.standards import standard_traits
from onestack.placement.style import CONCURRENT_UPDATE, dated, locate

api = Operations("traits")

OPERATORS = ("in", "startswith")
ANSWERS = {"true": True, "false": False}


class TraitNotFound(NotFound):
    message = "No such trait(s): {name}."


class BadName(BadRequest):
    message = (
        "The trait is invalid. A valid trait must be no longer than 255 characters, start with "
        'the prefix "CUSTOM_" and use following characters: "A"-"Z", "0"-"9" and "_"'
    )


class StandardTrait(BadRequest):
    message = "Cannot delete standard trait {name}."


class TraitInUse(Conflict):
    message = "The trait {name} is in use by a resource provider."


class TraitsChanged(Conflict):
    code = CONCURRENT_UPDATE
    message = (
        "Resource provider's generation already changed. Please update the generation and try "
        "again."
    )


class BadNameQuery(BadRequest):
    message = (
        "Badly formatted name parameter. Expected name query string parameter in form: "
        '?name=[in|startswith]:[name1,name2|prefix]. Got: "{given}"'
    )


class BadAssociated(BadRequest):
    message = 'The query parameter "associated" only accepts "true" or "false"'


class TraitQuery(Shape, forbid_unknown_fields=True):
    """Which traits to list."""

    name: list[str] = []
    associated: list[str] = []


class TraitsView(Shape):
    """Traits."""

    traits: list[str]


class ProviderTraitsUpdate(Shape, forbid_unknown_fields=True):
    """The traits that a provider shall have."""

    traits: Annotated[list[TraitName], Meta(max_length=10_000)]
    resource_provider_generation: Generation


class ProviderTraitsView(Shape):
    """The traits of a provider."""

    traits: list[str]
    resource_provider_generation: int


@api.get("/traits", rules.rule("traits:list"), since="1.6")
def index(ctx: Context, query: TraitQuery) -> TraitsView:
    """List traits."""
    names = standard_traits().union(ctx.session.scalars(select(TraitRecord.name)))
    if query.associated:
        names = _associated(ctx.session, names, query.associated[0])
    if query.name:
        operator, separator, value = query.name[0].partition(":")
        if not separator or operator not in OPERATORS:
            raise BadNameQuery(given=query.name[0])
        if operator == "in":
            names &= set(value.split(","))
        else:
            names = frozenset(name for name in names if name.startswith(value))
    dated(ctx)
    return TraitsView(traits=sorted(names))


@api.get("/traits/{name}", rules.rule("traits:show"), since="1.6", status=204)
def show(ctx: Context, name: str) -> None:
    """Check that there is a trait."""
    if known.unknown_traits(ctx.session, [name]):
        raise TraitNotFound(name=name)
    dated(ctx)


@api.put("/traits/{name}", rules.rule("traits:update"), since="1.6", status=201)
def create(ctx: Context, name: str) -> Reply:
    """Create a trait of the operator's own, unless it is there."""
    if not is_custom(name):
        raise BadName
    changes.begin(ctx.session)
    is_new = ctx.session.get(TraitRecord, name) is None
    if is_new:
        ctx.session.add(TraitRecord(name=name, updated_at=clock.now()))
    locate(ctx, f"traits/{name}")
    dated(ctx)
    return Reply(status=201 if is_new else 204)


@api.delete("/traits/{name}", rules.rule("traits:delete"), since="1.6")
def delete(ctx: Context, name: str) -> None:
    """Delete a trait of the operator's own that no provider has."""
    if name in standard_traits():
        raise StandardTrait(name=name)
    changes.begin(ctx.session)
    record = ctx.session.get(TraitRecord, name)
    if record is None:
        raise TraitNotFound(name=name)
    users = select(ProviderTraitRecord.provider_id).where(ProviderTraitRecord.trait == name)
    if ctx.session.scalar(users.limit(1)) is not None:
        raise TraitInUse(name=name)
    ctx.session.delete(record)


@api.get(
    "/resource_providers/{uuid}/traits", rules.rule("resource_providers:traits:list"), since="1.6"
)
def of_provider(ctx: Context, uuid: str) -> ProviderTraitsView:
    """List the traits of a provider."""
    return _view(ctx, find(ctx.session, uuid))


@api.put(
    "/resource_providers/{uuid}/traits",
    rules.rule("resource_providers:traits:update"),
    since="1.6",
)
def replace(ctx: Context, uuid: str, body: ProviderTraitsUpdate) -> ProviderTraitsView:
    """Say which traits a provider has."""
    number = changes.begin(ctx.session)
    provider = find(ctx.session, uuid)
    if provider.generation != body.resource_provider_generation:
        raise TraitsChanged
    known.check_traits(ctx.session, body.traits)
    write(ctx.session, provider.id, set(body.traits))
    changes.mark(provider, number, advance=True)
    return _view(ctx, provider)


@api.delete(
    "/resource_providers/{uuid}/traits",
    rules.rule("resource_providers:traits:delete"),
    since="1.6",
)
def clear(ctx: Context, uuid: str) -> None:
    """Take all traits from a provider."""
    number = changes.begin(ctx.session)
    provider = find(ctx.session, uuid)
    write(ctx.session, provider.id, set())
    changes.mark(provider, number, advance=True)


def write(session: Session, provider_id: str, wanted: set[str]) -> None:
    """Make a provider's traits these."""
    present = set(of(session, provider_id))
    if present - wanted:
        session.execute(
            sql_delete(ProviderTraitRecord).where(
                ProviderTraitRecord.provider_id == provider_id,
                ProviderTraitRecord.trait.in_(present - wanted),
            )
        )
    session.add_all(
        ProviderTraitRecord(provider_id=provider_id, trait=each) for each in wanted - present
    )
    session.flush()


def of(session: Session, provider_id: str) -> list[str]:
    """The traits of a provider."""
    statement = select(ProviderTraitRecord.trait).where(
        ProviderTraitRecord.provider_id == provider_id
    )
    return sorted(session.scalars(statement))


def _associated(session: Session, names: frozenset[str], answer: str) -> frozenset[str]:
    wanted = ANSWERS.get(answer.lower())
    if wanted is None:
        raise BadAssociated
    used = set(session.scalars(select(ProviderTraitRecord.trait).distinct()))
    return names & used if wanted else names - used


def _view(ctx: Context, provider: ProviderRecord) -> ProviderTraitsView:
    dated(ctx, provider.updated_at)
    return ProviderTraitsView(
        traits=of(ctx.session, provider.id), resource_provider_generation=provider.generation
    )
