"""What clients may say of a floating IP, and how they see it."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import UNSET, Id, Shape, UnsetType
from onestack.network import lists, rules
from onestack.network.attributes import Text
from onestack.network.floating_ips.record import (
    FloatingIpNotFound,
    FloatingIpRecord,
    PortForwardingRecord,
)
from onestack.network.ports.record import PortRecord
from onestack.network.standard import iso

ROOT = "/v2.0/floatingips"
ONE = f"{ROOT}/{{floatingip_id}}"

READ = rules.rule("get_floatingip", rules.READ)
CREATE_ADDRESS = rules.rule("create_floatingip:floating_ip_address", rules.ADMIN)
JUDGED_TOO = (CREATE_ADDRESS,)

_PORTS = cast(Table, PortRecord.__table__)
_FORWARDINGS = cast(Table, PortForwardingRecord.__table__)


class BadFloatingIpRequest(BadRequest):
    type = "BadRequest"
    message = "Bad floatingip request: {reason}."


class FloatingIpUpdate(Shape, forbid_unknown_fields=True):
    """What to change of a floating IP; without a port it leads nowhere."""

    port_id: Id | UnsetType | None = UNSET
    fixed_ip_address: str | UnsetType | None = UNSET
    description: Text | UnsetType = UNSET
    qos_policy_id: None = None


class FloatingIpCreate(Shape, forbid_unknown_fields=True):
    """A floating IP to make."""

    floating_network_id: Id
    subnet_id: Id | None = None
    floating_ip_address: str | None = None
    port_id: Id | None = None
    fixed_ip_address: str | None = None
    description: Text | None = None
    dns_name: Text | None = None
    dns_domain: Text | None = None
    qos_policy_id: None = None
    project_id: str | None = None
    tenant_id: str | None = None


class PortDetails(Shape):
    """The port that a floating IP leads to."""

    name: str
    network_id: str
    mac_address: str
    admin_state_up: bool
    status: str
    device_id: str
    device_owner: str


class ForwardingSummary(Shape):
    """A port of a floating IP that leads somewhere by itself."""

    id: str
    protocol: str
    external_port: int
    internal_ip_address: str
    internal_port: int


class FloatingIpView(Shape):
    """A floating IP."""

    id: str
    tenant_id: str
    project_id: str
    floating_network_id: str
    floating_ip_address: str
    fixed_ip_address: str | None
    port_id: str | None
    router_id: str | None
    status: str
    description: str
    port_details: PortDetails | None
    port_forwardings: list[ForwardingSummary]
    dns_name: str
    dns_domain: str
    tags: list[str]
    created_at: str
    updated_at: str
    revision_number: int
    qos_policy_id: str | None = None


def seen(ctx: Context, floatingip_id: str) -> FloatingIpRecord:
    """The floating IP, if the caller may see it and do to it what the operation does."""
    return _judged(ctx, floatingip_id, ctx.session.get(FloatingIpRecord, floatingip_id))


def own(ctx: Context, floatingip_id: str) -> FloatingIpRecord:
    """The floating IP to change; nobody else changes it until the request is over."""
    record = ctx.session.get(FloatingIpRecord, floatingip_id, with_for_update=True)
    return _judged(ctx, floatingip_id, record)


def views(ctx: Context, rows: Sequence[Any]) -> list[FloatingIpView]:
    """Floating IPs as clients see them."""
    ports = _details(ctx.session, [row.fixed_port_id for row in rows if row.fixed_port_id])
    forwardings = _forwardings(ctx.session, [row.id for row in rows if not row.fixed_port_id])
    return [
        FloatingIpView(
            id=row.id,
            tenant_id=row.project_id,
            project_id=row.project_id,
            floating_network_id=row.floating_network_id,
            floating_ip_address=row.floating_ip_address,
            fixed_ip_address=row.fixed_ip_address,
            port_id=row.fixed_port_id,
            router_id=row.router_id,
            status=row.status,
            description=row.description,
            port_details=ports.get(row.fixed_port_id),
            port_forwardings=forwardings.get(row.id, []),
            dns_name=row.dns_name,
            dns_domain=row.dns_domain,
            tags=row.tags or [],
            created_at=iso(row.created_at),
            updated_at=iso(row.updated_at),
            revision_number=row.revision_number,
        )
        for row in rows
    ]


NOUN = lists.Noun(FloatingIpRecord, FloatingIpView, views, columns={"port_id": "fixed_port_id"})


def _judged(ctx: Context, floatingip_id: str, record: FloatingIpRecord | None) -> FloatingIpRecord:
    if record is None or not rules.is_seen(ctx, record.project_id):
        raise FloatingIpNotFound(floatingip_id=floatingip_id[:64])
    ctx.allow(record)
    return record


def _details(session: Session, port_ids: Sequence[str]) -> dict[str | None, PortDetails]:
    if not port_ids:
        return {}
    names = PortDetails.__struct_fields__
    rows = session.execute(
        select(_PORTS.c.id, *(_PORTS.c[name] for name in names)).where(_PORTS.c.id.in_(port_ids))
    )
    return {row.id: PortDetails(**{name: getattr(row, name) for name in names}) for row in rows}


def _forwardings(session: Session, ids: Sequence[str]) -> dict[str, list[ForwardingSummary]]:
    found: dict[str, list[ForwardingSummary]] = {}
    if not ids:
        return found
    names = ForwardingSummary.__struct_fields__
    wanted = select(_FORWARDINGS).where(_FORWARDINGS.c.floating_ip_id.in_(ids))
    for row in session.execute(wanted.order_by(_FORWARDINGS.c.created_at, _FORWARDINGS.c.id)):
        one = ForwardingSummary(**{name: getattr(row, name) for name in names})
        found.setdefault(row.floating_ip_id, []).append(one)
    return found
