"""A router's gateway: its leg on an external network."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict
from onestack.core.policy import Rule
from onestack.network.attributes import address
from onestack.network.floating_ips.record import FloatingIpRecord
from onestack.network.networks import attributes as networks
from onestack.network.networks.record import NetworkRecord
from onestack.network.networks.record import find as find_network
from onestack.network.ports import remove as ports
from onestack.network.ports.record import ROUTER_GATEWAY, PortRecord, addresses_of
from onestack.network.routers import legs
from onestack.network.routers.attributes import BadRouterRequest, Gateway
from onestack.network.routers.record import RouterRecord
from onestack.network.subnets.record import of_network


class GatewayInUse(Conflict):
    type = "RouterExternalGatewayInUseByFloatingIp"
    message = (
        "Gateway cannot be updated for router {router_id}, since a gateway to external network "
        "{network_id} is required by one or more floating IPs."
    )


class NoAddresses(BadRequest):
    type = "BadRequest"
    message = "Bad router request: No IPs available for external network {network_id}."


def judged(ctx: Context, needed: Mapping[str, Rule], given: Gateway | None) -> Gateway | None:
    """The gateway that a client may ask for; None when it asks for none."""
    if given is None or given.network_id is None:
        if given is not None and (given.external_fixed_ips or given.enable_snat is not None):
            raise BadRouterRequest(reason="network_id is missing in external_gateway_info")
        return None
    for name, rule in needed.items():
        if getattr(given, name) is not None:
            ctx.allow(rule=rule)
    network = networks.seen(ctx, given.network_id)
    if not network.external:
        raise BadRouterRequest(reason=f"Network {network.id} is not an external network")
    return given


def keep(session: Session, router: RouterRecord, wanted: Gateway) -> None:
    """Let a router have this gateway, and no other."""
    if wanted.enable_snat is not None or router.gateway_port_id is None:
        router.enable_snat = wanted.enable_snat is not False
    fixed = [(e.subnet_id, address(e.ip_address) if e.ip_address else None)
             for e in wanted.external_fixed_ips or ()]  # fmt: skip
    if router.gateway_network_id == wanted.network_id:
        if not fixed or _has(session, router, fixed):
            return
        _replace_addresses(session, router, fixed)
        return
    clear(session, router)
    network = find_network(session, str(wanted.network_id))
    _check(session, router, network)
    port = legs.add(session, network, ROUTER_GATEWAY, router.id, fixed or None)
    if not addresses_of(session, port.id):
        raise NoAddresses(network_id=network.id)
    router.gateway_port_id, router.gateway_network_id = port.id, network.id
    session.flush()


def clear(session: Session, router: RouterRecord) -> None:
    """Take a router off its external network, unless floating IPs need it there."""
    if router.gateway_port_id is None:
        return
    needed = select(FloatingIpRecord.id).where(FloatingIpRecord.router_id == router.id)
    if session.scalar(needed.limit(1)) is not None:
        raise GatewayInUse(router_id=router.id, network_id=router.gateway_network_id)
    port = session.get_one(PortRecord, router.gateway_port_id)
    router.gateway_port_id = router.gateway_network_id = None
    router.enable_snat = True
    session.flush()
    ports.remove(session, [port])


def _check(session: Session, router: RouterRecord, network: NetworkRecord) -> None:
    subnets = of_network(session, network.id)
    if not subnets:
        raise NoAddresses(network_id=network.id)
    legs.refuse_overlap(session, router.id, subnets)


def _has(session: Session, router: RouterRecord, fixed: legs.Fixed) -> bool:
    """Whether the gateway has just these addresses already."""
    own = [(e.subnet_id, e.ip_address) for e in addresses_of(session, str(router.gateway_port_id))]
    return len(own) == len(fixed) and all(
        any(subnet in (None, mine) and ip in (None, its) for mine, its in own)
        for subnet, ip in fixed
    )


def _replace_addresses(session: Session, router: RouterRecord, fixed: legs.Fixed) -> None:
    port = session.get_one(PortRecord, router.gateway_port_id)
    for each in addresses_of(session, port.id):
        session.delete(each)
    session.flush()
    legs.give(session, port, fixed, of_network(session, port.network_id))
