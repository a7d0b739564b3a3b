"""Fixed addresses of a server, as clients of old versions add and remove them."""

from typing import Any

from onestack import network
from onestack.compute.lenient import Name
from onestack.compute.proxy import ask
from onestack.compute.servers import access, action
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import Shape, field

api = Operations("server addresses")


class NotOnNetwork(BadRequest):
    message = "The server has no port on network {network_id}."


class NotItsAddress(BadRequest):
    message = "Fixed IP {address} was not found for server {server_id}."


class AddBody(Shape, forbid_unknown_fields=True):
    """The network that another address is wanted on."""

    network_id: Name = field(name="networkId")


class RemoveBody(Shape, forbid_unknown_fields=True):
    """The address that shall go."""

    address: Name


@api.post(
    action.PATH, action.rule("os-multinic:add"), action="addFixedIp", status=202, until="2.43"
)
def add(ctx: Context, server_id: str, body: AddBody) -> None:
    """Give a server one more address on a network that it is on."""
    for port in _ports(ctx, server_id):
        if port["network_id"] == body.network_id and port["fixed_ips"]:
            wanted = {"subnet_id": port["fixed_ips"][0]["subnet_id"]}
            _give(ctx, port, [*port["fixed_ips"], wanted])
            return
    raise NotOnNetwork(network_id=body.network_id)


@api.post(
    action.PATH, action.rule("os-multinic:remove"), action="removeFixedIp", status=202,
    until="2.43",
)  # fmt: skip
def remove(ctx: Context, server_id: str, body: RemoveBody) -> None:
    """Take an address away from a server."""
    for port in _ports(ctx, server_id):
        kept = [each for each in port["fixed_ips"] if each["ip_address"] != body.address]
        if len(kept) < len(port["fixed_ips"]):
            _give(ctx, port, kept)
            return
    raise NotItsAddress(address=body.address, server_id=server_id)


def _ports(ctx: Context, server_id: str) -> list[Any]:
    """The ports of a server, read when its own row is held no longer."""
    server = access.held(ctx, server_id)
    ctx.release()
    query = {"device_id": server.id}
    found: list[Any] = ask(ctx, network.SERVICE, "GET", "/v2.0/ports", query=query)["ports"]
    return found


def _give(ctx: Context, port: Any, addresses: list[Any]) -> None:
    body = {"port": {"fixed_ips": addresses}}
    ask(ctx, network.SERVICE, "PUT", f"/v2.0/ports/{port['id']}", body=body)
