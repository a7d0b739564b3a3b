"""Floating addresses of a server, as clients of old versions add and remove them."""

from typing import Any

from onestack import network
from onestack.compute import floating_ips
from onestack.compute.lenient import Name
from onestack.compute.proxy import ask
from onestack.compute.servers import access, action
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.shapes import Shape

api = Operations("server addresses")

UNTIL = "2.43"


class FloatingIpNotFound(NotFound):
    message = "floating IP not found"


class NoFixedAddress(BadRequest):
    message = "No fixed IPs associated to instance"


class NotItsAddress(BadRequest):
    message = "Specified fixed address not assigned to instance"


class NotAssociable(BadRequest):
    message = "Unable to associate floating IP {address} to fixed IP {fixed}: {reason}"


class NotAssociated(Conflict):
    message = "Floating IP {address} is not associated with instance {server_id}."


class AddBody(Shape, forbid_unknown_fields=True):
    """The floating address, and which of the server's own it shall lead to."""

    address: Name
    fixed_address: Name | None = None


class RemoveBody(Shape, forbid_unknown_fields=True):
    """The floating address that shall lead to the server no more."""

    address: Name


@api.post(
    action.PATH, action.rule("os-floating-ips:add"), action="addFloatingIp", status=202,
    until=UNTIL,
)  # fmt: skip
def add(ctx: Context, server_id: str, body: AddBody) -> None:
    """Let a floating address lead to a server, wherever it led before."""
    server = access.held(ctx, server_id)
    ctx.release()
    own = _addresses(ctx, server.id)
    found = _floating(ctx, body.address)
    port_id, fixed = _chosen(own, body.fixed_address)
    wanted = {"floatingip": {"port_id": port_id, "fixed_ip_address": fixed}}
    try:
        ask(ctx, network.SERVICE, "PUT", f"{floating_ips.PATH}/{found['id']}", body=wanted)
    except (BadRequest, Conflict, NotFound) as error:
        raise NotAssociable(address=body.address, fixed=fixed, reason=error.text) from None


@api.post(
    action.PATH, action.rule("os-floating-ips:remove"), action="removeFloatingIp", status=202,
    until=UNTIL,
)  # fmt: skip
def remove(ctx: Context, server_id: str, body: RemoveBody) -> None:
    """Let a floating address lead to a server no more."""
    server = access.held(ctx, server_id)
    ctx.release()
    found = _floating(ctx, body.address)
    if floating_ips.server_of(ctx, found) != server.id:
        raise NotAssociated(address=body.address, server_id=server.id)
    wanted = {"floatingip": {"port_id": None}}
    ask(ctx, network.SERVICE, "PUT", f"{floating_ips.PATH}/{found['id']}", body=wanted)


def _floating(ctx: Context, address: str) -> Any:
    query = {"floating_ip_address": address}
    found = ask(ctx, network.SERVICE, "GET", floating_ips.PATH, query=query)["floatingips"]
    if not found:
        raise FloatingIpNotFound
    return found[0]


def _addresses(ctx: Context, server_id: str) -> list[tuple[str, str]]:
    """A server's own addresses, each with its port."""
    query = {"device_id": server_id}
    ports = ask(ctx, network.SERVICE, "GET", "/v2.0/ports", query=query)["ports"]
    return [(port["id"], each["ip_address"]) for port in ports for each in port["fixed_ips"]]


def _chosen(own: list[tuple[str, str]], wanted: str | None) -> tuple[str, str]:
    """The address to lead to: the one that was asked for, or the first that can be led to."""
    if not own:
        raise NoFixedAddress
    fitting = [each for each in own if each[1] == wanted or (wanted is None and "." in each[1])]
    if not fitting:
        raise NotItsAddress if wanted else NoFixedAddress
    return fitting[0]
