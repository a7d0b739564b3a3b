"""Lock a server against changes, by accident or by others of its project."""

from typing import Annotated

from onestack.compute import rules
from onestack.compute.servers import access, action, instance_actions
from onestack.compute.servers.record import ServerRecord, touch
from onestack.core import event
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.shapes import UNSET, Meta, Shape, UnsetType, since

api = Operations("server lock")

UNLOCK_OVERRIDE = rules.rule("os-lock-server:unlock:unlock_override")


class LockBody(Shape, forbid_unknown_fields=True):
    """Why a server is locked."""

    locked_reason: Annotated[
        Annotated[str, Meta(min_length=1, max_length=255)] | UnsetType, since("2.73")
    ] = UNSET


@api.post(action.PATH, action.rule("os-lock-server:lock"), action="lock", status=202)
def lock(ctx: Context, server_id: str, body: LockBody | None) -> None:
    """Lock a server: nobody of its project changes it from here on."""
    server = access.held(ctx, server_id)
    server.locked_by = _as_whom(ctx, server)
    reason = body.locked_reason if body is not None else UNSET
    server.locked_reason = None if reason is UNSET else reason
    _note(ctx, server, "lock")


@api.post(action.PATH, action.rule("os-lock-server:unlock"), action="unlock", status=202)
def unlock(ctx: Context, server_id: str) -> None:
    """Unlock a server; what an administrator locked, an administrator unlocks."""
    server = access.held(ctx, server_id)
    if server.locked_by is not None and server.locked_by != _as_whom(ctx, server):
        ctx.allow(server, rule=UNLOCK_OVERRIDE)
    server.locked_by = server.locked_reason = None
    _note(ctx, server, "unlock")


def _as_whom(ctx: Context, server: ServerRecord) -> str:
    return "owner" if ctx.caller.project_id == server.project_id else "admin"


def _note(ctx: Context, server: ServerRecord, name: str) -> None:
    touch(server)
    instance_actions.begin(ctx.session, server, name, ctx.caller)
    known = {"id": server.id, "locked_reason": server.locked_reason}
    resource = f"servers/{server.id}"
    event.emit(ctx.session, f"compute.instance.{name}", known, server.project_id, resource)
