"""A server's addresses."""

from typing import Any

from onestack.compute import rules
from onestack.compute.servers import access
from onestack.compute.servers.networking import NicOfServer, nics_of
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import NotFound
from onestack.core.shapes import Shape

api = Operations("server addresses")


class NetworkNotFound(NotFound):
    message = "Instance is not a member of specified network"


class ShortAddress(Shape):
    """An address, without what is known of it besides."""

    version: int
    addr: str


class AddressList(Shape):
    """A server's addresses, by the names of its networks."""

    addresses: dict[str, list[ShortAddress]]


@api.get("/v2.1/servers/{server_id}/ips", rules.rule("ips:index", rules.READER), kept=False)
def index(ctx: Context, server_id: str) -> AddressList:
    """List a server's addresses."""
    return AddressList(addresses=_addresses(ctx, server_id))


@api.get(
    "/v2.1/servers/{server_id}/ips/{network}", rules.rule("ips:show", rules.READER), kept=False
)
def show(ctx: Context, server_id: str, network: str) -> dict[str, Any]:
    """List a server's addresses on one network."""
    found = _addresses(ctx, server_id)
    if network not in found:
        raise NetworkNotFound
    return {network: found[network]}


def _addresses(ctx: Context, server_id: str) -> dict[str, list[ShortAddress]]:
    server = access.owned(ctx, server_id)
    nics: tuple[NicOfServer, ...] = tuple(nics_of(ctx.session, [server.id]).get(server.id, ()))
    found: dict[str, list[ShortAddress]] = {}
    for nic in nics:
        found.setdefault(nic.network_name, []).extend(
            ShortAddress(version=6 if ":" in each else 4, addr=each)
            for each in (*nic.fixed_ips, *nic.floating_ips)
        )
    return found
