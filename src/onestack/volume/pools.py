"""Pools, hosts and capabilities: what backends have to offer, for administrators."""

from typing import Any

from sqlalchemy import func, select

from onestack.core import agents, clock
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import NotFound
from onestack.core.moments import precise
from onestack.core.shapes import UNSET, Shape, UnsetType, field
from onestack.volume import rules
from onestack.volume.places import KIND, VENDOR, ZONE, places_of, promised_gb, shown_host
from onestack.volume.scheduler import Place
from onestack.volume.services import SCHEDULER, SCHEDULER_HOST
from onestack.volume.snapshots.record import SnapshotRecord
from onestack.volume.volumes.record import VolumeRecord

api = Operations("backends")

POOLS = rules.rule("scheduler_extension:scheduler_stats:get_pools", rules.ADMIN)
HOSTS = rules.rule("volume_extension:hosts", rules.ADMIN)
CAPABILITIES = rules.rule("volume_extension:capabilities", rules.ADMIN)


class PoolQuery(Shape):
    """Which pools, and how much of them."""

    detail: bool = False
    name: str | None = None
    volume_type: str | None = None


class Pool(Shape):
    """A pool of a backend."""

    name: str
    capabilities: dict[str, Any] | UnsetType = UNSET


class HostView(Shape):
    """A host of volumes."""

    service: str
    zone: str
    service_status: str = field(name="service-status")
    service_state: str = field(name="service-state")
    last_update: str | None = field(name="last-update")
    host_name: str


class Resource(Shape):
    """What a host has of one project, or of all."""

    host: str
    project: str
    volume_count: str
    total_volume_gb: str
    snapshot_count: str
    total_snapshot_gb: str


class HostNotFound(NotFound):
    message = "Host {host} could not be found."


@api.get("/v3/scheduler-stats/get_pools", POOLS, key="pools", kept=False)
def pools(ctx: Context, query: PoolQuery) -> list[Pool]:
    """List the pools that volumes may be put into."""
    ctx.allow()
    found = [_pool(place, query.detail) for place in _all(ctx)]
    return [each for each in found if query.name in (None, each.name)]


@api.get("/v3/os-hosts", HOSTS, key="hosts", kept=False)
def hosts(ctx: Context) -> list[HostView]:
    """List the hosts that keep volumes."""
    ctx.allow()
    scheduler = HostView(
        service=SCHEDULER, zone=ZONE, service_status="available", service_state="enabled",
        last_update=precise(clock.now()), host_name=SCHEDULER_HOST,
    )  # fmt: skip
    return [scheduler] + [
        HostView(
            service="cinder-volume",
            zone=ZONE,
            service_status="available" if each.is_alive else "unavailable",
            service_state="enabled" if each.is_enabled else "disabled",
            last_update=precise(each.seen_at),
            host_name=f"{each.host}@{each.driver}",
        )
        for each in agents.of_kind(ctx.session, KIND)
    ]


@api.get("/v3/os-hosts/{host}", HOSTS, key="host", kept=False)
def show_host(ctx: Context, host: str) -> list[dict[str, Resource]]:
    """Show what a host has, in all and by project."""
    ctx.allow()
    bare = host.partition("@")[0]
    if all(each.host != bare for each in agents.of_kind(ctx.session, KIND)):
        raise HostNotFound(host=host[:80])
    counts = _counts(ctx, bare)
    total = [sum(column) for column in zip(*counts.values(), strict=True)] or [0] * 4
    return [_resource(host, "(total)", total)] + [
        _resource(host, project, row) for project, row in sorted(counts.items())
    ]


@api.get("/v3/capabilities/{host}", CAPABILITIES, kept=False)
def capabilities(ctx: Context, host: str) -> dict[str, Any]:
    """Show what a backend can do."""
    ctx.allow()
    for place in _all(ctx):
        if host.partition("#")[0] in (place.host, f"{place.host}@{place.backend_name}"):
            return {
                "namespace": f"OS::Storage::Capabilities::{host}",
                "vendor_name": VENDOR,
                "volume_backend_name": place.backend_name,
                "pool_name": place.pool,
                "driver_version": "1",
                "storage_protocol": place.capabilities.get("storage_protocol"),
                "display_name": f"Capabilities of {place.backend_name}",
                "description": "None",
                "visibility": "public",
                "replication_targets": [],
                "properties": {},
            }
    raise HostNotFound(host=host[:80])


def _all(ctx: Context) -> list[Place]:
    promised = promised_gb(ctx.session)
    found = agents.of_kind(ctx.session, KIND)
    return [place for agent in found for place in places_of(agent, promised)]


def _pool(place: Place, with_details: bool) -> Pool:
    name = shown_host(place.host, place.backend_name, place.pool) or ""
    if not with_details:
        return Pool(name=name)
    return Pool(
        name=name,
        capabilities={
            "volume_backend_name": place.backend_name,
            "pool_name": place.pool,
            "total_capacity_gb": place.total_gb,
            "free_capacity_gb": place.free_gb,
            "allocated_capacity_gb": place.allocated_gb,
            "provisioned_capacity_gb": place.allocated_gb,
            "reserved_percentage": 0,
            "thin_provisioning_support": place.is_thin,
            "multiattach": bool(place.capabilities.get("multiattach")),
            "QoS_support": False,
            "driver_version": "1",
            "timestamp": None,
            **place.capabilities,
        },
    )


def _counts(ctx: Context, host: str) -> dict[str, list[int]]:
    """Volumes, their size, snapshots and their size, by project."""
    volume, snapshot = VolumeRecord, SnapshotRecord
    found: dict[str, list[int]] = {}
    of_volumes = select(volume.project_id, func.count(volume.id), func.sum(volume.size))
    for project, count, size in ctx.session.execute(
        of_volumes.where(volume.host == host).group_by(volume.project_id)
    ):
        found[project] = [count, int(size), 0, 0]
    of_snapshots = select(
        snapshot.project_id, func.count(snapshot.id), func.sum(snapshot.volume_size)
    ).join(volume, volume.id == snapshot.volume_id)
    for project, count, size in ctx.session.execute(
        of_snapshots.where(volume.host == host).group_by(snapshot.project_id)
    ):
        found.setdefault(project, [0, 0, 0, 0])[2:] = [count, int(size)]
    return found


def _resource(host: str, project: str, row: list[int]) -> dict[str, Resource]:
    volumes, volume_gb, snapshots, snapshot_gb = map(str, row)
    return {
        "resource": Resource(
            host=host, project=project, volume_count=volumes, total_volume_gb=volume_gb,
            snapshot_count=snapshots, total_snapshot_gb=snapshot_gb,
        )
    }  # fmt: skip
