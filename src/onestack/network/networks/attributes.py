"""What clients may say of a network, who may say it, and how they see it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from sqlalchemy import ColumnElement, or_, select

from onestack.core.context import Context
from onestack.core.db import by_key
from onestack.core.shapes import UNSET, Id, Meta, Shape, UnsetType, field
from onestack.network import lists, rbac, rules
from onestack.network.attributes import Text
from onestack.network.networks.record import NetworkNotFound, NetworkRecord
from onestack.network.standard import iso
from onestack.network.subnetpools.record import SubnetPoolRecord
from onestack.network.subnets.record import SubnetRecord

SEEN = "(role:reader and (project_id:%(project_id)s or 'True':%(shared)s or 'True':%(external)s))"
READ = f"{rules.ADMIN} or {SEEN} or rule:service_api"
PROVIDER = ("network_type", "physical_network", "segmentation_id")
# Attributes that only some may set, by the verb; the names are those of the record.
RESTRICTED = {
    "shared": "shared",
    "external": "router:external",
    "is_default": "is_default",
    "network_type": "provider:network_type",
    "physical_network": "provider:physical_network",
    "segmentation_id": "provider:segmentation_id",
}
CREATE = {k: rules.rule(f"create_network:{v}", rules.ADMIN) for k, v in RESTRICTED.items()}
UPDATE = {k: rules.rule(f"update_network:{v}", rules.ADMIN) for k, v in RESTRICTED.items()}
GET = rules.rule("get_network", READ)
GET_PROVIDER = rules.rule("get_network:provider:network_type", rules.ADMIN)
JUDGED_TOO = (*CREATE.values(), *UPDATE.values(), GET, GET_PROVIDER)

Mtu = Annotated[int, Meta(ge=0, le=65535)]
Hints = Annotated[list[str], Meta(max_length=32)]


class NetworkUpdate(Shape, forbid_unknown_fields=True):
    """What to change of a network."""

    name: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    shared: bool | UnsetType = UNSET
    external: bool | UnsetType = field(default=UNSET, name="router:external")
    is_default: bool | UnsetType = UNSET
    mtu: Mtu | UnsetType | None = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    dns_domain: Text | UnsetType = UNSET
    network_type: str | UnsetType | None = field(default=UNSET, name="provider:network_type")
    physical_network: str | UnsetType | None = field(
        default=UNSET, name="provider:physical_network"
    )
    segmentation_id: int | UnsetType | None = field(default=UNSET, name="provider:segmentation_id")


class NetworkCreate(NetworkUpdate, forbid_unknown_fields=True):
    """A network to make."""

    availability_zone_hints: Hints | UnsetType = UNSET
    project_id: Id | UnsetType | None = UNSET
    tenant_id: Id | UnsetType | None = UNSET


class NetworksCreate(Shape, forbid_unknown_fields=True):
    """A network to make, or several."""

    network: NetworkCreate | UnsetType = UNSET
    networks: list[NetworkCreate] | UnsetType = UNSET


class NetworkView(Shape):
    """A network."""

    id: str
    name: str
    tenant_id: str
    project_id: str
    admin_state_up: bool
    status: str
    shared: bool
    external: bool = field(name="router:external")
    mtu: int
    port_security_enabled: bool
    subnets: list[str]
    availability_zone_hints: list[str]
    availability_zones: list[str]
    ipv4_address_scope: str | None
    ipv6_address_scope: str | None
    description: str
    dns_domain: str
    tags: list[str]
    created_at: str
    updated_at: str
    revision_number: int
    l2_adjacency: bool = True
    is_default: bool | UnsetType = UNSET
    network_type: str | UnsetType = field(default=UNSET, name="provider:network_type")
    physical_network: str | UnsetType | None = field(
        default=UNSET, name="provider:physical_network"
    )
    segmentation_id: int | UnsetType | None = field(default=UNSET, name="provider:segmentation_id")


class NetworksAnswer(Shape):
    """The network that was made, or several."""

    network: NetworkView | UnsetType = UNSET
    networks: list[NetworkView] | UnsetType = UNSET


def views(ctx: Context, rows: Sequence[Any]) -> list[NetworkView]:
    """Networks as this client sees them."""
    ids = [each.id for each in rows]
    subnets, scopes = _subnets(ctx, ids)
    shared = rbac.shared_ids(ctx.session, ctx.caller.project_id, _unsure(rows))
    shows_provider = ctx.policy.decide(GET_PROVIDER.name, ctx.caller.credentials, None) is True
    found = [_view(each, subnets.get(each.id, []), shared, shows_provider) for each in rows]
    for each in found:
        if each.id in scopes:
            each.ipv4_address_scope = scopes[each.id].get(4)
            each.ipv6_address_scope = scopes[each.id].get(6)
    return found


NOUN: lists.Noun[NetworkView] = lists.Noun(
    NetworkRecord,
    NetworkView,
    views,
    columns={
        "router:external": "external",
        "provider:network_type": "network_type",
        "provider:physical_network": "physical_network",
        "provider:segmentation_id": "segmentation_id",
    },
)


def visible(ctx: Context) -> Mapping[str, ColumnElement[Any]]:
    """What the rule on reading networks judges by, as columns."""
    columns = NOUN.table.c
    project_id = ctx.caller.project_id
    return {
        "project_id": columns.project_id,
        "shared": or_(columns.shared, rbac.shared_with(project_id, columns.id)),
        "external": or_(
            columns.external, rbac.shared_with(project_id, columns.id, (rbac.EXTERNAL,))
        ),
    }


def seen(ctx: Context, network_id: str) -> NetworkRecord:
    """A network that the caller may know of."""
    record = by_key(ctx.session, NetworkRecord, network_id)
    if record is None or not is_seen(ctx, record):
        raise NetworkNotFound(id=network_id[:64])
    return record


def is_seen(ctx: Context, record: NetworkRecord) -> bool:
    """Whether the caller may know of a network."""
    if record.project_id == ctx.caller.project_id or record.shared or record.external:
        return True
    return rules.is_admin(ctx) or is_shared_with(ctx, record)


def is_shared_with(ctx: Context, record: NetworkRecord, action: str = rbac.SHARED) -> bool:
    """Whether a network is shared with the caller's project."""
    project_id = ctx.caller.project_id
    actions = (action, rbac.EXTERNAL) if action == rbac.SHARED else (action,)
    return any(rbac.shared_ids(ctx.session, project_id, [record.id], each) for each in actions)


def target_of(ctx: Context, record: NetworkRecord) -> dict[str, object]:
    """A network as rules name it."""
    return {
        "project_id": record.project_id,
        "tenant_id": record.project_id,
        "shared": record.shared or is_shared_with(ctx, record),
        "external": record.external,
    }


def _unsure(rows: Iterable[Any]) -> list[str]:
    return [each.id for each in rows if not each.shared]


def _subnets(
    ctx: Context, ids: Sequence[str]
) -> tuple[dict[str, list[str]], dict[str, dict[int, str]]]:
    """The subnets of networks, and the address scopes that these are of, by their IP version."""
    subnets: dict[str, list[str]] = {}
    scopes: dict[str, dict[int, str]] = {}
    rows = ctx.session.execute(
        select(
            SubnetRecord.network_id, SubnetRecord.id, SubnetRecord.ip_version,
            SubnetPoolRecord.address_scope_id,
        )
        .outerjoin(SubnetPoolRecord, SubnetPoolRecord.id == SubnetRecord.subnetpool_id)
        .where(SubnetRecord.network_id.in_(ids))
        .order_by(SubnetRecord.created_at, SubnetRecord.id)
    )  # fmt: skip
    for network_id, subnet_id, version, scope_id in rows:
        subnets.setdefault(network_id, []).append(subnet_id)
        if scope_id is not None:
            scopes.setdefault(network_id, {})[version] = scope_id
    return subnets, scopes


def _view(row: Any, subnets: list[str], shared: Iterable[str], shows_provider: bool) -> NetworkView:
    return NetworkView(
        id=row.id, name=row.name, tenant_id=row.project_id, project_id=row.project_id,
        admin_state_up=row.admin_state_up, status=row.status,
        shared=row.shared or row.id in shared, external=row.external, mtu=row.mtu,
        port_security_enabled=row.port_security_enabled, subnets=subnets,
        availability_zone_hints=row.availability_zone_hints,
        availability_zones=["nova"] if subnets else [],
        ipv4_address_scope=None, ipv6_address_scope=None,
        description=row.description, dns_domain=row.dns_domain, tags=row.tags,
        created_at=iso(row.created_at), updated_at=iso(row.updated_at),
        revision_number=row.revision_number,
        is_default=row.is_default if row.external else UNSET,
        network_type=row.network_type if shows_provider else UNSET,
        physical_network=row.physical_network if shows_provider else UNSET,
        segmentation_id=row.segmentation_id if shows_provider else UNSET,
    )  # fmt: skip
