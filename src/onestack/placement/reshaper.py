"""The reshaper: moves inventories between providers, with what is allocated of them."""

from uuid import UUID

from sqlalchemy.orm import Session

from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import Shape
from onestack.placement import changes, rules
from onestack.placement.allocations.operations import ConsumerAllocations, claim_of
from onestack.placement.allocations.write import Claim, replace
from onestack.placement.inventories import Inventory, check_generation, held, write
from onestack.placement.names import ClassName, Generation
from onestack.placement.record import ProviderRecord

api = Operations("reshaper")


class ProviderMissing(BadRequest):
    code = "placement.resource_provider.not_found"
    message = "Resource provider {provider_id} in reshaper request does not exist."


class ReshapedInventories(Shape, forbid_unknown_fields=True):
    """The inventories that a provider shall have."""

    resource_provider_generation: Generation | None
    inventories: dict[ClassName, Inventory]


class Reshape(Shape, forbid_unknown_fields=True):
    """What providers shall have, and what of it is allocated to whom."""

    inventories: dict[UUID, ReshapedInventories]
    allocations: dict[UUID, ConsumerAllocations]


@api.post("/reshaper", rules.rule("reshaper:reshape", rules.SERVICE), since="1.30", status=204)
def reshape(ctx: Context, body: Reshape) -> None:
    """Move inventories and allocations, all at once."""
    session = ctx.session
    number = changes.begin(session)
    providers: dict[str, ProviderRecord] = {}
    for each, wanted in body.inventories.items():
        provider = session.get(ProviderRecord, str(each))
        if provider is None:
            raise ProviderMissing(provider_id=each)
        given = wanted.resource_provider_generation
        check_generation(provider, provider.generation if given is None else given)
        providers[provider.id] = provider
    inventories = {str(each): wanted.inventories for each, wanted in body.inventories.items()}
    claims = [claim_of(str(each), wanted) for each, wanted in body.allocations.items()]
    move(session, number, providers, inventories, claims)


def move(
    session: Session, number: int, providers: dict[str, ProviderRecord],
    inventories: dict[str, dict[str, Inventory]], claims: list[Claim],
) -> None:  # fmt: skip
    """Have old and new side by side while allocations move over, then drop the old."""
    for provider_id, wanted in inventories.items():
        kept = held(session, provider_id)
        write(session, providers[provider_id], {**kept, **wanted})
    changes.touch(session, number, inventories, advance=True)
    replace(session, claims, number)
    for provider_id, wanted in inventories.items():
        write(session, providers[provider_id], wanted)
    changes.touch(session, number, inventories, advance=True)
