"""A router's extra routes: prefixes that lie behind a neighbour."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import Shape
from onestack.network import rules
from onestack.network.attributes import address
from onestack.network.ports.record import (
    ROUTER_GATEWAY,
    ROUTER_INTERFACE,
    AddressRecord,
    PortRecord,
)
from onestack.network.routers import attributes
from onestack.network.routers.attributes import ONE, Route, RouterView
from onestack.network.routers.events import changed
from onestack.network.routers.record import RouterRecord
from onestack.network.subnets.record import SubnetRecord

api = Operations("routers")

ROUTES_MAX = 30


class InvalidRoutes(BadRequest):
    message = "Invalid format for routes: {routes}, {reason}"


class RoutesExhausted(BadRequest):
    message = (
        "Unable to complete operation for {router_id}. The number of routes exceeds the maximum "
        "{most}."
    )


class RoutesBody(Shape, forbid_unknown_fields=True):
    """Routes to add or to remove."""

    routes: list[Route]


@api.put(f"{ONE}/add_extraroutes", rules.rule("add_extraroutes", rules.WRITE), key="router")
def add(ctx: Context, router_id: str, body: RoutesBody) -> RouterView:
    """Add routes; those that are there stay."""
    record = attributes.own(ctx, router_id)
    present = [(each["destination"], each["nexthop"]) for each in record.routes]
    wanted = [*_read(record.routes), *body.routes]
    keep(ctx.session, record, wanted)
    if [(each["destination"], each["nexthop"]) for each in record.routes] != present:
        changed(ctx.session, record)
    return attributes.views(ctx, [record])[0]


@api.put(
    f"{ONE}/remove_extraroutes",
    rules.rule("remove_extraroutes", rules.WRITE),
    key="router",
)
def remove(ctx: Context, router_id: str, body: RoutesBody) -> RouterView:
    """Remove routes; those that are not there are none to remove."""
    record = attributes.own(ctx, router_id)
    gone = {_canonical(each) for each in body.routes}
    left = [each for each in _read(record.routes) if _canonical(each) not in gone]
    if len(left) != len(record.routes):
        keep(ctx.session, record, left)
        changed(ctx.session, record)
    return attributes.views(ctx, [record])[0]


def keep(session: Session, record: RouterRecord, wanted: Sequence[Route]) -> None:
    """Let a router have these routes, and no others; each nexthop is a neighbour."""
    routes = list(dict.fromkeys(_canonical(each) for each in wanted))
    if len(routes) > ROUTES_MAX:
        raise RoutesExhausted(router_id=record.id, most=ROUTES_MAX)
    known = {(each["destination"], each["nexthop"]) for each in record.routes}
    _check_nexthops(session, record, [each for each in routes if each not in known])
    record.routes = [
        {"destination": destination, "nexthop": nexthop} for destination, nexthop in routes
    ]


def needed_on(record: RouterRecord, cidr: str) -> bool:
    """Whether a route leads through a subnet."""
    subnet = ip_network(cidr)
    return any(ip_address(each["nexthop"]) in subnet for each in record.routes)


def _read(routes: Sequence[dict[str, str]]) -> list[Route]:
    return [Route(destination=each["destination"], nexthop=each["nexthop"]) for each in routes]


def _canonical(route: Route) -> tuple[str, str]:
    nexthop = address(route.nexthop)
    try:
        destination = ip_network(route.destination, strict=False)
    except ValueError:
        reason = f"'{route.destination[:64]}' is not a valid CIDR"
        raise InvalidRoutes(routes=route.destination[:64], reason=reason) from None
    if destination.version != ip_address(nexthop).version:
        reason = "destination and nexthop are of different IP versions"
        raise InvalidRoutes(routes=[str(destination), nexthop], reason=reason)
    return str(destination), nexthop


def _check_nexthops(
    session: Session, record: RouterRecord, routes: Sequence[tuple[str, str]]
) -> None:
    if not routes:
        return
    own = session.execute(
        select(AddressRecord.ip_address, SubnetRecord.cidr)
        .join(PortRecord, PortRecord.id == AddressRecord.port_id)
        .join(SubnetRecord, SubnetRecord.id == AddressRecord.subnet_id)
        .where(
            PortRecord.device_id == record.id,
            PortRecord.device_owner.in_((ROUTER_INTERFACE, ROUTER_GATEWAY)),
        )
    ).all()
    subnets = [ip_network(row.cidr) for row in own]
    addresses = {row.ip_address for row in own}
    shown = [{"destination": each[0], "nexthop": each[1]} for each in routes]
    for _, nexthop in routes:
        if not any(ip_address(nexthop) in each for each in subnets):
            raise InvalidRoutes(routes=shown, reason="the nexthop is not connected with router")
        if nexthop in addresses:
            raise InvalidRoutes(routes=shown, reason="the nexthop is used by router")
