"""Which backend a volume goes to: filters say where it could be, weights say where it is best.

Pure: what is known of backends comes in, a choice or the reasons against each comes out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from onestack.core.errors import ApiError

# Extra specs of these scopes are for others than the scheduler.
SCOPES = frozenset({"capabilities", ""})


class Place(msgspec.Struct, frozen=True):
    """A pool of a backend."""

    host: str
    pool: str
    total_gb: float
    free_gb: float
    allocated_gb: float = 0.0
    availability_zone: str = "nova"
    is_thin: bool = True
    backend_name: str = ""
    capabilities: Mapping[str, Any] = {}

    @property
    def room_gb(self) -> float:
        """What volumes may still be promised."""
        return self.total_gb - self.allocated_gb


class Wanted(msgspec.Struct, frozen=True):
    """What a volume needs."""

    size_gb: int
    availability_zone: str | None = None
    extra_specs: Mapping[str, str] = {}
    host: str | None = None  # where its source is
    excluded: frozenset[str] = frozenset()
    same_hosts: frozenset[str] = frozenset()
    different_hosts: frozenset[str] = frozenset()


class Refusal(msgspec.Struct, frozen=True):
    """Why a place was not good enough."""

    host: str
    pool: str
    filter: str
    reason: str


class NoValidBackend(ApiError):
    status = 400
    message = "No valid backend was found. {reason}"


def choose(wanted: Wanted, places: Sequence[Place]) -> Place:
    """The best place, or `NoValidBackend` with what each place lacks."""
    fitting, refusals = sift(wanted, places)
    if not fitting:
        told = "; ".join(f"{r.host}#{r.pool}: {r.reason} ({r.filter})" for r in refusals)
        raise NoValidBackend(reason=told or "No backend is up.")
    return max(fitting, key=lambda place: (*weight(place), place.host, place.pool))


def sift(wanted: Wanted, places: Sequence[Place]) -> tuple[list[Place], list[Refusal]]:
    """The places that will do, and what speaks against the others."""
    fitting, refusals = [], []
    for place in places:
        refusal = _refusal(wanted, place)
        if refusal is None:
            fitting.append(place)
        else:
            refusals.append(refusal)
    return fitting, refusals


def weight(place: Place) -> tuple[float, float]:
    """How good a place is: as its backend says, then by its room."""
    goodness = place.capabilities.get("goodness", 0)
    return (float(goodness) if isinstance(goodness, int | float) else 0.0, place.room_gb)


def _refusal(wanted: Wanted, place: Place) -> Refusal | None:
    for name, judge in FILTERS.items():
        reason = judge(wanted, place)
        if reason is not None:
            return Refusal(place.host, place.pool, name, reason)
    return None


def _ignored(wanted: Wanted, place: Place) -> str | None:
    return "it failed before" if place.host in wanted.excluded else None


def _same_source(wanted: Wanted, place: Place) -> str | None:
    is_other = wanted.host not in (None, place.host)
    return f"the source is on {wanted.host}" if is_other else None


def _zone(wanted: Wanted, place: Place) -> str | None:
    if wanted.availability_zone in (None, place.availability_zone):
        return None
    return f"it is in zone {place.availability_zone}, not {wanted.availability_zone}"


def _capacity(wanted: Wanted, place: Place) -> str | None:
    if place.room_gb >= wanted.size_gb:
        return None
    return f"{wanted.size_gb} GB wanted, room for {place.room_gb:g} GB"


def _capabilities(wanted: Wanted, place: Place) -> str | None:
    has = {"volume_backend_name": place.backend_name, **place.capabilities}
    for name, demand in wanted.extra_specs.items():
        scope, separator, bare = name.partition(":")
        if separator and scope not in SCOPES:
            continue
        key = bare if separator else name
        if not _meets(has.get(key), demand):
            return f"{key} is {has.get(key)!r}, wanted {demand!r}"
    return None


def _hints(wanted: Wanted, place: Place) -> str | None:
    if wanted.same_hosts and place.host not in wanted.same_hosts:
        return "the volumes that it should be with are elsewhere"
    if place.host in wanted.different_hosts:
        return "a volume that it should not be with is here"
    return None


def _meets(value: object, demand: str) -> bool:
    """Whether a capability is what an extra spec asks for."""
    if value is None:
        return False
    operator, _, operand = demand.strip().partition(" ")
    text = str(value)
    if operator == "<is>":
        return text.lower() == operand.strip().lower()
    if operator == "<in>":
        return operand.strip() in text
    if operator == "<or>":
        choices = [each.strip() for each in operand.split("<or>")]
        return text in choices
    if operator in COMPARISONS:
        try:
            return COMPARISONS[operator](float(text), float(operand))
        except ValueError:
            return False
    if operator in TEXT_COMPARISONS:
        return TEXT_COMPARISONS[operator](text, operand.strip())
    return text.lower() == demand.strip().lower()


COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "=": lambda have, want: have >= want,  # as the service has always understood it
    "==": lambda have, want: have == want,
    "!=": lambda have, want: have != want,
    ">=": lambda have, want: have >= want,
    "<=": lambda have, want: have <= want,
}
TEXT_COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "s==": lambda have, want: have == want,
    "s!=": lambda have, want: have != want,
    "s>=": lambda have, want: have >= want,
    "s>": lambda have, want: have > want,
    "s<=": lambda have, want: have <= want,
    "s<": lambda have, want: have < want,
}
FILTERS: Mapping[str, Callable[[Wanted, Place], str | None]] = {
    "IgnoreAttemptedHostsFilter": _ignored,
    "SameSourceFilter": _same_source,
    "AvailabilityZoneFilter": _zone,
    "CapacityFilter": _capacity,
    "CapabilitiesFilter": _capabilities,
    "AffinityFilter": _hints,
}
