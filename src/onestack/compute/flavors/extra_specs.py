"""Extra specs: what a flavour asks of hosts, and of the guests' hardware."""

from typing import Annotated

from sqlalchemy import delete as sql_delete

from onestack.compute import rules
from onestack.compute.flavors.change import stored
from onestack.compute.flavors.read import visible
from onestack.compute.flavors.record import FlavorExtraSpecRecord, extra_specs_of
from onestack.compute.flavors.view import EXTRA_SPECS
from onestack.core import clock
from onestack.core.api import Operations, Raw
from onestack.core.context import Context
from onestack.core.errors import BadRequest, NotFound
from onestack.core.shapes import Meta, Shape

api = Operations("flavor extra specs")

PATH = "/v2.1/flavors/{flavor_id}/os-extra_specs"
Key = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-_:. ]{1,255}$")]
Value = Annotated[str, Meta(max_length=255)] | int | float
Specs = dict[Key, Value]


class SpecNotFound(NotFound):
    message = "Flavor {flavor_id} has no extra specs with key {name}."


class BodyAndPathDiffer(BadRequest):
    message = "Request body and URI mismatch"


class BadName(BadRequest):
    message = "Invalid key {name!r:.80} of an extra spec."


class ExtraSpecs(Shape, forbid_unknown_fields=True):
    """What a flavour shall ask for besides."""

    extra_specs: Specs


@api.get(PATH, EXTRA_SPECS, key="extra_specs")
def index(ctx: Context, flavor_id: str) -> dict[str, str]:
    """List what a flavour asks for."""
    rules.allow_own(ctx)
    visible(ctx, flavor_id)
    return extra_specs_of(ctx.session, flavor_id)


@api.post(PATH, rules.rule("os-flavor-extra-specs:create"))
def create(ctx: Context, flavor_id: str, body: ExtraSpecs) -> dict[str, dict[str, str]]:
    """Let a flavour ask for more."""
    stored(ctx, flavor_id)
    specs = {_checked(name): _text(value) for name, value in body.extra_specs.items()}
    _put(ctx, flavor_id, specs)
    return {"extra_specs": specs}


@api.get(f"{PATH}/{{name}}", rules.rule("os-flavor-extra-specs:show", rules.READER))
def show(ctx: Context, flavor_id: str, name: str) -> dict[str, str]:
    """Show one thing that a flavour asks for."""
    rules.allow_own(ctx)
    visible(ctx, flavor_id)
    return {name: _spec(ctx, flavor_id, name).value}


@api.put(f"{PATH}/{{name}}", rules.rule("os-flavor-extra-specs:update"))
def update(ctx: Context, flavor_id: str, name: str, body: Specs) -> dict[str, str]:
    """Change one thing that a flavour asks for."""
    stored(ctx, flavor_id)
    if body.keys() != {name}:
        raise BodyAndPathDiffer
    specs = {_checked(name): _text(body[name])}
    _put(ctx, flavor_id, specs)
    return specs


@api.delete(f"{PATH}/{{name}}", rules.rule("os-flavor-extra-specs:delete"), status=200)
def delete(ctx: Context, flavor_id: str, name: str) -> Raw:
    """Let a flavour ask for one thing less."""
    stored(ctx, flavor_id)
    ctx.session.delete(_spec(ctx, flavor_id, name))
    return Raw(b"")


def _put(ctx: Context, flavor_id: str, specs: dict[str, str]) -> None:
    ctx.session.execute(
        sql_delete(FlavorExtraSpecRecord).where(
            FlavorExtraSpecRecord.flavor_id == flavor_id, FlavorExtraSpecRecord.name.in_(specs)
        )
    )
    ctx.session.add_all(
        FlavorExtraSpecRecord(flavor_id=flavor_id, name=name, value=value)
        for name, value in specs.items()
    )
    stored(ctx, flavor_id).updated_at = clock.now()


def _spec(ctx: Context, flavor_id: str, name: str) -> FlavorExtraSpecRecord:
    record = ctx.session.get(FlavorExtraSpecRecord, (flavor_id, name))
    if record is None:
        raise SpecNotFound(flavor_id=flavor_id, name=name[:255])
    return record


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else str(value)


def _checked(name: str) -> str:
    """The name of a spec, which begins and ends with no space."""
    if not name or name != name.strip():
        raise BadName(name=name)
    return name
