"""Subnets: list, show, create, change, delete."""

import ipaddress
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock, event
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict
from onestack.core.shapes import UNSET
from onestack.network import dhcp, ipam, lists, quotas, rules
from onestack.network.attributes import InvalidInput, given_in, judge, said
from onestack.network.networks import attributes as networks
from onestack.network.networks.operations import NothingToMake
from onestack.network.networks.record import NetworkRecord
from onestack.network.ports.record import (
    DHCP,
    ROUTER_INTERFACE,
    AddressRecord,
    PortRecord,
)
from onestack.network.standard import new_id, touch
from onestack.network.subnetpools import prefixes
from onestack.network.subnets import attributes, checks
from onestack.network.subnets.attributes import (
    NOUN,
    SubnetCreate,
    SubnetsAnswer,
    SubnetsCreate,
    SubnetUpdate,
    SubnetView,
)
from onestack.network.subnets.record import SubnetInUse, SubnetRecord, of_network
from onestack.network.wirings import change

api = Operations("subnets")


class Overlap(BadRequest):
    type = "InvalidInput"
    message = (
        "Invalid input for operation: Requested subnet with cidr: {cidr} for network: "
        "{network_id} overlaps with another subnet."
    )


class GatewayInUse(Conflict):
    type = "GatewayIpInUse"
    message = "Current gateway ip {gateway} already in use by port {port_id}. Unable to update."


@api.get("/v2.0/subnets", attributes.GET, key="subnets")
def index(ctx: Context) -> Page[SubnetView]:
    """List the subnets of the networks that the caller's project has, and may use."""
    return lists.page(ctx, NOUN, attributes.visible(ctx))


@api.get("/v2.0/subnets/{subnet_id}", attributes.GET, key="subnet")
def show(ctx: Context, subnet_id: str) -> SubnetView:
    """Show a subnet."""
    record, target = attributes.seen(ctx, subnet_id)
    ctx.allow(target)
    return lists.shown(ctx, NOUN, record)


@api.post("/v2.0/subnets", attributes.CREATE_RULE, status=201)
def create(ctx: Context, body: SubnetsCreate) -> SubnetsAnswer:
    """Create a subnet, or several at once: all of them, or none."""
    several = body.subnets
    wanted = [body.subnet] if body.subnet is not UNSET else several
    if wanted is UNSET or not wanted:
        raise NothingToMake(noun="subnet")
    records = [_created(ctx, each) for each in wanted]
    shown = attributes.views(ctx, records)
    return SubnetsAnswer(subnet=shown[0]) if several is UNSET else SubnetsAnswer(subnets=shown)


@api.put("/v2.0/subnets/{subnet_id}", attributes.UPDATE_RULE, key="subnet")
def update(ctx: Context, subnet_id: str, body: SubnetUpdate) -> SubnetView:
    """Change a subnet."""
    record, target = attributes.seen(ctx, subnet_id)
    ctx.allow(target)
    given = given_in(body)
    judge(ctx, attributes.UPDATE, given, target)
    _apply(ctx.session, record, given)
    touch(record)
    ctx.session.flush()
    dhcp.refresh(ctx.session, record.network_id)
    change.touch(ctx.session, "network", [record.network_id])
    _touch_routers(ctx.session, [record.id])
    event.emit(ctx.session, "subnet.update.end", payload(record), record.project_id, record.id)
    return attributes.views(ctx, [record])[0]


@api.delete("/v2.0/subnets/{subnet_id}", attributes.DELETE_RULE)
def delete(ctx: Context, subnet_id: str) -> None:
    """Delete a subnet whose addresses nobody has."""
    record, target = attributes.seen(ctx, subnet_id)
    ctx.allow(target)
    remove(ctx.session, record)


def remove(session: Session, record: SubnetRecord) -> None:
    """Delete a subnet; or `SubnetInUse`."""
    users = select(PortRecord.device_owner).join(
        AddressRecord, AddressRecord.port_id == PortRecord.id
    ).where(AddressRecord.subnet_id == record.id)  # fmt: skip
    for owner in session.scalars(users):
        if owner == ROUTER_INTERFACE or not (owner == DHCP or record.is_automatic):
            reason = "One or more ports have an IP allocation from this subnet."
            raise SubnetInUse(id=record.id, reason=reason)
    session.execute(delete_rows(AddressRecord).where(AddressRecord.subnet_id == record.id))
    session.delete(record)
    session.flush()
    dhcp.refresh(session, record.network_id)
    change.touch(session, "network", [record.network_id])
    event.emit(session, "subnet.delete.end", payload(record), record.project_id, record.id)


def payload(record: SubnetRecord) -> dict[str, Any]:
    """A subnet as events name it."""
    return {
        "id": record.id, "name": record.name, "project_id": record.project_id,
        "network_id": record.network_id, "cidr": record.cidr, "ip_version": record.ip_version,
        "gateway_ip": record.gateway_ip, "enable_dhcp": record.enable_dhcp,
    }  # fmt: skip


def add(session: Session, network: NetworkRecord, project_id: str, **given: Any) -> SubnetRecord:
    """A new subnet of a network; what is not given is as it always is."""
    cidr = checks.network_of(given["cidr"])
    version = given.get("ip_version") or cidr.version
    if version not in (4, 6) or cidr.version != version:
        raise InvalidInput(reason=f"cidr {cidr} does not match the ip_version {version}")
    is_dhcp = given.get("enable_dhcp", True)
    checks.check_modes(version, is_dhcp, given, cidr)
    _refuse_overlap(session, network.id, str(cidr))
    gateway = given.get("gateway_ip", ipam.default_gateway(cidr))
    if gateway is not None:
        gateway = checks.gateway_of(gateway, cidr)
    name = given.get("name", "")
    now = clock.now()
    record = SubnetRecord(
        id=new_id(), project_id=project_id, name=name, description=given.get("description", ""),
        revision_number=0, created_at=now, updated_at=now, network_id=network.id,
        ip_version=version, cidr=str(cidr), gateway_ip=gateway, enable_dhcp=is_dhcp,
        ipv6_ra_mode=given.get("ipv6_ra_mode"), ipv6_address_mode=given.get("ipv6_address_mode"),
        allocation_pools=checks.pools_of(given.get("allocation_pools"), cidr, gateway),
        dns_nameservers=checks.nameservers_of(given.get("dns_nameservers"), name),
        host_routes=checks.routes_of(given.get("host_routes"), name, version),
        service_types=given.get("service_types") or [],
        dns_publish_fixed_ip=given.get("dns_publish_fixed_ip", False),
        subnetpool_id=given.get("subnetpool_id"),
    )  # fmt: skip
    session.add(record)
    session.flush()
    _give_automatic(session, record)
    dhcp.refresh(session, network.id)
    change.touch(session, "network", [network.id])
    event.emit(session, "subnet.create.end", payload(record), project_id, record.id)
    return record


def _created(ctx: Context, body: SubnetCreate) -> SubnetRecord:
    given = given_in(body)
    network = networks.seen(ctx, given.pop("network_id"))
    project_id = rules.owner_of(ctx, given.pop("project_id", None), given.pop("tenant_id", None))
    target = attributes.target_of(ctx, project_id, network)
    ctx.allow(target)
    judge(ctx, attributes.CREATE, said(given), target)
    quotas.check(ctx.session, project_id, {"subnet": 1})
    _fill_from_pool(ctx, given, project_id, network)
    return add(ctx.session, network, project_id, **given)


def _fill_from_pool(
    ctx: Context, given: dict[str, Any], project_id: str, network: NetworkRecord
) -> None:
    """Find the subnet's prefix in a pool, unless it needs none."""
    version, length = given.get("ip_version"), given.pop("prefixlen", None)
    pool = prefixes.chosen(
        ctx, given.pop("subnetpool_id", None), version or 4,
        wants_default=given.pop("use_default_subnetpool", False),
    )  # fmt: skip
    if pool is None:
        if not given.get("cidr"):
            raise InvalidInput(reason="a subnetpool must be specified in the absence of a cidr")
        if version is None:
            raise InvalidInput(
                reason="an ip_version must be specified in the absence of a subnetpool"
            )
        return
    if length is not None and given.get("cidr"):
        raise InvalidInput(reason="cidr and prefixlen must not be supplied together")
    cut = prefixes.cut(ctx.session, pool, project_id, given.get("cidr"), length)
    prefixes.check_network(ctx.session, pool, network.id)
    given |= {"cidr": cut, "ip_version": pool.ip_version, "subnetpool_id": pool.id}


def _refuse_overlap(session: Session, network_id: str, cidr: str) -> None:
    for other in of_network(session, network_id):
        if ipam.overlap(cidr, other.cidr):
            raise Overlap(cidr=cidr, network_id=network_id)


def _give_automatic(session: Session, record: SubnetRecord) -> None:
    """Ports that are there already make themselves addresses of a new prefix, too."""
    if not record.is_automatic:
        return
    ports = list(
        session.scalars(
            select(PortRecord).where(
                PortRecord.network_id == record.network_id,
                PortRecord.device_owner.not_like("network:%"),
            )
        )
    )
    session.add_all(
        AddressRecord(
            subnet_id=record.id, ip_address=ipam.automatic(record.cidr, each.mac_address),
            port_id=each.id, network_id=record.network_id, position=len(ports),
        )
        for each in ports
    )  # fmt: skip
    session.flush()
    change.touch(session, "port", [each.id for each in ports])


def _apply(session: Session, record: SubnetRecord, given: dict[str, Any]) -> None:
    cidr = ipaddress.ip_network(record.cidr)
    if "gateway_ip" in given:
        _change_gateway(session, record, given.pop("gateway_ip"), cidr)
    if "allocation_pools" in given:
        pools = given.pop("allocation_pools")
        record.allocation_pools = checks.pools_of(pools, cidr, record.gateway_ip)
    else:
        ranges = ipam.ranges_of(record.allocation_pools)
        checks.check_gateway(record.gateway_ip, ranges, record.ip_version)
    if "dns_nameservers" in given:
        found = checks.nameservers_of(given.pop("dns_nameservers"), record.id)
        record.dns_nameservers = found
    if "host_routes" in given:
        routes = given.pop("host_routes")
        record.host_routes = checks.routes_of(routes, record.id, record.ip_version)
    if given.get("enable_dhcp") is False and record.ipv6_ra_mode is not None:
        modes = {"ipv6_ra_mode": record.ipv6_ra_mode}
        checks.check_modes(record.ip_version, False, modes, cidr)
    if "service_types" in given:
        record.service_types = given.pop("service_types") or []
    for name, value in given.items():
        setattr(record, name, value)


def _change_gateway(
    session: Session, record: SubnetRecord, wanted: str | None, cidr: ipam.Network
) -> None:
    new = None if wanted is None else checks.gateway_of(wanted, cidr)
    if new == record.gateway_ip:
        return
    user = session.scalar(
        select(AddressRecord.port_id)
        .join(PortRecord, PortRecord.id == AddressRecord.port_id)
        .where(
            AddressRecord.subnet_id == record.id, AddressRecord.ip_address == record.gateway_ip,
            PortRecord.device_owner == ROUTER_INTERFACE,
        )
    )  # fmt: skip
    if user is not None:
        raise GatewayInUse(gateway=record.gateway_ip, port_id=user)
    record.gateway_ip = new


def _touch_routers(session: Session, subnet_ids: Sequence[str]) -> None:
    """Routers that have a leg on these subnets are wired anew."""
    routers = select(PortRecord.device_id).join(
        AddressRecord, AddressRecord.port_id == PortRecord.id
    ).where(
        AddressRecord.subnet_id.in_(subnet_ids), PortRecord.device_owner.like("network:router_%"),
    )  # fmt: skip
    change.touch(session, "router", set(session.scalars(routers)))
