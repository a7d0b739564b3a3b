"""Writing allocations: all of a request or nothing, and never more than there is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, insert, select
from sqlalchemy import update as sql_update
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.errors import BadRequest, Conflict
from onestack.placement import changes, known
from onestack.placement.record import (
    UNKNOWN_OWNER,
    AllocationRecord,
    ConsumerRecord,
    ProviderRecord,
)
from onestack.placement.snapshot import stock_of
from onestack.placement.style import CONCURRENT_UPDATE

ANY: Final = -1  # a generation that is not checked

Amounts = Mapping[str, Mapping[str, int]]  # by provider and resource class


class ConsumerChanged(Conflict):
    code = CONCURRENT_UPDATE
    message = "consumer generation conflict - expected {expected} but got {given}"


class NoSuchProvider(BadRequest):
    message = "Allocation for resource provider '{provider_id}' that does not exist."


class NoSuchClass(BadRequest):
    message = (
        "Unable to allocate inventory for consumer {consumer_id}: No such resource class {name}."
    )


class NoInventory(Conflict):
    message = (
        "Unable to allocate inventory: Inventory for '{name}' on resource provider "
        "'{provider_id}' invalid."
    )


class CapacityExceeded(Conflict):
    message = (
        "Unable to allocate inventory: Unable to create allocation for '{name}' on resource "
        "provider '{provider_id}'. The requested amount would exceed the capacity."
    )


class ConstraintsViolated(Conflict):
    message = (
        "Unable to allocate inventory: Unable to create allocation for '{name}' on resource "
        "provider '{provider_id}'. The requested amount would violate inventory constraints."
    )


@dataclass(frozen=True, kw_only=True)
class Claim:
    """All that a consumer shall hold from now on; nothing is a claim too."""

    consumer_id: str
    amounts: Amounts
    project_id: str | None = None
    user_id: str | None = None
    type: str | None = None
    generation: int | None = ANY  # None: the consumer must be new


def replace(session: Session, claims: Sequence[Claim], number: int | None = None) -> None:
    """Give each consumer what it claims, in place of what it has."""
    if number is None:
        number = changes.begin(session)
    ids = [claim.consumer_id for claim in claims]
    consumers = {
        each.id: each
        for each in session.execute(
            select(ConsumerRecord.id, ConsumerRecord.generation).where(ConsumerRecord.id.in_(ids))
        )
    }
    for claim in claims:
        before = consumers.get(claim.consumer_id)
        _check_generation(claim, before.generation if before is not None else None)
    _check_names(session, claims)
    freed = _free(session, ids)
    _check_amounts(session, claims)
    for claim in claims:
        _write(session, claim, is_new=claim.consumer_id not in consumers)
    taken = {provider for claim in claims for provider in claim.amounts}
    changes.touch(session, number, taken, advance=True)
    changes.touch(session, number, freed - taken, advance=False)


def release(session: Session, consumer_id: str) -> bool:
    """Take from a consumer all that it has; whether that was anything."""
    number = changes.begin(session)
    freed = _free(session, [consumer_id])
    session.execute(delete(ConsumerRecord).where(ConsumerRecord.id == consumer_id))
    changes.touch(session, number, freed, advance=False)
    return bool(freed)


def _check_generation(claim: Claim, present: int | None) -> None:
    if claim.generation not in (ANY, present):
        shown = ["null" if each is None else each for each in (present, claim.generation)]
        raise ConsumerChanged(expected=shown[0], given=shown[1])


def _check_names(session: Session, claims: Sequence[Claim]) -> None:
    """Refuse resource classes and providers that there are not."""
    wanted = {provider for claim in claims for provider in claim.amounts}
    found = set(session.scalars(select(ProviderRecord.id).where(ProviderRecord.id.in_(wanted))))
    for provider_id in sorted(wanted - found):
        raise NoSuchProvider(provider_id=provider_id)
    for claim in claims:
        names = {name for each in claim.amounts.values() for name in each}
        for name in known.unknown_classes(session, names):
            raise NoSuchClass(consumer_id=claim.consumer_id, name=name)


def _free(session: Session, consumers: Iterable[str]) -> set[str]:
    """Delete what consumers have; the providers that it was of."""
    theirs = AllocationRecord.consumer_id.in_(consumers)
    freed = set(session.scalars(select(AllocationRecord.provider_id).where(theirs).distinct()))
    if freed:
        session.execute(
            delete(AllocationRecord).where(theirs).execution_options(synchronize_session=False)
        )
    return freed


def _check_amounts(session: Session, claims: Sequence[Claim]) -> None:
    """Refuse what an inventory does not allow, or does not have left."""
    providers = {provider for claim in claims for provider in claim.amounts}
    stock = stock_of(session, providers)
    taken: dict[tuple[str, str], int] = {}
    for claim in claims:
        for provider_id, amounts in claim.amounts.items():
            for name, amount in amounts.items():
                key = (provider_id, name)
                inventory = stock.get(key)
                if inventory is None:
                    raise NoInventory(name=name, provider_id=provider_id)
                is_allowed = inventory.min_unit <= amount <= inventory.max_unit
                if not is_allowed or amount % inventory.step_size:
                    raise ConstraintsViolated(name=name, provider_id=provider_id)
                taken[key] = taken.get(key, 0) + amount
                if inventory.used + taken[key] > inventory.capacity:
                    raise CapacityExceeded(name=name, provider_id=provider_id)


def _write(session: Session, claim: Claim, *, is_new: bool) -> None:
    if not claim.amounts:
        session.execute(delete(ConsumerRecord).where(ConsumerRecord.id == claim.consumer_id))
        return
    owner = {"project_id": claim.project_id, "user_id": claim.user_id, "type": claim.type}
    given: dict[str, Any] = {name: each for name, each in owner.items() if each is not None}
    given["updated_at"] = clock.now()
    if is_new:
        new = {"project_id": UNKNOWN_OWNER, "user_id": UNKNOWN_OWNER, "type": None, **given}
        session.execute(insert(ConsumerRecord).values(id=claim.consumer_id, generation=1, **new))
    else:
        session.execute(
            sql_update(ConsumerRecord)
            .where(ConsumerRecord.id == claim.consumer_id)
            .values(generation=ConsumerRecord.generation + 1, **given)
            .execution_options(synchronize_session=False)
        )
    rows = [
        {"consumer_id": claim.consumer_id, "provider_id": provider_id, "resource_class": name,
         "used": amount}
        for provider_id, amounts in claim.amounts.items()
        for name, amount in amounts.items()
    ]  # fmt: skip
    session.execute(insert(AllocationRecord), rows)
