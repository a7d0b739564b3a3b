"""The scheduler: which host is best for a server. Pure: it knows neither database nor bus."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import nlargest
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import msgspec

RANKED_MAX = 20  # the best, of which one is chosen and the others are there in case it is gone
NOTHING: frozenset[str] = frozenset()


class Host(msgspec.Struct, frozen=True):
    """What is known of a host that seldom changes."""

    name: str
    node_id: str
    zone: str
    architecture: str = "x86_64"
    hypervisor_type: str = "QEMU"
    hypervisor_version: int = 0
    # What is said of its aggregates: by key, all the values there are.
    said: Mapping[str, frozenset[str]] = {}
    capabilities: Mapping[str, Any] = {}


class Option(NamedTuple):
    """A host as it is now: what it has left, and what keeps it from taking more."""

    host: Host
    room: Mapping[str, int]  # what one more server could have, by resource class
    traits: frozenset[str] = NOTHING
    trouble: str = ""  # why it takes no servers at all
    servers: int = 0
    busy: int = 0  # servers that are being built, moved or copied
    failures: int = 0  # builds that failed there lately
    members: int = 0  # servers of the wanted server's group


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The group that the server is in."""

    id: str
    policy: str
    most_per_host: int = 1
    members: Mapping[str, int] = {}  # how many are on which host


class RequestSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a server asks of its host."""

    server_id: str
    project_id: str
    user_id: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    resources: Mapping[str, int] = {}  # by resource class, as claimed
    required: tuple[frozenset[str], ...] = ()  # one trait out of each
    forbidden: frozenset[str] = NOTHING
    extra_specs: Mapping[str, str] = {}
    image_properties: Mapping[str, str] = {}
    zone: str | None = None
    host: str | None = None
    is_forced: bool = False  # the host was named by who may name one: nothing else is asked
    avoid: frozenset[str] = NOTHING  # hosts that it leaves, or has failed on
    same_host: frozenset[str] | None = None
    different_host: frozenset[str] = NOTHING
    group: Group | None = None


class Chance(Protocol):
    """Where chance comes from."""

    def randrange(self, start: int) -> int: ...


class Filter(Protocol):
    """Says which hosts a server cannot be on."""

    def concerns(self, spec: RequestSpec) -> bool:
        """Whether a server asks for something that this filter looks at."""

    def refuses(self, option: Option, spec: RequestSpec) -> str | None:
        """Why the server cannot be on this host; None when it can."""


Weigher = Callable[[Sequence[Option], RequestSpec], Sequence[float]]


class Refusal(NamedTuple):
    """Why a host was not taken."""

    host: str
    filter: str
    reason: str


class Rules(msgspec.Struct, frozen=True):
    """How an operator wants servers to be placed."""

    filters: Mapping[str, Filter]
    multipliers: Mapping[str, float]
    subset_size: int = 1


class Decision(msgspec.Struct, frozen=True):
    """The hosts that are best for a server, the first one most; and why others cannot take it."""

    ranked: list[Option]
    refusals: list[Refusal]
    considered: int = 0
    weights: Mapping[str, float] = {}  # of those that are ranked


WEIGHERS: dict[str, Weigher] = {
    "ram": lambda options, _: [each.room.get("MEMORY_MB", 0) for each in options],
    "cpu": lambda options, _: [each.room.get("VCPU", 0) for each in options],
    "disk": lambda options, _: [each.room.get("DISK_GB", 0) for each in options],
    "io_ops": lambda options, _: [each.busy for each in options],
    "build_failure": lambda options, _: [-each.failures for each in options],
    "soft_affinity": lambda options, spec: _members(options, spec, "soft-affinity"),
    "soft_anti_affinity": lambda options, spec: [
        -count for count in _members(options, spec, "soft-anti-affinity")
    ],
}


def choose(spec: RequestSpec, options: Sequence[Option], rules: Rules, chance: Chance) -> Decision:
    """Rank the hosts that no filter refuses by their weight, equal ones by chance."""
    filters = [(name, each) for name, each in rules.filters.items() if each.concerns(spec)]
    passed: list[Option] = []
    refusals: list[Refusal] = []
    for option in options:
        for name, each in filters:
            reason = each.refuses(option, spec)
            if reason is not None:
                refusals.append(Refusal(option.host.name, name, reason))
                break
        else:
            passed.append(option)
    best = _best(passed, weigh(spec, passed, rules.multipliers), chance)
    size = min(rules.subset_size, len(best))
    if size > 1:
        best.insert(0, best.pop(chance.randrange(size)))
    weights = {option.host.name: weight for weight, option in best}
    return Decision([option for _, option in best], refusals, len(options), weights)


def verdicts(spec: RequestSpec, options: Iterable[Option], rules: Rules) -> list[list[Refusal]]:
    """Everything that speaks against each host, those with the least to say first."""
    filters = [(name, each) for name, each in rules.filters.items() if each.concerns(spec)]
    found = []
    for option in options:
        reasons = [(name, each.refuses(option, spec)) for name, each in filters]
        found.append(
            [Refusal(option.host.name, name, reason) for name, reason in reasons if reason]
        )
    return sorted(found, key=len)


def weigh(
    spec: RequestSpec, options: Sequence[Option], multipliers: Mapping[str, float]
) -> list[float]:
    """Each host's weight: what every weigher says, from 0 to 1 among these hosts, multiplied."""
    totals = [0.0] * len(options)
    for name, multiplier in multipliers.items():
        values = WEIGHERS[name](options, spec) if multiplier else ()
        least, most = min(values, default=0.0), max(values, default=0.0)
        if most > least:
            scale = multiplier / (most - least)
            totals = [
                total + (value - least) * scale for total, value in zip(totals, values, strict=True)
            ]
    return totals


def _best(
    options: Sequence[Option], weights: Sequence[float], chance: Chance
) -> list[tuple[float, Option]]:
    """The few that weigh most; of those that weigh the same, whoever comes first after a place
    that nobody can foresee."""
    pairs = list(zip(weights, options, strict=True))
    if len(pairs) > 1:
        first = chance.randrange(len(pairs))
        pairs = pairs[first:] + pairs[:first]
    return nlargest(RANKED_MAX, pairs, key=itemgetter(0))


def _members(options: Sequence[Option], spec: RequestSpec, policy: str) -> list[int]:
    if spec.group is None or spec.group.policy != policy:
        return []
    return [each.members for each in options]
