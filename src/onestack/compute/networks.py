"""Networks, for clients of versions before 2.36 who ask the compute service which there are."""

from typing import Any

from onestack import network
from onestack.compute import rules
from onestack.compute.proxy import ask
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.shapes import Shape

api = Operations("networks")

READ = rules.rule("os-tenant-networks", rules.ANYONE)
UNTIL = "2.35"
# What networks had when the compute service kept them itself.
FORGOTTEN = (
    "bridge", "bridge_interface", "broadcast", "cidr", "cidr_v6", "created_at", "deleted",
    "deleted_at", "dhcp_server", "dhcp_start", "dns1", "dns2", "enable_dhcp", "gateway",
    "gateway_v6", "host", "injected", "mtu", "multi_host", "netmask", "netmask_v6", "priority",
    "project_id", "rxtx_base", "share_address", "updated_at", "vlan", "vpn_private_address",
    "vpn_public_address", "vpn_public_port",
)  # fmt: skip


class NetworkView(Shape):
    """A network; its addresses are the network service's to tell."""

    id: str
    label: str
    cidr: str = "None"


@api.get("/v2.1/os-tenant-networks", READ, key="networks", until=UNTIL, kept=False)
def index(ctx: Context) -> Page[NetworkView]:
    """List the networks that the project may use."""
    return Page([_view(each) for each in _usable(ctx)])


@api.get("/v2.1/os-tenant-networks/{network_id}", READ, key="network", until=UNTIL, kept=False)
def show(ctx: Context, network_id: str) -> NetworkView:
    """Show a network."""
    return _view(_found(ctx, network_id))


@api.get(
    "/v2.1/os-networks", rules.rule("os-networks:list", rules.READER), key="networks",
    until=UNTIL, kept=False,
)  # fmt: skip
def networks(ctx: Context) -> Page[dict[str, str | None]]:
    """List networks: the administrator's list has all of them."""
    rules.allow_own(ctx)
    if not rules.is_admin(ctx):
        return Page([_old(each) for each in _usable(ctx)])
    found = ask(ctx, network.SERVICE, "GET", "/v2.0/networks")["networks"]
    return Page([_old(each) for each in found])


@api.get(
    "/v2.1/os-networks/{network_id}", rules.rule("os-networks:show", rules.READER),
    key="network", until=UNTIL, kept=False,
)  # fmt: skip
def old_network(ctx: Context, network_id: str) -> dict[str, str | None]:
    """Show a network."""
    rules.allow_own(ctx)
    return _old(_found(ctx, network_id))


def _usable(ctx: Context) -> list[dict[str, Any]]:
    own = {"project_id": ctx.caller.project_id}
    found = ask(ctx, network.SERVICE, "GET", "/v2.0/networks", query=own)["networks"]
    shared = {"shared": "true"}
    others = ask(ctx, network.SERVICE, "GET", "/v2.0/networks", query=shared)["networks"]
    return list({each["id"]: each for each in (*found, *others)}.values())


def _found(ctx: Context, network_id: str) -> dict[str, Any]:
    found: dict[str, Any] = ask(ctx, network.SERVICE, "GET", f"/v2.0/networks/{network_id}")
    return dict(found["network"])


def _old(found: dict[str, Any]) -> dict[str, str | None]:
    return {"id": found["id"], "label": found["name"], **dict.fromkeys(FORGOTTEN)}


def _view(found: dict[str, Any]) -> NetworkView:
    return NetworkView(id=found["id"], label=found["name"])
