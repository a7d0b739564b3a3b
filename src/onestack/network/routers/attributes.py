"""What clients may say of a router, who may say it, and how they see it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import UNSET, Id, Shape, UnsetType
from onestack.network import lists, rules
from onestack.network.attributes import Text
from onestack.network.ports.record import AddressRecord
from onestack.network.routers.record import RouterNotFound, RouterRecord
from onestack.network.standard import iso

ROOT = "/v2.0/routers"
ONE = f"{ROOT}/{{router_id}}"

READ = rules.rule("get_router", rules.READ)
READ_HA = rules.rule("get_router:ha", rules.ADMIN)
# What of a gateway only administrators choose, by the verb.
CREATE_GATEWAY = {
    name: rules.rule(f"create_router:external_gateway_info:{name}", rules.ADMIN)
    for name in ("enable_snat", "external_fixed_ips")
}
UPDATE_GATEWAY = {
    name: rules.rule(f"update_router:external_gateway_info:{name}", rules.ADMIN)
    for name in ("enable_snat", "external_fixed_ips")
}
CREATE_KIND = {
    name: rules.rule(f"create_router:{name}", rules.ADMIN) for name in ("ha", "distributed")
}
UPDATE_KIND = {
    name: rules.rule(f"update_router:{name}", rules.ADMIN) for name in ("ha", "distributed")
}
JUDGED_TOO = (
    READ_HA, *CREATE_GATEWAY.values(), *UPDATE_GATEWAY.values(), *CREATE_KIND.values(),
    *UPDATE_KIND.values(),
)  # fmt: skip


class BadRouterRequest(BadRequest):
    type = "BadRequest"
    message = "Bad router request: {reason}."


class FixedIp(Shape, forbid_unknown_fields=True):
    """An address of a gateway: one that is named, or any of a subnet."""

    subnet_id: Id | None = None
    ip_address: str | None = None


class Gateway(Shape, forbid_unknown_fields=True):
    """The external network that a router is on; an empty one is none."""

    network_id: Id | None = None
    enable_snat: bool | None = None
    external_fixed_ips: list[FixedIp] | None = None
    qos_policy_id: None = None


class Route(Shape, forbid_unknown_fields=True):
    """Where packets to a prefix go."""

    destination: str
    nexthop: str


class RouterUpdate(Shape, forbid_unknown_fields=True):
    """What to change of a router."""

    name: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    external_gateway_info: Gateway | UnsetType | None = UNSET
    routes: list[Route] | UnsetType | None = UNSET
    ha: bool | UnsetType | None = UNSET
    distributed: bool | UnsetType | None = UNSET


class RouterCreate(Shape, forbid_unknown_fields=True):
    """A router to make."""

    name: Text = ""
    description: Text = ""
    admin_state_up: bool = True
    external_gateway_info: Gateway | None = None
    availability_zone_hints: list[Text] = []
    ha: bool | None = None
    distributed: bool | None = None
    flavor_id: None = None
    project_id: str | None = None
    tenant_id: str | None = None


class FixedIpView(Shape):
    """An address of a gateway."""

    subnet_id: str
    ip_address: str


class GatewayView(Shape):
    """The external network that a router is on."""

    network_id: str
    enable_snat: bool
    external_fixed_ips: list[FixedIpView]


class RouterView(Shape):
    """A router."""

    id: str
    name: str
    tenant_id: str
    project_id: str
    description: str
    admin_state_up: bool
    status: str
    external_gateway_info: GatewayView | None
    routes: list[Any]
    availability_zone_hints: list[str]
    availability_zones: list[str]
    tags: list[str]
    created_at: str
    updated_at: str
    revision_number: int
    flavor_id: str | None = None
    ha: bool | UnsetType = UNSET
    distributed: bool | UnsetType = UNSET


def seen(ctx: Context, router_id: str) -> RouterRecord:
    """The router, if the caller may see it and do to it what the operation does."""
    return _judged(ctx, router_id, ctx.session.get(RouterRecord, router_id))


def own(ctx: Context, router_id: str) -> RouterRecord:
    """The router to change; nobody else changes it until the request is over."""
    record = ctx.session.get(RouterRecord, router_id, with_for_update=True)
    return _judged(ctx, router_id, record)


def views(ctx: Context, rows: Sequence[Any]) -> list[RouterView]:
    """Routers as this client sees them."""
    gateways = [row.gateway_port_id for row in rows if row.gateway_port_id]
    addresses = _addresses(ctx, gateways)
    shows_kind = ctx.policy.decide(READ_HA.name, ctx.caller.credentials, None) is True
    return [
        RouterView(
            id=row.id,
            name=row.name,
            tenant_id=row.project_id,
            project_id=row.project_id,
            description=row.description,
            admin_state_up=row.admin_state_up,
            status=row.status,
            external_gateway_info=_gateway(row, addresses),
            routes=row.routes or [],
            availability_zone_hints=row.availability_zone_hints or [],
            availability_zones=["nova"] if row.host else [],
            tags=row.tags or [],
            created_at=iso(row.created_at),
            updated_at=iso(row.updated_at),
            revision_number=row.revision_number,
            ha=False if shows_kind else UNSET,
            distributed=False if shows_kind else UNSET,
        )
        for row in rows
    ]


NOUN = lists.Noun(RouterRecord, RouterView, views)


def _judged(ctx: Context, router_id: str, record: RouterRecord | None) -> RouterRecord:
    if record is None or not rules.is_seen(ctx, record.project_id):
        raise RouterNotFound(router_id=router_id[:64])
    ctx.allow(record)
    return record


def _addresses(ctx: Context, port_ids: Sequence[str]) -> dict[str, list[FixedIpView]]:
    found: dict[str, list[FixedIpView]] = {}
    rows = ctx.session.execute(
        select(AddressRecord.port_id, AddressRecord.subnet_id, AddressRecord.ip_address)
        .where(AddressRecord.port_id.in_(port_ids))
        .order_by(AddressRecord.position)
    )
    for row in rows if port_ids else ():
        one = FixedIpView(subnet_id=row.subnet_id, ip_address=row.ip_address)
        found.setdefault(row.port_id, []).append(one)
    return found


def _gateway(row: Any, addresses: dict[str, list[FixedIpView]]) -> GatewayView | None:
    if row.gateway_port_id is None:
        return None
    return GatewayView(
        network_id=row.gateway_network_id,
        enable_snat=row.enable_snat,
        external_fixed_ips=addresses.get(row.gateway_port_id, []),
    )
