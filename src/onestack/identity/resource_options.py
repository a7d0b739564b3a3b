"""Resource options: switches of a project, domain or role that say how it may be handled."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from onestack.core.errors import Forbidden
from onestack.core.shapes import UNSET, Shape, UnsetType, extras_of

IMMUTABLE = "immutable"


class OptionsBody(Shape, forbid_unknown_fields=True):
    """Options to set; null takes an option away."""

    immutable: bool | UnsetType | None = UNSET


class ImmutableUpdate(Forbidden):
    message = (
        "Unable to update immutable {kind} resource: `{resource_id}. "
        'Set resource option "immutable" to false first.'
    )


class ImmutableDelete(Forbidden):
    message = (
        "Unable to delete immutable {kind} resource: `{resource_id}. "
        'Set resource option "immutable" to false first.'
    )


class WithOptions(Protocol):
    """A record that carries options."""

    id: Any
    options: Any


def merged(
    options: OptionsBody | UnsetType, stored: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What to store: the options there were, changed by those that the request gives."""
    given = msgspec.structs.asdict(options) if isinstance(options, OptionsBody) else {}
    changed = {**(stored or {}), **{k: v for k, v in given.items() if v is not UNSET}}
    return {name: value for name, value in changed.items() if value is not None}


def allow_update(record: WithOptions, kind: str, body: Shape) -> None:
    """Refuse to change what is immutable; only the option itself may be lifted, and alone."""
    if not record.options.get(IMMUTABLE):
        return
    options = getattr(body, "options", UNSET)
    lifts = isinstance(options, OptionsBody) and options.immutable in (False, None)
    if not lifts or _given(body) != {"options"}:
        raise ImmutableUpdate(kind=kind, resource_id=record.id)


def allow_delete(record: WithOptions, kind: str) -> None:
    """Refuse to delete what is immutable."""
    if record.options.get(IMMUTABLE):
        raise ImmutableDelete(kind=kind, resource_id=record.id)


def _given(body: Shape) -> set[str]:
    """The attributes that a request names."""
    extra = extras_of(type(body))
    names = {
        each.name
        for each in msgspec.structs.fields(body)
        if each.name != extra and getattr(body, each.name) is not UNSET
    }
    return names | set(getattr(body, extra) if extra else ())
