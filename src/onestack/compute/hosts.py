"""Hosts, as the scheduler sees them: kept in memory, and read anew only where something changed."""

import datetime as dt
import importlib
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import column, func, or_, select, table
from sqlalchemy.orm import Session

from onestack.compute import filters
from onestack.compute.aggregates import ZONE, AggregateHostRecord, AggregateRecord
from onestack.compute.nodes import DEFAULT_ZONE, HOSTS_TOPIC, ComputeNodeRecord
from onestack.compute.scheduler import WEIGHERS, Filter, Host, Option, RequestSpec, Rules
from onestack.compute.settings import ComputeSettings
from onestack.core import clock
from onestack.core.agents import SILENT_S, AgentRecord
from onestack.core.config import ConfigError
from onestack.core.db import Database
from onestack.placement import Group, Request, Snapshot, Wanted, search

CANDIDATES_MAX = 250  # hosts that are compared for one server: of more, others each time
FRESH_S = 5.0  # how long it may take until a silent host is noticed: they are silent for a minute
LOAD_FRESH_S = 1.0
FAILURES_KEPT_S = 600.0

_SERVERS = table("servers", column("host"), column("task_state"))
_PRESENT = (
    select(_SERVERS.c.host, func.count())
    .where(_SERVERS.c.host.is_not(None))
    .group_by(_SERVERS.c.host)
)
_BUSY = _PRESENT.where(_SERVERS.c.task_state.is_not(None))


class Found(NamedTuple):
    """A host that could take a server, and what the server would take there."""

    option: Option
    resources: Mapping[str, Mapping[str, int]]  # by provider and resource class


class Aggregate(NamedTuple):
    """An aggregate's name in placement, and what is said of its hosts."""

    uuid: str
    properties: Mapping[str, str]


class Load(NamedTuple):
    """What hosts are at, by their names."""

    servers: Mapping[str, int]
    busy: Mapping[str, int]


class Hosts:
    """All hosts of this cloud, for one process."""

    def __init__(self, database: Database, snapshot: Snapshot, settings: ComputeSettings) -> None:
        self._database, self._snapshot = database, snapshot
        self.rules = rules_of(settings)
        self._lock = threading.RLock()
        self._revision = -1
        self._by_node: dict[str, Host] = {}
        self._nodes: dict[str, str] = {}  # a host's node, by its name
        self._zones: dict[str, frozenset[str]] = {}  # aggregates, by the zone that they are
        self._trouble: dict[str, str] = {}
        self._trouble_read_at = 0.0
        self._now = Load({}, {})
        self._load_read_at = -LOAD_FRESH_S
        self._failed_at: dict[str, list[float]] = defaultdict(list)

    def candidates(
        self, session: Session, spec: RequestSpec, most: int | None = CANDIDATES_MAX
    ) -> list[Found]:
        """The hosts on which placement has room for a server, or as many as are compared."""
        with self._lock:
            self._refresh(session)
            request = self._request(spec, most)
            if request is None:
                return []
            load = self._load(session)
            with self._snapshot.forest() as forest:
                providers, by_node = forest.providers, self._by_node
                found = []
                for candidate in search(forest, request):
                    provider = providers[next(iter(candidate.resources))]
                    host = by_node.get(provider.root_id)
                    if host is not None:
                        option = self._option(host, provider, spec, load)
                        found.append(Found(option, candidate.resources))
                return found

    def everything(self, session: Session, spec: RequestSpec) -> list[Option]:
        """All hosts, whether they have room or not: for whoever asks why."""
        with self._lock:
            self._refresh(session)
            load = self._load(session)
            with self._snapshot.forest() as forest:
                return [
                    self._option(host, provider, spec, load)
                    for node_id, host in self._by_node.items()
                    if (provider := forest.providers.get(node_id)) is not None
                ]

    def zone_of(self, session: Session, host: str) -> str:
        """The availability zone that a host is in."""
        with self._lock:
            self._refresh(session)
            node_id = self._nodes.get(host)
            return DEFAULT_ZONE if node_id is None else self._by_node[node_id].zone

    def _option(self, host: Host, provider: Any, spec: RequestSpec, load: Load) -> Option:
        name, group = host.name, spec.group
        return Option(
            host,
            provider.room,
            provider.traits,
            self._trouble.get(name, ""),
            load.servers.get(name, 0),
            load.busy.get(name, 0),
            len(self._failed_at[name]) if name in self._failed_at else 0,
            group.members.get(name, 0) if group else 0,
        )

    def _request(self, spec: RequestSpec, most: int | None) -> Request | None:
        """What placement is asked; None when there is no such host or zone."""
        node_id = None
        if spec.host is not None:
            node_id = self._nodes.get(spec.host)
            if node_id is None:
                return None
        aggregates = Wanted()
        if spec.zone == DEFAULT_ZONE and not spec.is_forced:
            aggregates = Wanted(forbidden=frozenset().union(*self._zones.values()))
        elif spec.zone is not None and not spec.is_forced:
            members = self._zones.get(spec.zone)
            if not members:
                return None
            aggregates = Wanted((members,))
        traits = Wanted(spec.required, spec.forbidden)
        group = Group(spec.resources, traits, aggregates, node_id)
        # Whoever would rather fill hosts one by one must see the same ones again.
        spreads = self.rules.multipliers.get("ram", 0.0) >= 0
        skip = clock.randomness().randrange(2**31) if spreads else 0
        return Request({"": group}, limit=most, skip=skip)

    def _refresh(self, session: Session) -> None:
        revision = self._database.revision(HOSTS_TOPIC)
        if revision != self._revision:
            self._read(session)
            self._revision = revision
        elif clock.monotonic() - self._trouble_read_at > FRESH_S:
            self._read_trouble(session)

    def _read(self, session: Session) -> None:
        groups = {
            row.id: Aggregate(row.uuid, row.properties)
            for row in session.execute(
                select(AggregateRecord.id, AggregateRecord.uuid, AggregateRecord.properties)
            )
        }
        of_host: dict[str, list[Aggregate]] = defaultdict(list)
        for row in session.execute(
            select(AggregateHostRecord.host, AggregateHostRecord.aggregate_id)
        ):
            of_host[row.host].append(groups[row.aggregate_id])
        nodes = session.execute(select(*ComputeNodeRecord.__table__.columns))
        self._by_node = {row.id: _host(row, of_host.get(row.host, ())) for row in nodes}
        self._nodes = {host.name: node_id for node_id, host in self._by_node.items()}
        zones: dict[str, set[str]] = defaultdict(set)
        for each in groups.values():
            if ZONE in each.properties:
                zones[each.properties[ZONE]].add(each.uuid)
        self._zones = {zone: frozenset(members) for zone, members in zones.items()}
        self._read_trouble(session)

    def _read_trouble(self, session: Session) -> None:
        """Only the hosts that take no servers: there are few of them."""
        oldest = clock.now() - dt.timedelta(seconds=SILENT_S)
        rows = session.execute(
            select(
                AgentRecord.host, AgentRecord.is_enabled, AgentRecord.is_forced_down,
                AgentRecord.disabled_reason,
            ).where(
                AgentRecord.kind == "hypervisor",
                or_(
                    AgentRecord.is_enabled.is_(False),
                    AgentRecord.is_forced_down.is_(True),
                    AgentRecord.seen_at < oldest,
                ),
            )
        )  # fmt: skip
        self._trouble = {row.host: _trouble(row) for row in rows}
        self._trouble_read_at = clock.monotonic()

    def _load(self, session: Session) -> Load:
        """How many servers are on each host, and are being worked on, for who has a use for it."""
        rules, now = self.rules, clock.monotonic()
        if now - self._load_read_at >= LOAD_FRESH_S:
            counts_all = "NumInstancesFilter" in rules.filters
            counts_busy = "IoOpsFilter" in rules.filters or rules.multipliers.get("io_ops")
            present = _counted(session, _PRESENT) if counts_all else {}
            self._now = Load(present, _counted(session, _BUSY) if counts_busy else {})
            self._load_read_at = now
        return self._now

    def note_failure(self, host: str) -> None:
        """A server could not be built on a host; that is forgotten after a while."""
        now = clock.monotonic()
        self._failed_at[host].append(now)
        for name, moments in list(self._failed_at.items()):
            kept = [each for each in moments if now - each < FAILURES_KEPT_S]
            if kept:
                self._failed_at[name] = kept
            else:
                del self._failed_at[name]


def rules_of(settings: ComputeSettings) -> Rules:
    """The filters and multipliers that the settings name."""
    return Rules(
        {**filters.NECESSARY, **{name: _filter(name) for name in settings.filters}},
        dict(_multiplier(each) for each in settings.weights),
        settings.host_subset_size,
    )


def _counted(session: Session, statement: Any) -> dict[str, int]:
    return {row[0]: row[1] for row in session.execute(statement)}


def _filter(name: str) -> Filter:
    """A filter of ours by its name, or an operator's own as `module:Class`."""
    if name in filters.KNOWN:
        return filters.KNOWN[name]
    module, separator, kind = name.partition(":")
    if not separator:
        known = ", ".join(sorted(filters.KNOWN))
        raise ConfigError(f"[compute] there is no filter {name!r}; there are {known}")
    try:
        own: Filter = getattr(importlib.import_module(module), kind)()
    except Exception as error:
        raise ConfigError(f"[compute] filter {name!r} cannot be loaded: {error}") from error
    return own


def _multiplier(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    if name not in WEIGHERS:
        raise ConfigError(f"[compute] there is no weigher {name!r}; there are {list(WEIGHERS)}")
    try:
        return name, float(number)
    except ValueError:
        raise ConfigError(f"[compute] the multiplier of {text!r} is no number") from None


def _host(row: Any, aggregates: Iterable[Aggregate]) -> Host:
    said: dict[str, set[str]] = defaultdict(set)
    zone = DEFAULT_ZONE
    for each in aggregates:
        for key, value in each.properties.items():
            said[key] |= {part.strip() for part in str(value).split(",")}
        zone = each.properties.get(ZONE, zone)
    return Host(
        name=row.host,
        node_id=row.id,
        zone=zone,
        architecture=row.architecture,
        hypervisor_type=row.hypervisor_type,
        hypervisor_version=row.hypervisor_version,
        said={key: frozenset(values) for key, values in said.items()},
        capabilities={
            "cpu_info": row.cpu_info,
            "vcpus_total": row.vcpus,
            "total_usable_ram_mb": row.memory_mb,
            "hypervisor_type": row.hypervisor_type,
            "hypervisor_version": row.hypervisor_version,
            "hypervisor_hostname": row.host,
            "host": row.host,
        },
    )


def _trouble(row: Any) -> str:
    if row.is_forced_down:
        return "is forced down"
    if not row.is_enabled:
        return f"is disabled: {row.disabled_reason}" if row.disabled_reason else "is disabled"
    return "has not been heard of for a minute"
