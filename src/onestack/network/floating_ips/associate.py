"""Where a floating IP leads: to one fixed address of a port, by the router between them."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core.context import Context
from onestack.core.errors import Conflict, NotFound
from onestack.network import rules
from onestack.network.attributes import address
from onestack.network.floating_ips.attributes import BadFloatingIpRequest
from onestack.network.floating_ips.record import FloatingIpRecord, PortForwardingRecord
from onestack.network.ports.record import (
    ROUTER_INTERFACE,
    AddressRecord,
    PortNotFound,
    PortRecord,
    addresses_of,
)
from onestack.network.ports.remove import before_removal
from onestack.network.routers.record import RouterRecord
from onestack.network.standard import touch
from onestack.network.subnets.record import SubnetRecord
from onestack.network.wirings import change


class NotReachable(NotFound):
    type = "ExternalGatewayForFloatingIPNotFound"
    message = (
        "External network {network_id} is not reachable from subnet {subnet_id}.  Therefore, "
        "cannot associate Port {port_id} with a Floating IP."
    )


class AlreadyAssociated(Conflict):
    type = "FloatingIPPortAlreadyAssociated"
    message = (
        "Cannot associate floating IP {address} ({id}) with port {port_id} using fixed IP "
        "{fixed_ip}, as that fixed IP already has a floating IP on external network {network_id}."
    )


class HasForwardings(Conflict):
    type = "FipInUseByPortForwarding"
    message = "Floating IP {id} in use by Port Forwarding resources."


def lead(ctx: Context, record: FloatingIpRecord, port_id: str, fixed_ip: str | None) -> None:
    """Let a floating IP lead to a port's address; only one does to each."""
    session = ctx.session
    port = session.get(PortRecord, port_id)
    if port is None or not rules.is_seen(ctx, port.project_id):
        raise PortNotFound(id=port_id[:64])
    if port.project_id != record.project_id and not rules.is_admin(ctx):
        raise BadFloatingIpRequest(
            reason=f"Port {port.id} is associated with a different tenant than Floating IP "
            f"{record.id} and therefore cannot be bound"
        )
    inside = _inside(session, port, address(fixed_ip) if fixed_ip else None)
    if (record.fixed_port_id, record.fixed_ip_address) == (port.id, inside.ip_address):
        return
    router_id = router_between(session, inside.subnet_id, record.floating_network_id)
    if router_id is None:
        raise NotReachable(
            network_id=record.floating_network_id, subnet_id=inside.subnet_id, port_id=port.id
        )
    _refuse_second(session, record, inside)
    _refuse_forwardings(session, record)
    before, record.router_id = record.router_id, router_id
    record.fixed_port_id, record.fixed_ip_address = port.id, inside.ip_address
    record.status = "DOWN"  # until its router is wired
    session.flush()
    change.touch(session, "router", {router_id, before} - {None})  # type: ignore[arg-type]


def release(session: Session, records: Sequence[FloatingIpRecord]) -> None:
    """Let floating IPs lead nowhere."""
    routers = {each.router_id for each in records if each.router_id is not None}
    for each in records:
        each.fixed_port_id = each.fixed_ip_address = each.router_id = None
        each.status = "DOWN"
    session.flush()
    change.touch(session, "router", routers)


def router_between(session: Session, subnet_id: str, network_id: str) -> str | None:
    """The router that is on a subnet, and has its gateway on an external network."""
    found = (
        select(RouterRecord.id)
        .join(PortRecord, PortRecord.device_id == RouterRecord.id)
        .join(AddressRecord, AddressRecord.port_id == PortRecord.id)
        .join(SubnetRecord, SubnetRecord.id == AddressRecord.subnet_id)
        .where(
            PortRecord.device_owner == ROUTER_INTERFACE,
            AddressRecord.subnet_id == subnet_id,
            RouterRecord.gateway_network_id == network_id,
        )
        # One that is the subnet's gateway is better than one that is just on it.
        .order_by((AddressRecord.ip_address != SubnetRecord.gateway_ip), RouterRecord.id)
    )
    return session.scalar(found.limit(1))


@before_removal
def release_ports(session: Session, port_ids: list[str]) -> None:
    """Ports are about to be deleted: floating IPs lead there no more."""
    leading = select(FloatingIpRecord).where(FloatingIpRecord.fixed_port_id.in_(port_ids))
    records = session.scalars(leading.with_for_update()).all()
    for each in records:
        touch(each)
    if records:
        release(session, records)
    forwarded = select(PortForwardingRecord).where(
        PortForwardingRecord.internal_port_id.in_(port_ids)
    )
    gone = session.scalars(forwarded).all()
    if gone:
        drop_forwardings(session, gone)


def release_addresses(session: Session, port_id: str, addresses: Iterable[str]) -> None:
    """A port gives addresses back: floating IPs lead there no more."""
    gone = list(addresses)
    if not gone:
        return
    leading = select(FloatingIpRecord).where(
        FloatingIpRecord.fixed_port_id == port_id, FloatingIpRecord.fixed_ip_address.in_(gone)
    )
    records = session.scalars(leading.with_for_update()).all()
    for each in records:
        touch(each)
    release(session, records)
    forwarded = select(PortForwardingRecord).where(
        PortForwardingRecord.internal_port_id == port_id,
        PortForwardingRecord.internal_ip_address.in_(gone),
    )
    drop_forwardings(session, session.scalars(forwarded).all())


def drop_forwardings(session: Session, records: Iterable[PortForwardingRecord]) -> None:
    """Let ports of floating IPs lead nowhere; one that has no more of them needs no router."""
    ids = {each.floating_ip_id for each in records}
    for each in records:
        session.delete(each)
    session.flush()
    left = select(PortForwardingRecord.floating_ip_id).where(
        PortForwardingRecord.floating_ip_id.in_(ids)
    )
    busy = set(session.scalars(left))
    owners = session.scalars(
        select(FloatingIpRecord).where(FloatingIpRecord.id.in_(ids)).with_for_update()
    ).all()
    change.touch(session, "router", [each.router_id for each in owners if each.router_id])
    release(session, [each for each in owners if each.id not in busy])


def _inside(session: Session, port: PortRecord, fixed_ip: str | None) -> AddressRecord:
    """The IPv4 address of a port that is meant."""
    own = [e for e in addresses_of(session, port.id) if ip_address(e.ip_address).version == 4]
    if fixed_ip is not None:
        if ip_address(fixed_ip).version != 4:
            raise BadFloatingIpRequest(
                reason=f"Cannot process floating IP association with {fixed_ip}, since that is "
                "not an IPv4 address"
            )
        for each in own:
            if each.ip_address == fixed_ip:
                return each
        raise BadFloatingIpRequest(reason=f"Port {port.id} does not have fixed ip {fixed_ip}")
    if not own:
        raise BadFloatingIpRequest(
            reason=f"Cannot add floating IP to port {port.id} that has no fixed IPv4 addresses"
        )
    if len(own) > 1:
        raise BadFloatingIpRequest(
            reason=f"Port {port.id} has multiple fixed IPv4 addresses.  Must provide a specific "
            "IPv4 address when assigning a floating IP"
        )
    return own[0]


def _refuse_second(session: Session, record: FloatingIpRecord, inside: AddressRecord) -> None:
    other = select(FloatingIpRecord.id).where(
        FloatingIpRecord.fixed_port_id == inside.port_id,
        FloatingIpRecord.fixed_ip_address == inside.ip_address,
        FloatingIpRecord.id != record.id,
    )
    if session.scalar(other) is not None:
        raise AlreadyAssociated(
            address=record.floating_ip_address, id=record.id, port_id=inside.port_id,
            fixed_ip=inside.ip_address, network_id=record.floating_network_id,
        )  # fmt: skip


def _refuse_forwardings(session: Session, record: FloatingIpRecord) -> None:
    used = select(PortForwardingRecord.id).where(PortForwardingRecord.floating_ip_id == record.id)
    if session.scalar(used.limit(1)) is not None:
        raise HasForwardings(id=record.id)
