"""Enrolling: how the other services say what a provider has, as often as they like."""

from collections.abc import Collection, Mapping

from sqlalchemy.orm import Session

from onestack.placement import aggregates as groups
from onestack.placement import changes, inventories, known, providers, traits
from onestack.placement.inventories import Inventory
from onestack.placement.record import ProviderRecord


def enrol(  # noqa: PLR0913 - what is to be known of a provider, each by its name
    session: Session, provider_id: str, name: str, *, stock: Mapping[str, Inventory],
    has: Collection[str] = (), parent_id: str | None = None,
    aggregates: Collection[str] | None = None,
) -> bool:  # fmt: skip
    """Make a provider what this says; whether it was anything else. Traits and aggregates are
    replaced, aggregates only when they are given: operators keep those by themselves too."""
    number = changes.begin(session)
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
