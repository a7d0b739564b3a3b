"""A router's legs on internal networks: added and removed by subnet or by port."""

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from onestack.core import event
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, Forbidden, NotFound
from onestack.core.shapes import Id, Shape
from onestack.network import rules
from onestack.network.floating_ips.record import FloatingIpRecord, PortForwardingRecord
from onestack.network.networks.attributes import is_seen as is_network_seen
from onestack.network.networks.record import find as find_network
from onestack.network.ports import remove as ports
from onestack.network.ports.record import (
    ROUTER_INTERFACE,
    AddressRecord,
    PortNotFound,
    PortRecord,
    addresses_of,
)
from onestack.network.routers import attributes, legs
from onestack.network.routers.attributes import ONE, BadRouterRequest
from onestack.network.routers.events import changed
from onestack.network.routers.record import RouterRecord
from onestack.network.routers.routes import needed_on
from onestack.network.standard import touch
from onestack.network.subnets.record import SubnetNotFound, SubnetRecord

api = Operations("routers")


class PortInUse(Conflict):
    message = (
        "Unable to complete operation on port {port_id} for network {network_id}. Port already "
        "has an attached device {device_id}."
    )


class RouterInterfaceNotFound(NotFound):
    message = "Router {router_id} does not have an interface with id {port_id}"


class RouterInterfaceNotFoundForSubnet(NotFound):
    message = "Router {router_id} has no interface on subnet {subnet_id}"


class SubnetMismatch(BadRequest):
    type = "SubnetMismatchForPort"
    message = "Subnet on port {port_id} does not match the requested subnet {subnet_id}."


class InUseByFloatingIp(Conflict):
    type = "RouterInterfaceInUseByFloatingIP"
    message = (
        "Router interface for subnet {subnet_id} on router {router_id} cannot be deleted, as it "
        "is required by one or more floating IPs."
    )


class InUseByRoute(Conflict):
    type = "RouterInterfaceInUseByRoute"
    message = (
        "Router interface for subnet {subnet_id} on router {router_id} cannot be deleted, as it "
        "is required by one or more routes."
    )


class Interface(Shape, forbid_unknown_fields=True):
    """Where a router is to be: on a subnet, or at a port."""

    subnet_id: Id | None = None
    port_id: Id | None = None


class InterfaceView(Shape):
    """Where a router is now, or is no more."""

    id: str
    project_id: str
    tenant_id: str
    port_id: str
    network_id: str
    subnet_id: str
    subnet_ids: list[str]


@api.put(f"{ONE}/add_router_interface", rules.rule("add_router_interface", rules.WRITE))
def add(ctx: Context, router_id: str, body: Interface) -> InterfaceView:
    """Put a router on a subnet, at its gateway address; or at a port, with the port's."""
    router = attributes.own(ctx, router_id)
    if (body.subnet_id is None) == (body.port_id is None):
        both = "Cannot specify both subnet-id and port-id"
        neither = "Either subnet_id or port_id must be specified"
        raise BadRouterRequest(reason=both if body.port_id else neither)
    if body.port_id is not None:
        port = _at_port(ctx, router, body.port_id)
        subnet_ids = [each.subnet_id for each in addresses_of(ctx.session, port.id)]
    else:
        subnet = _subnet(ctx, str(body.subnet_id))
        port = attach(ctx.session, router, subnet)
        subnet_ids = [subnet.id]
    return _told(ctx.session, router, port, subnet_ids, "create")


@api.put(f"{ONE}/remove_router_interface", rules.rule("remove_router_interface", rules.WRITE))
def remove(ctx: Context, router_id: str, body: Interface) -> InterfaceView:
    """Take a router off a subnet, or away from a port, which is deleted."""
    router = attributes.own(ctx, router_id)
    if body.port_id is not None:
        port = _own_port(ctx.session, router, body.port_id)
        subnet_ids = [each.subnet_id for each in addresses_of(ctx.session, port.id)]
        if body.subnet_id is not None and body.subnet_id not in subnet_ids:
            raise SubnetMismatch(port_id=port.id, subnet_id=body.subnet_id)
    elif body.subnet_id is not None:
        port = _port_on(ctx.session, router, body.subnet_id)
        subnet_ids = [body.subnet_id]
    else:
        raise BadRouterRequest(reason="Either subnet_id or port_id must be specified")
    for each in subnet_ids:
        _check_unused(ctx.session, router, each)
    shown = _view(router, port, subnet_ids)
    detach(ctx.session, port, subnet_ids)
    _tell(ctx.session, router, shown, "delete")
    return shown


def attach(session: Session, router: RouterRecord, subnet: SubnetRecord) -> PortRecord:
    """Put a router on a subnet, at its gateway address."""
    if subnet.gateway_ip is None:
        raise BadRouterRequest(reason="Subnet for router interface must have a gateway IP")
    if subnet.ip_version == 6 and subnet.ipv6_address_mode and not subnet.ipv6_ra_mode:
        raise BadRouterRequest(
            reason=f"IPv6 subnet {subnet.id} configured to receive RAs from an external router "
            "cannot be added to Neutron Router"
        )
    legs.refuse_overlap(session, router.id, [subnet])
    fixed = [(subnet.id, subnet.gateway_ip)]
    port = _of_ipv6(session, router, subnet.network_id) if subnet.ip_version == 6 else None
    if port is not None:
        _add_address(session, port, subnet)
        return port
    network = find_network(session, subnet.network_id)
    return legs.add(session, network, ROUTER_INTERFACE, router.id, fixed, router.project_id)


def detach(session: Session, port: PortRecord, subnet_ids: list[str]) -> None:
    """Take a router's port off subnets; when that leaves it without any, it is deleted."""
    own = {each.subnet_id for each in addresses_of(session, port.id)}
    if own > set(subnet_ids):
        session.execute(
            delete(AddressRecord).where(
                AddressRecord.port_id == port.id, AddressRecord.subnet_id.in_(subnet_ids)
            )
        )
        touch(port)
        return
    ports.remove(session, [port])


def _at_port(ctx: Context, router: RouterRecord, port_id: str) -> PortRecord:
    port = ctx.session.get(PortRecord, port_id, with_for_update=True)
    if port is None or not rules.is_seen(ctx, port.project_id):
        raise PortNotFound(id=port_id[:64])
    if port.device_id:
        raise PortInUse(port_id=port.id, network_id=port.network_id, device_id=port.device_id)
    subnets = [
        ctx.session.get_one(SubnetRecord, each.subnet_id)
        for each in addresses_of(ctx.session, port.id)
    ]
    if not subnets:
        raise BadRouterRequest(reason="Port must have at least one fixed IP")
    if sum(each.ip_version == 4 for each in subnets) > 1:
        raise BadRouterRequest(reason="Cannot have multiple IPv4 subnets on router port")
    legs.refuse_overlap(ctx.session, router.id, subnets)
    port.device_id, port.device_owner = router.id, ROUTER_INTERFACE
    touch(port)
    ctx.session.flush()
    return port


def _subnet(ctx: Context, subnet_id: str) -> SubnetRecord:
    """The subnet, of a network that is the caller's own: whoever has the gateway's address
    has everybody's packets."""
    subnet = ctx.session.get(SubnetRecord, subnet_id)
    network = find_network(ctx.session, subnet.network_id) if subnet is not None else None
    if subnet is None or network is None or not is_network_seen(ctx, network):
        raise SubnetNotFound(id=subnet_id[:64])
    if not rules.is_seen(ctx, network.project_id):
        raise Forbidden(action="add_router_interface")
    return subnet


def _of_ipv6(session: Session, router: RouterRecord, network_id: str) -> PortRecord | None:
    """The port by which a router has IPv6 addresses on a network already."""
    wanted = (
        select(PortRecord)
        .join(AddressRecord, AddressRecord.port_id == PortRecord.id)
        .join(SubnetRecord, SubnetRecord.id == AddressRecord.subnet_id)
        .where(
            PortRecord.device_id == router.id,
            PortRecord.device_owner == ROUTER_INTERFACE,
            PortRecord.network_id == network_id,
            SubnetRecord.ip_version == 6,
        )
    )
    return session.scalar(wanted.limit(1))


def _add_address(session: Session, port: PortRecord, subnet: SubnetRecord) -> None:
    last = select(func.max(AddressRecord.position)).where(AddressRecord.port_id == port.id)
    position = 1 + (session.scalar(last) or 0)
    legs.give(session, port, [(subnet.id, subnet.gateway_ip)], [subnet])
    session.flush()
    for each in addresses_of(session, port.id):
        if each.subnet_id == subnet.id:
            each.position = position
    touch(port)


def _own_port(session: Session, router: RouterRecord, port_id: str) -> PortRecord:
    port = session.get(PortRecord, port_id)
    is_own = port is not None and port.device_id == router.id
    if port is None or not is_own or port.device_owner != ROUTER_INTERFACE:
        raise RouterInterfaceNotFound(router_id=router.id, port_id=port_id)
    return port


def _port_on(session: Session, router: RouterRecord, subnet_id: str) -> PortRecord:
    if session.get(SubnetRecord, subnet_id) is None:
        raise SubnetNotFound(id=subnet_id[:64])
    port = session.scalar(
        select(PortRecord)
        .join(AddressRecord, AddressRecord.port_id == PortRecord.id)
        .where(
            PortRecord.device_id == router.id,
            PortRecord.device_owner == ROUTER_INTERFACE,
            AddressRecord.subnet_id == subnet_id,
        )
    )
    if port is None:
        raise RouterInterfaceNotFoundForSubnet(router_id=router.id, subnet_id=subnet_id)
    return port


def _check_unused(session: Session, router: RouterRecord, subnet_id: str) -> None:
    """Refuse while floating IPs or routes lead through this leg."""
    inside = select(AddressRecord.port_id).where(AddressRecord.subnet_id == subnet_id)
    own = select(FloatingIpRecord.id).where(FloatingIpRecord.router_id == router.id)
    forwarded = own.join(
        PortForwardingRecord, PortForwardingRecord.floating_ip_id == FloatingIpRecord.id
    )
    for statement in (
        own.where(FloatingIpRecord.fixed_port_id.in_(inside)),
        forwarded.where(PortForwardingRecord.internal_port_id.in_(inside)),
    ):
        if session.scalar(statement.limit(1)) is not None:
            raise InUseByFloatingIp(router_id=router.id, subnet_id=subnet_id)
    if needed_on(router, session.get_one(SubnetRecord, subnet_id).cidr):
        raise InUseByRoute(router_id=router.id, subnet_id=subnet_id)


def _told(
    session: Session, router: RouterRecord, port: PortRecord, subnet_ids: list[str], what: str
) -> InterfaceView:
    shown = _view(router, port, subnet_ids)
    _tell(session, router, shown, what)
    return shown


def _tell(session: Session, router: RouterRecord, shown: InterfaceView, what: str) -> None:
    changed(session, router)
    payload = {"id": router.id, "port_id": shown.port_id, "subnet_ids": shown.subnet_ids}
    event.emit(session, f"router.interface.{what}", payload, router.project_id, router.id)


def _view(router: RouterRecord, port: PortRecord, subnet_ids: list[str]) -> InterfaceView:
    return InterfaceView(
        id=router.id,
        project_id=router.project_id,
        tenant_id=router.project_id,
        port_id=port.id,
        network_id=port.network_id,
        subnet_id=subnet_ids[0] if subnet_ids else "",
        subnet_ids=subnet_ids,
    )
