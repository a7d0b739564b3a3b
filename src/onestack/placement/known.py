"""Which resource classes and traits there are: the standard ones, and the operator's own."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest
from onestack.placement.record import ResourceClassRecord, TraitRecord
from onestack.placement.standards import CUSTOM, standard_classes, standard_traits


class NoSuchTrait(BadRequest):
    message = "No such trait(s): {names}."


def unknown_classes(session: Session, names: Iterable[str]) -> list[str]:
    """Those of the names that no resource class has, sorted."""
    doubtful = set(names).difference(standard_classes())
    custom = [name for name in doubtful if name.startswith(CUSTOM)]
    if custom:
        found = select(ResourceClassRecord.name).where(ResourceClassRecord.name.in_(custom))
        doubtful.difference_update(session.scalars(found))
    return sorted(doubtful)


def unknown_traits(session: Session, names: Iterable[str]) -> list[str]:
    """Those of the names that no trait has, sorted."""
    doubtful = set(names).difference(standard_traits())
    custom = [name for name in doubtful if name.startswith(CUSTOM)]
    if custom:
        found = select(TraitRecord.name).where(TraitRecord.name.in_(custom))
        doubtful.difference_update(session.scalars(found))
    return sorted(doubtful)


def check_traits(session: Session, names: Iterable[str]) -> None:
    """Refuse names that no trait has."""
    unknown = unknown_traits(session, names)
    if unknown:
        raise NoSuchTrait(names=", ".join(unknown))
