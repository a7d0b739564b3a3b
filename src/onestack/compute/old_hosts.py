"""Hosts, as clients of versions before 2.43 ask for them."""

from typing import Literal

from sqlalchemy import column, func, select, table

from onestack.compute import nodes, rules, services
from onestack.compute.nodes import DEFAULT_ZONE
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import ApiError, BadRequest, NotFound
from onestack.core.shapes import UNSET, Shape, UnsetType

api = Operations("hosts")

UNTIL = "2.42"


class NotSupported(ApiError):
    status = 501
    title = "Not Implemented"
    message = "The requested functionality is not supported."


class NothingToDo(BadRequest):
    message = "Invalid input for field/attribute: 'status' or 'maintenance_mode' is required"


class HostUpdate(Shape, forbid_unknown_fields=True):
    """Whether a host takes servers."""

    status: Literal["enable", "disable"] | UnsetType = UNSET
    maintenance_mode: Literal["enable", "disable"] | UnsetType = UNSET


class HostQuery(Shape):
    """Which hosts to list."""

    service: str | None = None
    zone: str | None = None


class HostView(Shape):
    """A host, and what runs on it."""

    host_name: str
    service: str
    zone: str


class Resource(Shape):
    """What a host has, or what a project has of it."""

    host: str
    project: str
    cpu: int
    memory_mb: int
    disk_gb: int


class ResourceView(Shape):
    """One line of a host's account."""

    resource: Resource


@api.get("/v2.1/os-hosts", rules.rule("os-hosts:list"), key="hosts", until=UNTIL, kept=False)
def index(ctx: Context, query: HostQuery) -> Page[HostView]:
    """List hosts."""
    zones = services.zones_of(ctx.session)
    shown = [
        HostView(
            host_name=services.control_host(),
            service=binary.removeprefix("nova-"),
            zone=services.INTERNAL,
        )
        for _, _, binary in services.CONTROL
    ]
    shown += [
        HostView(host_name=each.host, service="compute", zone=zones.get(each.host, DEFAULT_ZONE))
        for each, _ in services.computes(ctx.session)
    ]
    return Page([
        each
        for each in shown
        if query.service in (None, each.service) and query.zone in (None, "", each.zone)
    ])  # fmt: skip


@api.get("/v2.1/os-hosts/{host}", rules.rule("os-hosts:show"), key="host", until=UNTIL, kept=False)
def show(ctx: Context, host: str) -> Page[ResourceView]:
    """Show what a host has, what of it is in use, and by which projects."""
    node = nodes.find(ctx.session, host)
    by_project = [
        Resource(
            host=host, project=row.project_id, cpu=row.cpu, memory_mb=row.memory_mb,
            disk_gb=row.disk_gb,
        )
        for row in ctx.session.execute(_USE.where(_SERVERS.c.host == host))
    ]  # fmt: skip
    whole = Resource(
        host=host, project="(total)", cpu=node.vcpus, memory_mb=node.memory_mb,
        disk_gb=node.disk_gb,
    )  # fmt: skip
    sums = {
        name: sum(getattr(each, name) for each in by_project)
        for name in ("cpu", "memory_mb", "disk_gb")
    }
    used = [Resource(host=host, project=name, **sums) for name in ("(used_now)", "(used_max)")]
    return Page([ResourceView(resource=each) for each in (whole, *used, *by_project)])


@api.put("/v2.1/os-hosts/{host}", rules.rule("os-hosts:update"), until=UNTIL)
def update(ctx: Context, host: str, body: HostUpdate) -> dict[str, str]:
    """Let a host take servers, or no more; no hypervisor of ours has a mode of maintenance."""
    if body.status is UNSET and body.maintenance_mode is UNSET:
        raise NothingToDo
    found = services.named(ctx.session, host)
    if body.maintenance_mode is not UNSET:
        raise NotSupported
    is_enabled = body.status == "enable"
    services.enable(ctx, found, is_enabled, None)
    return {"host": host, "status": "enabled" if is_enabled else "disabled"}


@api.get("/v2.1/os-hosts/{host}/{action}", rules.rule("os-hosts:power"), until=UNTIL, kept=False)
def power(ctx: Context, host: str, action: str) -> None:
    """Refuse to start a host, or to shut it down: no hypervisor of ours does that."""
    nodes.find(ctx.session, host)
    raise NotSupported if action in ("startup", "shutdown", "reboot") else NotFound


_SERVERS = table(
    "servers", column("project_id"), column("host"), column("vcpus"), column("memory_mb"),
    column("root_gb"), column("ephemeral_gb"),
)  # fmt: skip
_USE = select(
    _SERVERS.c.project_id,
    func.sum(_SERVERS.c.vcpus).label("cpu"),
    func.sum(_SERVERS.c.memory_mb).label("memory_mb"),
    func.sum(_SERVERS.c.root_gb + _SERVERS.c.ephemeral_gb).label("disk_gb"),
).group_by(_SERVERS.c.project_id)
