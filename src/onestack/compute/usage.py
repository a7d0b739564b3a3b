"""Usage: for how long projects had servers of which size, within a time."""

import datetime as dt
from typing import Annotated, Any

from sqlalchemy import CompoundSelect, or_, select, union_all
from sqlalchemy.orm import Session

from onestack.compute import rules
from onestack.compute.paging import PAGE_MAX, BadMarker, Limit
from onestack.compute.servers.record import DeletedServerRecord, ServerRecord
from onestack.core import clock
from onestack.core.api import Operations, Page, Reply
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.moments import precise
from onestack.core.shapes import UNSET, Shape, UnsetType, since

api = Operations("usage")

HOUR_S = 3600.0
FORMATS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d")
COLUMNS = (
    "id", "project_id", "name", "flavor_name", "vcpus", "memory_mb", "root_gb", "ephemeral_gb",
    "vm_state", "launched_at", "terminated_at",
)  # fmt: skip


class BadMoment(BadRequest):
    message = "Datetime is in invalid format"


class BadPeriod(BadRequest):
    message = "Invalid start time. The start time cannot occur after the end time."


class ShowQuery(Shape):
    """Of which time."""

    start: str | None = None
    end: str | None = None
    limit: Annotated[Limit | UnsetType, since("2.40")] = UNSET
    marker: Annotated[str | UnsetType, since("2.40")] = UNSET


class UsageQuery(ShowQuery):
    """Of which time, and whether server by server."""

    detailed: str = "0"


class ServerUsage(Shape):
    """What one server took."""

    instance_id: str
    name: str
    tenant_id: str
    flavor: str
    vcpus: int
    memory_mb: int
    local_gb: int
    hours: float
    uptime: int
    state: str
    started_at: str
    ended_at: str | None


class UsageView(Shape):
    """What a project took."""

    tenant_id: str
    start: str
    stop: str
    total_hours: float = 0.0
    total_vcpus_usage: float = 0.0
    total_memory_mb_usage: float = 0.0
    total_local_gb_usage: float = 0.0
    server_usages: list[ServerUsage] | UnsetType = UNSET


@api.get(
    "/v2.1/os-simple-tenant-usage",
    rules.rule("os-simple-tenant-usage:list"),
    key="tenant_usages",
    kept=False,
)
def index(ctx: Context, query: UsageQuery) -> Page[UsageView]:
    """Show what every project took."""
    start, stop = _period(query)
    rows, marker = _rows(ctx.session, start, stop, query)
    found = _summed(rows, start, stop)
    if query.detailed != "1":
        for each in found.values():
            each.server_usages = UNSET
    return Page(list(found.values()), marker)


@api.get(
    "/v2.1/os-simple-tenant-usage/{project_id}",
    rules.rule("os-simple-tenant-usage:show", rules.READER),
    kept=False,
)
def show(ctx: Context, project_id: str, query: ShowQuery) -> Reply:
    """Show what a project took, server by server."""
    ctx.allow({"project_id": project_id})
    start, stop = _period(query)
    rows, marker = _rows(ctx.session, start, stop, query, project_id)
    found = _summed(rows, start, stop).get(project_id) or _nothing(project_id, start, stop)
    answer: dict[str, Any] = {"tenant_usage": found}
    if marker is not None:
        address = f"{ctx.request.base_url}{ctx.request.path}"
        period = f"start={start.isoformat()}&end={stop.isoformat()}"
        href = f"{address}?{period}&limit={query.limit}&marker={marker}"
        answer["tenant_usage_links"] = [{"rel": "next", "href": href}]
    return Reply(answer)


def _period(query: ShowQuery) -> tuple[dt.datetime, dt.datetime]:
    now = clock.now()
    stop = _moment(query.end) if query.end else now
    start = _moment(query.start) if query.start else min(now, stop)
    if start > stop:
        raise BadPeriod
    return start, stop


def _moment(text: str) -> dt.datetime:
    for each in FORMATS:
        try:
            # A time without a zone is in UTC here, as everywhere in this API.
            return dt.datetime.strptime(text, each)
        except ValueError:
            continue
    raise BadMoment


def _rows(
    session: Session, start: dt.datetime, stop: dt.datetime, query: ShowQuery,
    project_id: str | None = None,
) -> tuple[list[Any], str | None]:  # fmt: skip
    """The servers that there were within a time, by project; and where the next page begins."""
    servers = _servers(start, stop, project_id).subquery()
    wanted = select(servers).order_by(servers.c.project_id, servers.c.id)
    if query.marker is not UNSET:
        row = session.execute(select(servers).where(servers.c.id == query.marker)).first()
        if row is None:
            raise BadMarker(marker=query.marker[:80])
        is_later = (servers.c.project_id == row.project_id) & (servers.c.id > row.id)
        wanted = wanted.where(or_(servers.c.project_id > row.project_id, is_later))
    if query.limit is UNSET:
        return list(session.execute(wanted)), None
    most = min(query.limit, PAGE_MAX)
    rows = list(session.execute(wanted.limit(most + 1)))
    marker = rows[most - 1].id if 0 < most < len(rows) else None
    return rows[:most], marker


def _servers(start: dt.datetime, stop: dt.datetime, project_id: str | None) -> CompoundSelect[Any]:
    """The servers that there are and that are gone, as far as they were there within a time."""
    parts = []
    for record in (ServerRecord, DeletedServerRecord):
        part = select(*(getattr(record, name) for name in COLUMNS)).where(
            record.launched_at.is_not(None),
            record.launched_at < stop,
            or_(record.terminated_at.is_(None), record.terminated_at > start),
        )
        parts.append(part if project_id is None else part.where(record.project_id == project_id))
    return union_all(*parts)


def _summed(rows: list[Any], start: dt.datetime, stop: dt.datetime) -> dict[str, UsageView]:
    """What each project took, and each of its servers."""
    found: dict[str, UsageView] = {}
    for row in rows:
        total = found.get(row.project_id)
        if total is None:
            total = found[row.project_id] = _nothing(row.project_id, start, stop)
        each = _usage(row, start, stop)
        total.total_hours += each.hours
        total.total_vcpus_usage += each.vcpus * each.hours
        total.total_memory_mb_usage += each.memory_mb * each.hours
        total.total_local_gb_usage += each.local_gb * each.hours
        if total.server_usages is not UNSET:
            total.server_usages.append(each)
    return found


def _nothing(project_id: str, start: dt.datetime, stop: dt.datetime) -> UsageView:
    return UsageView(
        tenant_id=project_id,
        start=precise(start),
        stop=precise(stop),
        server_usages=[],
    )


def _usage(row: Any, start: dt.datetime, stop: dt.datetime) -> ServerUsage:
    ended_at = row.terminated_at
    last = min(ended_at or stop, stop)
    seconds = max((last - max(row.launched_at, start)).total_seconds(), 0.0)
    lived = (ended_at or clock.now()) - row.launched_at
    return ServerUsage(
        instance_id=row.id,
        name=row.name,
        tenant_id=row.project_id,
        flavor=row.flavor_name,
        vcpus=row.vcpus,
        memory_mb=row.memory_mb,
        local_gb=row.root_gb + row.ephemeral_gb,
        hours=seconds / HOUR_S,
        uptime=int(lived.total_seconds()),
        state="terminated" if ended_at else row.vm_state,
        started_at=precise(row.launched_at),
        ended_at=precise(ended_at),
    )
