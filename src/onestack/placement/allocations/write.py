"""Writing allocations: all of a request or nothing, and never more than there is."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, cast

import msgspec
from sqlalchemy import (
    BindParameter,
    Connection,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.errors import BadRequest, Conflict
from onestack.placement import changes, known
from onestack.placement.forest import Stock
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


# Built once: what a claim costs is mostly the building of its statements.
_ALLOCATIONS = cast(Table, AllocationRecord.__table__)
_CONSUMERS = cast(Table, ConsumerRecord.__table__)
_PROVIDERS = cast(Table, ProviderRecord.__table__)
_IDS: BindParameter[list[str]] = bindparam("ids", expanding=True)

_KNOWN_CONSUMERS = select(_CONSUMERS.c.id, _CONSUMERS.c.generation).where(_CONSUMERS.c.id.in_(_IDS))
_KNOWN_PROVIDERS = select(_PROVIDERS.c.id).where(_PROVIDERS.c.id.in_(_IDS))
_HELD = select(_ALLOCATIONS.c.provider_id).where(_ALLOCATIONS.c.consumer_id.in_(_IDS)).distinct()
_HELD_BY = select(
    _ALLOCATIONS.c.provider_id, _ALLOCATIONS.c.resource_class, _ALLOCATIONS.c.used
).where(_ALLOCATIONS.c.consumer_id == bindparam("id"))
_FREE = delete(_ALLOCATIONS).where(_ALLOCATIONS.c.consumer_id.in_(_IDS))
_TAKE = insert(_ALLOCATIONS)
_FORGET = delete(_CONSUMERS).where(_CONSUMERS.c.id.in_(_IDS))
_INTRODUCE = insert(_CONSUMERS)
_ADVANCE = (
    update(_CONSUMERS)
    .where(_CONSUMERS.c.id == bindparam("consumer"))
    .values(
        generation=_CONSUMERS.c.generation + 1,
        updated_at=bindparam("now"),
        **{
            name: func.coalesce(bindparam(f"new_{name}", type_=Text), _CONSUMERS.c[name])
            for name in ("project_id", "user_id", "type")
        },
    )
)


class Claim(msgspec.Struct, frozen=True, kw_only=True):
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
        number = changes.begin_use(session)
    connection = session.connection()
    ids = [claim.consumer_id for claim in claims]
    rows = connection.execute(_KNOWN_CONSUMERS, {"ids": ids})
    known_consumers: dict[str, int] = {row.id: row.generation for row in rows}
    for claim in claims:
        _check_generation(claim, known_consumers.get(claim.consumer_id))
    freed = _free(connection, list(known_consumers))
    stock = stock_of(connection, {provider for claim in claims for provider in claim.amounts})
    _check_names(session, claims, {provider for provider, _ in stock})
    _check_amounts(claims, stock)
    for claim in claims:
        _write(connection, claim, is_new=claim.consumer_id not in known_consumers)
    taken = {provider for claim in claims for provider in claim.amounts}
    changes.touch(session, number, taken, advance=True)
    changes.touch(session, number, freed - taken, advance=False)


def release(session: Session, consumer_id: str) -> bool:
    """Take from a consumer all that it has; whether that was anything."""
    number = changes.begin_use(session)
    connection = session.connection()
    freed = _free(connection, [consumer_id])
    connection.execute(_FORGET, {"ids": [consumer_id]})
    changes.touch(session, number, freed, advance=False)
    return bool(freed)


def holdings(session: Session, consumer_id: str) -> dict[str, dict[str, int]]:
    """What a consumer has, by provider and resource class."""
    found: dict[str, dict[str, int]] = {}
    for provider_id, name, used in session.connection().execute(_HELD_BY, {"id": consumer_id}):
        found.setdefault(provider_id, {})[name] = used
    return found


def _check_generation(claim: Claim, present: int | None) -> None:
    if claim.generation not in (ANY, present):
        shown = ["null" if each is None else each for each in (present, claim.generation)]
        raise ConsumerChanged(expected=shown[0], given=shown[1])


def _check_names(session: Session, claims: Sequence[Claim], seen: Collection[str]) -> None:
    """Refuse resource classes and providers that there are not; some providers were seen."""
    doubtful = {provider for claim in claims for provider in claim.amounts}.difference(seen)
    if doubtful:
        found = session.connection().scalars(_KNOWN_PROVIDERS, {"ids": list(doubtful)})
        for provider_id in sorted(doubtful.difference(found)):
            raise NoSuchProvider(provider_id=provider_id)
    for claim in claims:
        names = {name for each in claim.amounts.values() for name in each}
        for name in known.unknown_classes(session, names):
            raise NoSuchClass(consumer_id=claim.consumer_id, name=name)


def _free(connection: Connection, consumers: list[str]) -> set[str]:
    """Delete what consumers have; the providers that it was of."""
    freed = set(connection.scalars(_HELD, {"ids": consumers})) if consumers else set()
    if freed:
        connection.execute(_FREE, {"ids": consumers})
    return freed


def _check_amounts(claims: Sequence[Claim], stock: Mapping[tuple[str, str], Stock]) -> None:
    """Refuse what an inventory does not allow, or does not have left."""
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


def _write(connection: Connection, claim: Claim, *, is_new: bool) -> None:
    if not claim.amounts:
        connection.execute(_FORGET, {"ids": [claim.consumer_id]})
        return
    if is_new:
        new = {
            "id": claim.consumer_id, "generation": 1, "updated_at": clock.now(),
            "project_id": claim.project_id or UNKNOWN_OWNER,
            "user_id": claim.user_id or UNKNOWN_OWNER, "type": claim.type,
        }  # fmt: skip
        connection.execute(_INTRODUCE, new)
    else:
        changed = {
            "consumer": claim.consumer_id, "now": clock.now(), "new_project_id": claim.project_id,
            "new_user_id": claim.user_id, "new_type": claim.type,
        }  # fmt: skip
        connection.execute(_ADVANCE, changed)
    rows = [
        {"consumer_id": claim.consumer_id, "provider_id": provider_id, "resource_class": name,
         "used": amount}
        for provider_id, amounts in claim.amounts.items()
        for name, amount in amounts.items()
    ]  # fmt: skip
    connection.execute(_TAKE, rows)
