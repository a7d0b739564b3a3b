"""Which server a request is for, and whether its caller may do this to it."""

from onestack.compute.rules import is_admin
from onestack.compute.servers.record import ServerNotFound, ServerRecord
from onestack.compute.servers.states import Locked
from onestack.core.context import Context
from onestack.core.db import by_key


def owned(ctx: Context, server_id: str) -> ServerRecord:
    """The server, if the caller may do this to it; who must not know of it is told nothing.

    Its row is not taken: whoever starts a flow takes the rows of flows first.
    """
    return _judged(ctx, server_id, by_key(ctx.session, ServerRecord, server_id))


def held(ctx: Context, server_id: str) -> ServerRecord:
    """The same, for who changes the row and starts no flow: nobody else does until the end."""
    found = ctx.session.get(ServerRecord, server_id, with_for_update=True)
    return _judged(ctx, server_id, found)


def unlocked(ctx: Context, server_id: str) -> ServerRecord:
    """The same, refused when somebody locked it; administrators pass."""
    server = owned(ctx, server_id)
    if server.locked_by is not None and not is_admin(ctx):
        raise Locked(server_id=server.id)
    return server


def _judged(ctx: Context, server_id: str, server: ServerRecord | None) -> ServerRecord:
    if server is None or (server.project_id != ctx.caller.project_id and not is_admin(ctx)):
        raise ServerNotFound(server_id=server_id[:64])
    ctx.allow(server)
    return server
