"""What clients may say of a subnet, who may say it, and how they see it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from sqlalchemy import ColumnElement, select

from onestack.core.context import Context
from onestack.core.db import by_key
from onestack.core.shapes import UNSET, Id, Meta, Shape, UnsetType, field
from onestack.network import lists, rbac, rules
from onestack.network.attributes import Text
from onestack.network.networks import attributes as networks
from onestack.network.networks.record import NetworkRecord
from onestack.network.standard import iso
from onestack.network.subnets.record import SubnetNotFound, SubnetRecord

SEEN = "(role:reader and (project_id:%(project_id)s or 'True':%(shared)s))"
READ = f"{rules.ADMIN} or {SEEN} or rule:service_api"
NETWORK_OWNER = "(role:member and project_id:%(network:tenant_id)s)"
GET = rules.rule("get_subnet", READ)
CREATE_RULE = rules.rule("create_subnet", f"{rules.ADMIN} or {NETWORK_OWNER}")
UPDATE_RULE = rules.rule("update_subnet", f"{rules.WRITE} or {NETWORK_OWNER}")
DELETE_RULE = rules.rule("delete_subnet", f"{rules.WRITE} or {NETWORK_OWNER}")
CREATE = {
    "service_types": rules.rule("create_subnet:service_types", rules.ADMIN),
}
UPDATE = {
    "service_types": rules.rule("update_subnet:service_types", rules.ADMIN),
}
JUDGED_TOO = (*CREATE.values(), *UPDATE.values())

Ipv6Mode = Literal["slaac", "dhcpv6-stateful", "dhcpv6-stateless"]


class PoolBody(Shape, forbid_unknown_fields=True):
    """A range of addresses."""

    start: str
    end: str


class RouteBody(Shape, forbid_unknown_fields=True):
    """A route that hosts are told of."""

    destination: str
    nexthop: str


class SubnetUpdate(Shape, forbid_unknown_fields=True):
    """What to change of a subnet."""

    name: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    gateway_ip: str | UnsetType | None = UNSET
    allocation_pools: list[PoolBody] | UnsetType | None = UNSET
    dns_nameservers: list[str] | UnsetType | None = UNSET
    host_routes: list[RouteBody] | UnsetType | None = UNSET
    enable_dhcp: bool | UnsetType = UNSET
    service_types: list[Text] | UnsetType | None = UNSET
    dns_publish_fixed_ip: bool | UnsetType = UNSET


class SubnetCreate(SubnetUpdate, forbid_unknown_fields=True, kw_only=True):
    """A subnet to make."""

    network_id: Id
    ip_version: int | UnsetType | None = UNSET
    cidr: str | UnsetType | None = UNSET
    prefixlen: Annotated[int, Meta(ge=0, le=128)] | UnsetType | None = UNSET
    subnetpool_id: str | UnsetType | None = UNSET
    use_default_subnetpool: bool | UnsetType = UNSET
    ipv6_ra_mode: Ipv6Mode | UnsetType | None = UNSET
    ipv6_address_mode: Ipv6Mode | UnsetType | None = UNSET
    segment_id: UnsetType | None = UNSET
    project_id: Id | UnsetType | None = UNSET
    tenant_id: Id | UnsetType | None = UNSET


class SubnetsCreate(Shape, forbid_unknown_fields=True):
    """A subnet to make, or several."""

    subnet: SubnetCreate | UnsetType = UNSET
    subnets: list[SubnetCreate] | UnsetType = UNSET


class SubnetView(Shape):
    """A subnet."""

    id: str
    name: str
    tenant_id: str
    project_id: str
    network_id: str
    ip_version: int
    cidr: str
    gateway_ip: str | None
    enable_dhcp: bool
    ipv6_ra_mode: str | None
    ipv6_address_mode: str | None
    allocation_pools: list[dict[str, str]]
    dns_nameservers: list[str]
    host_routes: list[dict[str, str]]
    subnetpool_id: str | None
    service_types: list[str]
    dns_publish_fixed_ip: bool
    external: bool = field(name="router:external")
    description: str
    tags: list[str]
    created_at: str
    updated_at: str
    revision_number: int


class SubnetsAnswer(Shape):
    """The subnet that was made, or several."""

    subnet: SubnetView | UnsetType = UNSET
    subnets: list[SubnetView] | UnsetType = UNSET


def views(ctx: Context, rows: Sequence[Any]) -> list[SubnetView]:
    """Subnets as clients see them."""
    ids = {each.network_id for each in rows}
    outside = set(
        ctx.session.scalars(
            select(NetworkRecord.id).where(NetworkRecord.id.in_(ids), NetworkRecord.external)
        )
    )
    return [_view(each, each.network_id in outside) for each in rows]


def _of_network(column: Any) -> lists.Filter:
    def condition(_ctx: Context, values: list[str]) -> ColumnElement[bool]:
        wanted = [lists.flag(each, column.key) for each in values]
        found = select(NetworkRecord.id).where(column.in_(wanted))
        return NOUN.table.c.network_id.in_(found)

    return condition


NOUN: lists.Noun[SubnetView] = lists.Noun(
    SubnetRecord,
    SubnetView,
    views,
    filters={
        "shared": _of_network(NetworkRecord.shared),
        "router:external": _of_network(NetworkRecord.external),
    },
)


def visible(ctx: Context) -> Mapping[str, ColumnElement[Any]]:
    """What the rule on reading subnets judges by, as columns."""
    columns, project_id = NOUN.table.c, ctx.caller.project_id
    # Who owns a network sees its subnets, whoever made them.
    usable = select(NetworkRecord.id).where(
        NetworkRecord.shared
        | rbac.shared_with(project_id, NetworkRecord.__table__.c.id)
        | (NetworkRecord.project_id == project_id)
    )
    return {"project_id": columns.project_id, "shared": columns.network_id.in_(usable)}


def seen(ctx: Context, subnet_id: str) -> tuple[SubnetRecord, dict[str, object]]:
    """A subnet that the caller may know of, and what rules judge by."""
    record = by_key(ctx.session, SubnetRecord, subnet_id)
    if record is None:
        raise SubnetNotFound(id=subnet_id[:64])
    network = ctx.session.get(NetworkRecord, record.network_id)
    assert network is not None
    target = target_of(ctx, record.project_id, network)
    own = (record.project_id, network.project_id)
    if ctx.caller.project_id not in own and not target["shared"] and not rules.is_admin(ctx):
        raise SubnetNotFound(id=subnet_id[:64])
    return record, target


def target_of(ctx: Context, project_id: str, network: NetworkRecord) -> dict[str, object]:
    """A subnet as rules name it."""
    is_shared = network.shared or network.project_id == ctx.caller.project_id
    return {
        "project_id": project_id,
        "tenant_id": project_id,
        "network:tenant_id": network.project_id,
        "network:project_id": network.project_id,
        "shared": is_shared or networks.is_shared_with(ctx, network),
    }


def _view(row: Any, external: bool) -> SubnetView:
    return SubnetView(
        id=row.id, name=row.name, tenant_id=row.project_id, project_id=row.project_id,
        network_id=row.network_id, ip_version=row.ip_version, cidr=row.cidr,
        gateway_ip=row.gateway_ip, enable_dhcp=row.enable_dhcp, ipv6_ra_mode=row.ipv6_ra_mode,
        ipv6_address_mode=row.ipv6_address_mode, allocation_pools=row.allocation_pools,
        dns_nameservers=row.dns_nameservers, host_routes=row.host_routes,
        subnetpool_id=row.subnetpool_id, service_types=row.service_types,
        dns_publish_fixed_ip=row.dns_publish_fixed_ip, external=external,
        description=row.description, tags=row.tags, created_at=iso(row.created_at),
        updated_at=iso(row.updated_at), revision_number=row.revision_number,
    )  # fmt: skip
