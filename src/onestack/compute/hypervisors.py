"""Hypervisors: the hosts of servers, what they have and what of it is used."""

import json
from typing import Annotated, Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import column, func, select, table
from sqlalchemy.orm import Session

from onestack.compute import rules
from onestack.compute.lenient import INTEGER_MAX, Flag, flag
from onestack.compute.nodes import ComputeNodeRecord
from onestack.compute.paging import PAGE_MAX, BadMarker, PageQuery
from onestack.compute.services import CONTROL, Compute, computes, state_of, status_of
from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest, NotFound
from onestack.core.shapes import UNSET, Shape, UnsetType, field, since, until

api = Operations("hypervisors")

USAGE = until("2.87")  # placement knows it better, and since then only placement tells it
PATTERN_MAX = 255

V = TypeVar("V", bound="Summary")


class HypervisorNotFound(NotFound):
    message = "Compute host {hypervisor_id} could not be found."


class NothingMatches(NotFound):
    message = "No hypervisor matching '{pattern}' could be found."


class BadId(BadRequest):
    message = "Invalid uuid {hypervisor_id}"


class PagedSearch(BadRequest):
    message = "Paging over results of a search is not supported: leave out {name}"


class HypervisorQuery(PageQuery):
    """Which hypervisors to list."""

    pattern: Annotated[str | UnsetType, since("2.53")] = field(
        default=UNSET, name="hypervisor_hostname_pattern"
    )
    with_servers: Annotated[Flag | UnsetType, since("2.53")] = UNSET


class ShowQuery(Shape):
    """Whether to name the servers too."""

    with_servers: Annotated[Flag | UnsetType, since("2.53")] = UNSET


class ServiceRef(Shape):
    """The service that a hypervisor belongs to."""

    id: int | str
    host: str
    disabled_reason: str | None


class ServerRef(Shape):
    """A server that is on a hypervisor."""

    uuid: str
    name: str


class Summary(Shape):
    """A hypervisor in a list."""

    id: int | str
    hypervisor_hostname: str
    state: str
    status: str
    servers: list[ServerRef] | UnsetType = UNSET


class HypervisorView(Summary, kw_only=True):
    """A hypervisor."""

    hypervisor_type: str
    hypervisor_version: int
    host_ip: str
    service: ServiceRef
    uptime: Annotated[str | None, since("2.88")]
    cpu_info: Annotated[str | dict[str, Any], USAGE]
    vcpus: Annotated[int, USAGE]
    vcpus_used: Annotated[int, USAGE]
    memory_mb: Annotated[int, USAGE]
    memory_mb_used: Annotated[int, USAGE]
    free_ram_mb: Annotated[int, USAGE]
    local_gb: Annotated[int, USAGE]
    local_gb_used: Annotated[int, USAGE]
    free_disk_gb: Annotated[int, USAGE]
    disk_available_least: Annotated[int, USAGE]
    running_vms: Annotated[int, USAGE]
    current_workload: Annotated[int, USAGE]


class UptimeView(Summary, kw_only=True):
    """A hypervisor, and how long it has been there."""

    uptime: str


class StatisticsView(Shape):
    """All hypervisors together."""

    count: int
    vcpus: int
    vcpus_used: int
    memory_mb: int
    memory_mb_used: int
    free_ram_mb: int
    local_gb: int
    local_gb_used: int
    free_disk_gb: int
    disk_available_least: int
    running_vms: int
    current_workload: int


class Use(NamedTuple):
    """What the servers of a host use."""

    servers: int = 0
    vcpus: int = 0
    memory_mb: int = 0
    disk_gb: int = 0
    busy: int = 0


@api.get("/v2.1/os-hypervisors", rules.rule("os-hypervisors:list"), key="hypervisors", kept=False)
def index(ctx: Context, query: HypervisorQuery) -> Page[Summary]:
    """List hypervisors."""
    rows, marker = _page(ctx, query)
    servers = _servers(ctx.session, rows) if _wants_servers(query) else {}
    return Page([_named(Summary(**_brief(ctx, each)), each, servers) for each in rows], marker)


@api.get(
    "/v2.1/os-hypervisors/detail",
    rules.rule("os-hypervisors:list-detail"),
    key="hypervisors",
    kept=False,
)
def detail(ctx: Context, query: HypervisorQuery) -> Page[HypervisorView]:
    """List hypervisors with all that is known of them."""
    rows, marker = _page(ctx, query)
    servers = _servers(ctx.session, rows) if _wants_servers(query) else {}
    used = _used(ctx)
    return Page([_named(_view(ctx, each, used), each, servers) for each in rows], marker)


@api.get(
    "/v2.1/os-hypervisors/statistics",
    rules.rule("os-hypervisors:statistics"),
    key="hypervisor_statistics",
    until="2.87",
    kept=False,
)
def statistics(ctx: Context) -> StatisticsView:
    """Show what all hypervisors that take servers have together."""
    rows = [each for each in computes(ctx.session) if each.agent.is_enabled]
    used = _used(ctx)
    shown = [_view(ctx, each, used) for each in rows]
    names = StatisticsView.__struct_fields__
    totals = {name: sum(getattr(each, name) for each in shown) for name in names if name != "count"}
    return StatisticsView(count=len(rows), **totals)


@api.get(
    "/v2.1/os-hypervisors/{hypervisor_id}",
    rules.rule("os-hypervisors:show"),
    key="hypervisor",
    kept=False,
)
def show(ctx: Context, hypervisor_id: str, query: ShowQuery) -> HypervisorView:
    """Show a hypervisor."""
    found = _find(ctx, hypervisor_id)
    servers = _servers(ctx.session, [found]) if _wants_servers(query) else {}
    return _named(_view(ctx, found, _used(ctx)), found, servers)


@api.get(
    "/v2.1/os-hypervisors/{hypervisor_id}/uptime",
    rules.rule("os-hypervisors:uptime"),
    key="hypervisor",
    until="2.87",
    kept=False,
)
def uptime(ctx: Context, hypervisor_id: str) -> UptimeView:
    """Show how long a hypervisor's agent has been there."""
    found = _find(ctx, hypervisor_id)
    if not found.agent.is_alive:
        raise BadRequest(f"Service nova-compute on host {found.node.host} is down.")
    return UptimeView(uptime=_uptime(found), **_brief(ctx, found))


@api.get(
    "/v2.1/os-hypervisors/{hypervisor_id}/search",
    rules.rule("os-hypervisors:search"),
    key="hypervisors",
    until="2.52",
    kept=False,
)
def search(ctx: Context, hypervisor_id: str) -> Page[Summary]:
    """List the hypervisors in whose names something stands."""
    return Page([Summary(**_brief(ctx, each)) for each in _matching(ctx, hypervisor_id)])


@api.get(
    "/v2.1/os-hypervisors/{hypervisor_id}/servers",
    rules.rule("os-hypervisors:servers"),
    key="hypervisors",
    until="2.52",
    kept=False,
)
def servers(ctx: Context, hypervisor_id: str) -> Page[Summary]:
    """List the hypervisors in whose names something stands, with their servers."""
    rows = _matching(ctx, hypervisor_id)
    found = _servers(ctx.session, rows)
    return Page([_named(Summary(**_brief(ctx, each)), each, found) for each in rows])


_SERVERS = table(
    "servers", column("id"), column("name"), column("host"), column("task_state"),
    column("vcpus"), column("memory_mb"), column("root_gb"), column("ephemeral_gb"),
)  # fmt: skip
_USE = (
    select(
        _SERVERS.c.host, func.count(), func.sum(_SERVERS.c.vcpus), func.sum(_SERVERS.c.memory_mb),
        func.sum(_SERVERS.c.root_gb + _SERVERS.c.ephemeral_gb), func.count(_SERVERS.c.task_state),
    )
    .where(_SERVERS.c.host.is_not(None))
    .group_by(_SERVERS.c.host)
)  # fmt: skip


def _page(ctx: Context, query: HypervisorQuery) -> tuple[list[Compute], str | None]:
    """One page of hypervisors; before 2.33 there is only one."""
    if query.pattern is not UNSET:
        for name in ("limit", "marker"):
            if getattr(query, name) is not None:
                raise PagedSearch(name=name)
        return _matching(ctx, query.pattern), None
    rows = computes(ctx.session)
    if ctx.version < (2, 33):
        return rows, None
    if query.marker is not None:
        places = [at for at, each in enumerate(rows) if str(_id(ctx, each)) == query.marker]
        if not places:
            raise BadMarker(marker=query.marker[:80])
        rows = rows[places[0] + 1 :]
    most = PAGE_MAX if query.limit is None else min(query.limit, PAGE_MAX)
    marker = str(_id(ctx, rows[most - 1])) if 0 < most < len(rows) else None
    return rows[:most], marker


def _matching(ctx: Context, pattern: str) -> list[Compute]:
    text = pattern[:PATTERN_MAX].strip("%")
    found = computes(ctx.session, ComputeNodeRecord.host.contains(text, autoescape=True))
    if not found:
        raise NothingMatches(pattern=pattern[:80])
    return found


def _find(ctx: Context, hypervisor_id: str) -> Compute:
    if ctx.version < (2, 53):
        number = int(hypervisor_id[:12]) if hypervisor_id.isdecimal() else 0
        found = computes(ctx.session, ComputeNodeRecord.number == min(number, INTEGER_MAX))
    else:
        try:
            known = str(UUID(hypervisor_id))
        except ValueError:
            raise BadId(hypervisor_id=hypervisor_id[:80]) from None
        found = computes(ctx.session, ComputeNodeRecord.id == known)
    if not found:
        raise HypervisorNotFound(hypervisor_id=hypervisor_id[:80])
    return found[0]


def _id(ctx: Context, found: Compute) -> int | str:
    return found.node.number if ctx.version < (2, 53) else found.node.id


def _brief(ctx: Context, found: Compute) -> dict[str, Any]:
    return {
        "id": _id(ctx, found),
        "hypervisor_hostname": found.node.host,
        "state": state_of(found.agent),
        "status": status_of(found.agent),
    }


def _view(ctx: Context, found: Compute, used: dict[str, Use]) -> HypervisorView:
    node, agent = found
    use = used.get(node.host, Use())
    cpu_info: str | dict[str, Any] = node.cpu_info
    if ctx.version < (2, 28):
        cpu_info = json.dumps(node.cpu_info) if node.cpu_info else ""
    service_id = node.number + len(CONTROL) if ctx.version < (2, 53) else node.service_id
    free_gb = node.disk_gb - use.disk_gb
    return HypervisorView(
        **_brief(ctx, found),
        hypervisor_type=node.hypervisor_type,
        hypervisor_version=node.hypervisor_version,
        host_ip=node.address,
        service=ServiceRef(id=service_id, host=node.host, disabled_reason=agent.disabled_reason),
        uptime=_uptime(found) if agent.is_alive else None,
        cpu_info=cpu_info,
        vcpus=node.vcpus,
        vcpus_used=use.vcpus,
        memory_mb=node.memory_mb,
        memory_mb_used=use.memory_mb,
        free_ram_mb=node.memory_mb - use.memory_mb,
        local_gb=node.disk_gb,
        local_gb_used=use.disk_gb,
        free_disk_gb=free_gb,
        disk_available_least=free_gb,
        running_vms=use.servers,
        current_workload=use.busy,
    )


def _uptime(found: Compute) -> str:
    """How long the host's agent has been there, in the form that `uptime` has."""
    now = clock.now()
    minutes = int((now - found.agent.started_at).total_seconds()) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    return f" {now:%H:%M:%S} up {days} days, {hours:2}:{minutes % 60:02},  0 users"


def _used(ctx: Context) -> dict[str, Use]:
    """What servers use of each host, for the versions that tell it."""
    if ctx.version >= (2, 88):
        return {}
    return {row[0]: Use(*row[1:]) for row in ctx.session.execute(_USE)}


def _wants_servers(query: HypervisorQuery | ShowQuery) -> bool:
    return query.with_servers is not UNSET and flag(query.with_servers)


def _servers(session: Session, rows: list[Compute]) -> dict[str, list[ServerRef]]:
    """The servers on hosts, by the hosts' names."""
    hosts = [each.node.host for each in rows]
    found: dict[str, list[ServerRef]] = {}
    wanted = select(_SERVERS.c.id, _SERVERS.c.name, _SERVERS.c.host)
    for row in session.execute(wanted.where(_SERVERS.c.host.in_(hosts)).order_by(_SERVERS.c.id)):
        found.setdefault(row.host, []).append(ServerRef(uuid=row.id, name=row.name))
    return found


def _named(shown: V, found: Compute, servers: dict[str, list[ServerRef]]) -> V:
    """With the servers, where there are any."""
    own = servers.get(found.node.host)
    if own:
        shown.servers = own
    return shown
