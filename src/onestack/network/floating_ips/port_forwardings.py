"""Port forwardings: single ports of a floating IP, each of which leads somewhere by itself."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from sqlalchemy import select

from onestack.core import clock, event
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.shapes import UNSET, Id, Meta, Shape, UnsetType
from onestack.network import lists, rules
from onestack.network.attributes import Text, address
from onestack.network.floating_ips import associate, attributes
from onestack.network.floating_ips.record import FloatingIpRecord, PortForwardingRecord
from onestack.network.ports.record import AddressRecord, PortNotFound, PortRecord, addresses_of
from onestack.network.standard import new_id, touch
from onestack.network.wirings import change

api = Operations("port forwardings")

ROOT = f"{attributes.ONE}/port_forwardings"
ONE = f"{ROOT}/{{port_forwarding_id}}"

PortNumber = Annotated[int, Meta(ge=1, le=65535)]
Protocol = Literal["tcp", "udp", "sctp", "dccp"]


class PortForwardingNotFound(NotFound):
    message = "Port Forwarding {id} could not be found."


class Duplicate(BadRequest):
    type = "BadRequest"
    message = (
        "Bad port_forwarding request: A duplicate port forwarding entry with same attributes "
        "already exists, conflicting values are {values}."
    )


class BadPortForwarding(BadRequest):
    type = "BadRequest"
    message = "Bad port_forwarding request: {reason}."


class PortHasFloatingIp(Conflict):
    type = "PortHasBindingFloatingIP"
    message = (
        "Cannot create port forwarding to floating IP {address} ({id}) with port {port_id} using "
        "fixed IP {fixed_ip}, as that port already has a binding floating IP."
    )


class FloatingIpIsTaken(Conflict):
    type = "FipInUseByPortForwarding"
    message = "Floating IP {id} leads to port {port_id}: none of its ports is free."


class PortForwardingCreate(Shape, forbid_unknown_fields=True):
    """Where a port of a floating IP is to lead."""

    protocol: Protocol
    external_port: PortNumber
    internal_port: PortNumber
    internal_port_id: Id
    internal_ip_address: str | None = None
    description: Text = ""
    project_id: str | None = None
    tenant_id: str | None = None


class PortForwardingUpdate(Shape, forbid_unknown_fields=True):
    """Where it is to lead instead."""

    protocol: Protocol | UnsetType = UNSET
    external_port: PortNumber | UnsetType = UNSET
    internal_port: PortNumber | UnsetType = UNSET
    internal_port_id: Id | UnsetType = UNSET
    internal_ip_address: str | UnsetType = UNSET
    description: Text | UnsetType = UNSET


class PortForwardingView(Shape):
    """Where a port of a floating IP leads."""

    id: str
    protocol: str
    external_port: int
    internal_port: int
    internal_port_id: str
    internal_ip_address: str
    description: str


def _rule(verb: str, check: str) -> Any:
    return rules.rule(f"{verb}_floatingip_port_forwarding", check)


@api.get(ROOT, _rule("get", rules.READ), key="port_forwardings")
def index(ctx: Context, floatingip_id: str) -> Page[PortForwardingView]:
    """List where the ports of a floating IP lead."""
    owner = attributes.seen(ctx, floatingip_id)
    return lists.page_of(ctx, NOUN, NOUN.table.c.floating_ip_id == owner.id)


@api.get(ONE, _rule("get", rules.READ), key="port_forwarding")
def show(ctx: Context, floatingip_id: str, port_forwarding_id: str) -> PortForwardingView:
    """Show where a port of a floating IP leads."""
    owner = attributes.seen(ctx, floatingip_id)
    return lists.shown(ctx, NOUN, _found(ctx, owner, port_forwarding_id))


@api.post(ROOT, _rule("create", rules.WRITE), key="port_forwarding", status=201)
def create(ctx: Context, floatingip_id: str, body: PortForwardingCreate) -> PortForwardingView:
    """Let a port of a floating IP lead to a port of a fixed address."""
    owner = attributes.own(ctx, floatingip_id)
    if owner.fixed_port_id is not None:
        raise FloatingIpIsTaken(id=owner.id, port_id=owner.fixed_port_id)
    inside = _inside(ctx, owner, body.internal_port_id, body.internal_ip_address)
    record = PortForwardingRecord(
        id=new_id(),
        floating_ip_id=owner.id,
        protocol=body.protocol,
        external_port=body.external_port,
        internal_port_id=inside.port_id,
        internal_ip_address=inside.ip_address,
        internal_port=body.internal_port,
        description=body.description,
        created_at=clock.now(),
    )
    _refuse_twin(ctx, record)
    _by_router(ctx, owner, inside)
    ctx.session.add(record)
    _told(ctx, owner, record, "create")
    return views(ctx, [record])[0]


@api.put(ONE, _rule("update", rules.WRITE), key="port_forwarding")
def update(
    ctx: Context, floatingip_id: str, port_forwarding_id: str, body: PortForwardingUpdate
) -> PortForwardingView:
    """Let a port of a floating IP lead elsewhere."""
    owner = attributes.own(ctx, floatingip_id)
    record = _found(ctx, owner, port_forwarding_id)
    if body.internal_port_id is not UNSET or body.internal_ip_address is not UNSET:
        port_id = body.internal_port_id or record.internal_port_id
        inside = _inside(ctx, owner, port_id, body.internal_ip_address or None)
        _by_router(ctx, owner, inside)
        record.internal_port_id, record.internal_ip_address = inside.port_id, inside.ip_address
    for name in ("protocol", "external_port", "internal_port", "description"):
        value = getattr(body, name)
        if value is not UNSET:
            setattr(record, name, value)
    with ctx.session.no_autoflush:
        _refuse_twin(ctx, record)
    _told(ctx, owner, record, "update")
    return views(ctx, [record])[0]


@api.delete(ONE, _rule("delete", rules.WRITE))
def delete(ctx: Context, floatingip_id: str, port_forwarding_id: str) -> None:
    """Let a port of a floating IP lead nowhere."""
    owner = attributes.own(ctx, floatingip_id)
    record = _found(ctx, owner, port_forwarding_id)
    touch(owner)
    associate.drop_forwardings(ctx.session, [record])
    _emit(ctx, owner, record, "delete")


def views(_ctx: Context, rows: Sequence[Any]) -> list[PortForwardingView]:
    """Port forwardings as clients see them."""
    names = PortForwardingView.__struct_fields__
    return [PortForwardingView(**{name: getattr(row, name) for name in names}) for row in rows]


NOUN = lists.Noun(PortForwardingRecord, PortForwardingView, views)


def _found(ctx: Context, owner: FloatingIpRecord, forwarding_id: str) -> PortForwardingRecord:
    record = ctx.session.get(PortForwardingRecord, forwarding_id)
    if record is None or record.floating_ip_id != owner.id:
        raise PortForwardingNotFound(id=forwarding_id[:64])
    return record


def _inside(
    ctx: Context, owner: FloatingIpRecord, port_id: str, fixed_ip: str | None
) -> AddressRecord:
    """The IPv4 address of a port that is meant: the first, unless one is named."""
    port = ctx.session.get(PortRecord, port_id)
    if port is None or not rules.is_seen(ctx, port.project_id):
        raise PortNotFound(id=port_id[:64])
    wanted = address(fixed_ip) if fixed_ip else None
    for each in addresses_of(ctx.session, port.id):
        is_old = ip_address(each.ip_address).version == 4
        if is_old and wanted in (None, each.ip_address):
            _refuse_bound(ctx, owner, each)
            return each
    text = f"fixed ip {wanted}" if wanted else "a fixed IPv4 address"
    raise BadPortForwarding(reason=f"Port {port.id} does not have {text}")


def _refuse_bound(ctx: Context, owner: FloatingIpRecord, inside: AddressRecord) -> None:
    other = select(FloatingIpRecord.id).where(
        FloatingIpRecord.fixed_port_id == inside.port_id,
        FloatingIpRecord.fixed_ip_address == inside.ip_address,
    )
    if ctx.session.scalar(other) is not None:
        raise PortHasFloatingIp(
            address=owner.floating_ip_address,
            id=owner.id,
            port_id=inside.port_id,
            fixed_ip=inside.ip_address,
        )


def _by_router(ctx: Context, owner: FloatingIpRecord, inside: AddressRecord) -> None:
    """All forwardings of a floating IP go by one router."""
    router_id = associate.router_between(ctx.session, inside.subnet_id, owner.floating_network_id)
    if router_id is None:
        raise associate.NotReachable(
            network_id=owner.floating_network_id,
            subnet_id=inside.subnet_id,
            port_id=inside.port_id,
        )
    if owner.router_id not in (None, router_id):
        raise BadPortForwarding(
            reason=f"Floating IP {owner.id} is served by router {owner.router_id}"
        )
    owner.router_id = router_id


def _refuse_twin(ctx: Context, record: PortForwardingRecord) -> None:
    """Nothing leads to two places, and there are no two ways from one place to the other."""
    same_outside = (PortForwardingRecord.external_port == record.external_port,)
    same_inside = (
        PortForwardingRecord.internal_port_id == record.internal_port_id,
        PortForwardingRecord.internal_ip_address == record.internal_ip_address,
        PortForwardingRecord.internal_port == record.internal_port,
    )
    for condition, names in (
        (same_outside, ("external_port",)),
        (same_inside, ("internal_port_id", "internal_ip_address", "internal_port")),
    ):
        twin = select(PortForwardingRecord.id).where(
            PortForwardingRecord.floating_ip_id == record.floating_ip_id,
            PortForwardingRecord.protocol == record.protocol,
            PortForwardingRecord.id != record.id,
            *condition,
        )
        if ctx.session.scalar(twin) is not None:
            values = {name: getattr(record, name) for name in (*names, "protocol")}
            raise Duplicate(values=values)


def _told(ctx: Context, owner: FloatingIpRecord, record: PortForwardingRecord, what: str) -> None:
    touch(owner)
    ctx.session.flush()
    change.touch(ctx.session, "router", [str(owner.router_id)])
    _emit(ctx, owner, record, what)


def _emit(ctx: Context, owner: FloatingIpRecord, record: PortForwardingRecord, what: str) -> None:
    payload = {"id": record.id, "floatingip_id": owner.id}
    name = f"port_forwarding.{what}.end"
    event.emit(ctx.session, name, payload, owner.project_id, record.id)
