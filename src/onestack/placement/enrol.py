"""Enrolling: how the other services say what a provider has, as often as they like."""

from collections.abc import Collection, Mapping

from msgspec.structs import replace
from sqlalchemy.orm import Session

from onestack.placement import aggregates as groups
from onestack.placement import changes, inventories, known, providers, traits
from onestack.placement.inventories import Inventory
from onestack.placement.record import ProviderRecord
from onestack.placement.standards import CUSTOM


def enrol(  # noqa: PLR0913 - what is to be known of a provider, each by its name
    session: Session, provider_id: str, name: str, *, stock: Mapping[str, Inventory],
    has: Collection[str] = (), parent_id: str | None = None,
    aggregates: Collection[str] | None = None, is_operators: bool = False,
) -> bool:  # fmt: skip
    """Make a provider what this says; whether it was anything else. Traits and aggregates are
    replaced, aggregates only when they are given: operators keep those by themselves too. What
    `is_operators` also keeps the ratios, the reserves and the custom traits that are there."""
    number = changes.begin(session)
    if is_operators:
        stock, has = _kept(session, provider_id, stock, has)
    known.check_traits(session, has)
    record = session.get(ProviderRecord, provider_id, populate_existing=True)
    is_new = record is None
    if record is None:
        record = providers.add(session, name, provider_id, parent_id)
    changed = is_new
    if inventories.held(session, provider_id) != dict(stock):
        inventories.write(session, record, stock)
        changed = True
    if set(traits.of(session, provider_id)) != set(has):
        traits.write(session, provider_id, set(has))
        changed = True
    if aggregates is not None and set(groups.of(session, provider_id)) != set(aggregates):
        groups.write(session, provider_id, aggregates)
        changed = True
    if changed:
        changes.mark(record, number, advance=True)
        session.flush()
    return changed


def _kept(
    session: Session, provider_id: str, stock: Mapping[str, Inventory], has: Collection[str]
) -> tuple[Mapping[str, Inventory], Collection[str]]:
    """Stock and traits with what an operator may have said of those that are there."""
    held = inventories.held(session, provider_id)
    custom = [each for each in traits.of(session, provider_id) if each.startswith(CUSTOM)]
    adapted = {
        name: replace(
            each, allocation_ratio=held[name].allocation_ratio, reserved=held[name].reserved
        )
        if name in held
        else each
        for name, each in stock.items()
    }
    return adapted, {*has, *custom}
