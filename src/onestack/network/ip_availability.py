"""How many addresses of networks there are, and how many are taken."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.shapes import Shape
from onestack.network import ipam, lists, rules
from onestack.network.networks import attributes as networks
from onestack.network.networks.record import NetworkRecord
from onestack.network.ports.record import AddressRecord
from onestack.network.subnets.record import SubnetRecord

api = Operations("network IP availabilities")

GET = rules.rule("get_network_ip_availability", rules.ADMIN)


class SubnetAvailability(Shape):
    """The addresses of a subnet."""

    subnet_id: str
    subnet_name: str
    cidr: str
    ip_version: int
    total_ips: int
    used_ips: int


class AvailabilityView(Shape):
    """The addresses of a network."""

    network_id: str
    network_name: str
    project_id: str
    tenant_id: str
    total_ips: int
    used_ips: int
    subnet_ip_availability: list[SubnetAvailability]


@api.get("/v2.0/network-ip-availabilities", GET, key="network_ip_availabilities")
def index(ctx: Context) -> Page[AvailabilityView]:
    """List how many addresses of each network there are, and are taken."""
    ctx.allow()
    statement = select(NetworkRecord.__table__).order_by(NetworkRecord.id)
    for name, values in ctx.request.query().items():
        column = COLUMNS.get(name)
        if column is not None:
            statement = statement.where(column.in_(values))
        elif name not in lists.PAGING and name != "ip_version":
            raise lists.InvalidInput(f"['{name[:64]}'] is invalid attribute for filtering")
    versions = ctx.request.query().get("ip_version", ["4", "6"])
    return Page(_views(ctx, ctx.session.execute(statement).all(), versions))


@api.get("/v2.0/network-ip-availabilities/{network_id}", GET, key="network_ip_availability")
def show(ctx: Context, network_id: str) -> AvailabilityView:
    """Show how many addresses of a network there are, and are taken."""
    ctx.allow()
    return _views(ctx, [networks.seen(ctx, network_id)], ["4", "6"])[0]


COLUMNS: dict[str, Any] = {
    "network_id": NetworkRecord.id,
    "network_name": NetworkRecord.name,
    "project_id": NetworkRecord.project_id,
    "tenant_id": NetworkRecord.project_id,
}


def _views(ctx: Context, rows: Sequence[Any], versions: list[str]) -> list[AvailabilityView]:
    ids = [each.id for each in rows]
    counted = (
        select(AddressRecord.subnet_id, func.count())
        .where(AddressRecord.network_id.in_(ids))
        .group_by(AddressRecord.subnet_id)
    )
    used = {row[0]: row[1] for row in ctx.session.execute(counted)}
    by_network: dict[str, list[SubnetAvailability]] = {}
    subnets = select(SubnetRecord).where(SubnetRecord.network_id.in_(ids))
    for each in ctx.session.scalars(subnets.order_by(SubnetRecord.created_at, SubnetRecord.id)):
        if str(each.ip_version) not in versions:
            continue
        by_network.setdefault(each.network_id, []).append(
            SubnetAvailability(
                subnet_id=each.id,
                subnet_name=each.name,
                cidr=each.cidr,
                ip_version=each.ip_version,
                total_ips=ipam.size(ipam.ranges_of(each.allocation_pools)),
                used_ips=used.get(each.id, 0),
            )
        )
    return [
        AvailabilityView(
            network_id=row.id,
            network_name=row.name,
            project_id=row.project_id,
            tenant_id=row.project_id,
            total_ips=sum(one.total_ips for one in by_network.get(row.id, ())),
            used_ips=sum(one.used_ips for one in by_network.get(row.id, ())),
            subnet_ip_availability=by_network.get(row.id, []),
        )
        for row in rows
    ]
