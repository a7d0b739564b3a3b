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


class NetworkView(Shape):
    """A network; its addresses are the network service's to tell."""

    id: str
    label: str
    cidr: str = "None"


@api.get("/v2.1/os-tenant-networks", READ, key="networks", until=UNTIL, kept=False)
def index(ctx: Context) -> Page[NetworkView]:
    """List the networks that the project may use."""
    own = {"project_id": ctx.caller.project_id}
    found = ask(ctx, network.SERVICE, "GET", "/v2.0/networks", query=own)["networks"]
    shared = {"shared": "true"}
    others = ask(ctx, network.SERVICE, "GET", "/v2.0/networks", query=shared)["networks"]
    unique = {each["id"]: each for each in (*found, *others)}
    return Page([_view(each) for each in unique.values()])


@api.get("/v2.1/os-tenant-networks/{network_id}", READ, key="network", until=UNTIL, kept=False)
def show(ctx: Context, network_id: str) -> NetworkView:
    """Show a network."""
    return _view(ask(ctx, network.SERVICE, "GET", f"/v2.0/networks/{network_id}")["network"])


def _view(found: dict[str, Any]) -> NetworkView:
    return NetworkView(id=found["id"], label=found["name"])
