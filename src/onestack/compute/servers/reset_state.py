"""Tell the cloud in which state a server is, when it does not know better."""

from typing import Literal

from onestack.compute import rules
from onestack.compute.servers import access, action, instance_actions, networking
from onestack.compute.servers.record import touch
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.shapes import Shape

api = Operations("server state")


@api.post(
    action.PATH,
    rules.rule("os-admin-actions:inject_network_info"),
    action="injectNetworkInfo",
    status=202,
)
def inject_network_info(ctx: Context, server_id: str) -> None:
    """Have a server's ports put on its host again, should they be elsewhere."""
    server = access.held(ctx, server_id)
    if server.host is not None:
        networking.bind(ctx.session, server)
    instance_actions.begin(ctx.session, server, "injectNetworkInfo", ctx.caller)


class ResetBody(Shape, forbid_unknown_fields=True):
    """The state that it is in."""

    state: Literal["active", "error"]


@api.post(
    action.PATH,
    rules.rule("os-admin-actions:reset_state"),
    action="os-resetState",
    status=202,
)
def reset_state(ctx: Context, server_id: str, body: ResetBody) -> None:
    """Say that a server is active, or in error; what is being done to it goes on."""
    server = access.held(ctx, server_id)
    server.vm_state = body.state
    server.fault = None if body.state == "active" else server.fault
    touch(server)
    instance_actions.begin(ctx.session, server, "os-resetState", ctx.caller)
