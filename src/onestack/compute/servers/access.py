"""Which server a request is for, and whether its caller may do this to it."""

from onestack.compute.servers.record import ServerNotFound, ServerRecord
from onestack.compute.servers.states import Locked
from onestack.core.context import Context


def is_admin(ctx: Context) -> bool:
    """Whether the caller stands above projects."""
    return ctx.policy.decide("context_is_admin", ctx.caller.credentials, None) is True


def owned(ctx: Context, server_id: str) -> ServerRecord:
    """The server, if the caller may do this to it; who must not know of it is told nothing.

    Whoever writes has it for themselves until the end of the request.
    """
    server = ctx.session.get(ServerRecord, server_id, with_for_update=ctx.writes)
    if server is None or (server.project_id != ctx.caller.project_id and not is_admin(ctx)):
        raise ServerNotFound(server_id=server_id[:64])
    ctx.allow(server)
    return server


def unlocked(ctx: Context, server_id: str) -> ServerRecord:
    """The same, refused when somebody locked it; administrators pass."""
    server = owned(ctx, server_id)
    if server.locked_by is not None and not is_admin(ctx):
        raise Locked(server_id=server.id)
    return server
