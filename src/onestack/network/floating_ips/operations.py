"""Floating IPs: list, show, create, associate, delete."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock, event
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import UNSET
from onestack.network import lists, quotas, rules
from onestack.network.attributes import address
from onestack.network.floating_ips import associate, attributes
from onestack.network.floating_ips.attributes import (
    NOUN,
    ONE,
    READ,
    ROOT,
    BadFloatingIpRequest,
    FloatingIpCreate,
    FloatingIpUpdate,
    FloatingIpView,
)
from onestack.network.floating_ips.record import FloatingIpRecord
from onestack.network.networks import attributes as networks
from onestack.network.networks.operations import before_removal
from onestack.network.networks.record import NetworkRecord
from onestack.network.ports import remove as ports
from onestack.network.ports.addresses import NoMoreAddresses
from onestack.network.ports.record import FLOATING_IP, PortRecord
from onestack.network.routers import legs
from onestack.network.standard import new_id, touch
from onestack.network.subnets.record import SubnetRecord, of_network

api = Operations("floating IPs")

Place = tuple[legs.Fixed | None, list[SubnetRecord]]  # what was asked for, and of which subnets


class ExternalIpAddressExhausted(BadRequest):
    message = "Unable to find any IP address on external network {network_id}."


@api.get(ROOT, READ, key="floatingips")
def index(ctx: Context) -> Page[FloatingIpView]:
    """List floating IPs."""
    return lists.page(ctx, NOUN, {"project_id": NOUN.table.c.project_id})


@api.get(ONE, READ, key="floatingip")
def show(ctx: Context, floatingip_id: str) -> FloatingIpView:
    """Show a floating IP."""
    return lists.shown(ctx, NOUN, attributes.seen(ctx, floatingip_id))


@api.post(ROOT, rules.rule("create_floatingip", rules.WRITE), key="floatingip", status=201)
def create(ctx: Context, body: FloatingIpCreate) -> FloatingIpView:
    """Take an address of an external network; with a port, let it lead there."""
    project_id = rules.owner_of(ctx, body.project_id, body.tenant_id)
    ctx.allow(project_id=project_id)
    if body.floating_ip_address is not None:
        ctx.allow(rule=attributes.CREATE_ADDRESS)
    network = networks.seen(ctx, body.floating_network_id)
    if not network.external:
        raise BadFloatingIpRequest(reason=f"Network {network.id} is not a valid external network")
    place = _wanted(ctx.session, network, body)
    quotas.check(ctx.session, project_id, {"floatingip": 1})
    record = add(
        ctx.session,
        network,
        project_id,
        place,
        description=body.description or "",
        dns_name=body.dns_name or "",
        dns_domain=body.dns_domain or "",
    )
    if body.port_id is not None:
        associate.lead(ctx, record, body.port_id, body.fixed_ip_address)
    elif body.fixed_ip_address is not None:
        raise BadFloatingIpRequest(reason="fixed_ip_address cannot be specified without a port_id")
    ctx.session.flush()
    event.emit(ctx.session, "floatingip.create.end", payload(record), project_id, record.id)
    return attributes.views(ctx, [record])[0]


@api.put(ONE, rules.rule("update_floatingip", rules.WRITE), key="floatingip")
def update(ctx: Context, floatingip_id: str, body: FloatingIpUpdate) -> FloatingIpView:
    """Let a floating IP lead to another port, or nowhere."""
    record = attributes.own(ctx, floatingip_id)
    if body.description is not UNSET:
        record.description = body.description
    fixed_ip = None if body.fixed_ip_address is UNSET else body.fixed_ip_address
    port_id = record.fixed_port_id if body.port_id is UNSET else body.port_id
    if body.port_id is not UNSET or fixed_ip is not None:
        if port_id is not None:
            associate.lead(ctx, record, port_id, fixed_ip)
        elif fixed_ip is not None:
            raise BadFloatingIpRequest(
                reason="fixed_ip_address cannot be specified without a port_id"
            )
        else:
            associate.release(ctx.session, [record])
    touch(record)
    ctx.session.flush()
    event.emit(ctx.session, "floatingip.update.end", payload(record), record.project_id, record.id)
    return attributes.views(ctx, [record])[0]


@api.delete(ONE, rules.rule("delete_floatingip", rules.WRITE))
def delete(ctx: Context, floatingip_id: str) -> None:
    """Give an address back."""
    remove(ctx.session, attributes.own(ctx, floatingip_id))


def add(
    session: Session, network: NetworkRecord, project_id: str, place: Place, **given: Any
) -> FloatingIpRecord:
    """A new floating IP, which leads nowhere yet."""
    own_id, now = new_id(), clock.now()
    port = legs.add(session, network, FLOATING_IP, own_id, ())
    try:
        taken = legs.give(session, port, *place)
    except NoMoreAddresses:
        raise ExternalIpAddressExhausted(network_id=network.id) from None
    record = FloatingIpRecord(
        id=own_id,
        project_id=project_id,
        floating_network_id=network.id,
        floating_port_id=port.id,
        floating_ip_address=taken[0][1],
        status="DOWN",
        revision_number=1,
        created_at=now,
        updated_at=now,
        **given,
    )
    session.add(record)
    session.flush()
    return record


def remove(session: Session, record: FloatingIpRecord) -> None:
    """Give an address back, with the port that holds it."""
    associate.release(session, [record])
    port = session.get_one(PortRecord, record.floating_port_id)
    session.delete(record)
    session.flush()
    ports.remove(session, [port])
    event.emit(session, "floatingip.delete.end", payload(record), record.project_id, record.id)


@before_removal
def remove_idle(session: Session, network_id: str) -> None:
    """An external network is about to be deleted: addresses of it that lead nowhere are no use."""
    idle = select(FloatingIpRecord).where(
        FloatingIpRecord.floating_network_id == network_id,
        FloatingIpRecord.router_id.is_(None),
    )
    for record in session.scalars(idle.with_for_update()).all():
        remove(session, record)


def payload(record: FloatingIpRecord) -> dict[str, Any]:
    """A floating IP as events name it."""
    return {
        "id": record.id,
        "project_id": record.project_id,
        "floating_network_id": record.floating_network_id,
        "floating_ip_address": record.floating_ip_address,
        "fixed_ip_address": record.fixed_ip_address,
        "port_id": record.fixed_port_id,
        "router_id": record.router_id,
    }


def _wanted(session: Session, network: NetworkRecord, body: FloatingIpCreate) -> Place:
    """Which address of a network to take: the one that is named, or any of its IPv4 subnets."""
    subnets = of_network(session, network.id)
    if body.subnet_id is not None and body.subnet_id not in {each.id for each in subnets}:
        raise BadFloatingIpRequest(reason=f"Subnet {body.subnet_id} is not on network {network.id}")
    candidates = [each for each in subnets if each.ip_version == 4]
    if not candidates:
        raise BadFloatingIpRequest(reason=f"Network {network.id} does not contain any IPv4 subnet")
    if body.floating_ip_address is not None:
        return [(body.subnet_id, address(body.floating_ip_address))], candidates
    return None if body.subnet_id is None else [(body.subnet_id, None)], candidates
