"""Security groups of a server: they guard all its ports, from now on or no longer."""

from onestack import network
from onestack.compute.lenient import Name
from onestack.compute.servers import access, action
from onestack.compute.servers.record import touch
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.shapes import Shape

api = Operations("server security groups")


class GroupBody(Shape, forbid_unknown_fields=True):
    """A security group, by its name or id."""

    name: Name


@api.post(action.PATH, action.rule("os-security-groups:add"), action="addSecurityGroup", status=202)
def add(ctx: Context, server_id: str, body: GroupBody) -> None:
    """Let a security group guard a server's ports."""
    _guard(ctx, server_id, body.name, is_on=True)


@api.post(
    action.PATH, action.rule("os-security-groups:remove"), action="removeSecurityGroup", status=202
)
def remove(ctx: Context, server_id: str, body: GroupBody) -> None:
    """Let a security group guard a server's ports no longer."""
    _guard(ctx, server_id, body.name, is_on=False)


def _guard(ctx: Context, server_id: str, name: str, *, is_on: bool) -> None:
    server = access.held(ctx, server_id)
    network.guard(ctx.session, server.id, name, is_on)
    touch(server)
