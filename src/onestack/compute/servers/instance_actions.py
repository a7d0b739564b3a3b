"""Instance actions: what was done to a server, by whom, and what came of it."""

import datetime as dt
from typing import Annotated, Any, cast

from sqlalchemy import Table, bindparam, insert, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.compute import rules
from onestack.compute.rules import is_admin
from onestack.compute.servers import moments
from onestack.compute.servers.host_ids import host_id
from onestack.compute.servers.record import (
    TOPIC,
    DeletedServerRecord,
    ServerNotFound,
    ServerRecord,
)
from onestack.core import clock, trace
from onestack.core.api import Operations
from onestack.core.context import Caller, Context
from onestack.core.db import Record, bump
from onestack.core.errors import BadRequest, NotFound
from onestack.core.flow import Failure
from onestack.core.moments import precise
from onestack.core.shapes import UNSET, Link, Meta, Shape, UnsetType, field, since

api = Operations("instance actions")

EVENTS = rules.rule("os-instance-actions:events")
DETAILS = rules.rule("os-instance-actions:events:details")
JUDGED_TOO = (EVENTS, DETAILS)
PAGE_MAX = 1000


class ActionRecord(Record):
    """Something that was done to a server; it outlives the server."""

    __tablename__ = "server_actions"
    topic = TOPIC

    id: Mapped[int] = mapped_column(primary_key=True)
    server_id: Mapped[str] = mapped_column(index=True)
    request_id: Mapped[str]
    action: Mapped[str]
    project_id: Mapped[str]
    user_id: Mapped[str]
    message: Mapped[str | None]
    started_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    events: Mapped[list[Any]] = mapped_column(default=list)


class ActionNotFound(NotFound):
    message = "Action for request_id {request_id} on instance {server_id} not found"


class BadMarker(BadRequest):
    message = "Marker {marker} could not be found."


class ActionQuery(Shape):
    """Which actions to list."""

    limit: Annotated[int, Meta(ge=0), since("2.58")] | None = None
    marker: Annotated[str | None, since("2.58")] = None
    changes_since: Annotated[str | None, since("2.58")] = field(default=None, name="changes-since")
    changes_before: Annotated[str | None, since("2.66")] = field(
        default=None, name="changes-before"
    )


class ActionView(Shape):
    """Something that was done to a server."""

    action: str
    instance_uuid: str
    request_id: str
    user_id: str
    project_id: str
    start_time: str | None
    message: str | None
    updated_at: Annotated[str | None, since("2.58")]


class EventView(Shape):
    """A part of an action, and what came of it."""

    event: str
    start_time: str | None
    finish_time: str | None
    result: str | None
    traceback: str | UnsetType | None = UNSET
    host: Annotated[str | UnsetType | None, since("2.62")] = UNSET
    host_id: Annotated[str, since("2.62")] = field(default="", name="hostId")
    details: Annotated[str | UnsetType | None, since("2.84")] = UNSET


class ActionDetail(ActionView):
    """Something that was done to a server, part by part."""

    events: list[EventView] | UnsetType = UNSET


class ActionList(Shape):
    """What was done to a server."""

    actions: list[ActionView] = field(name="instanceActions")
    links: list[Link] | UnsetType = UNSET


_ACTIONS = cast(Table, ActionRecord.__table__)
_ADD = insert(_ACTIONS)
_LAST = (
    select(_ACTIONS.c.id, _ACTIONS.c.action, _ACTIONS.c.started_at, _ACTIONS.c.events)
    .where(
        _ACTIONS.c.server_id == bindparam("server"), _ACTIONS.c.request_id == bindparam("request")
    )
    .order_by(_ACTIONS.c.id.desc())
    .limit(1)
)
_CHANGE = update(_ACTIONS).where(_ACTIONS.c.id == bindparam("changed"))


@api.get(
    "/v2.1/servers/{server_id}/os-instance-actions",
    rules.rule("os-instance-actions:list", rules.READER),
)
def index(ctx: Context, server_id: str, query: ActionQuery) -> ActionList:
    """List what was done to a server, the newest first."""
    _check_seen(ctx, server_id)
    limit = min(query.limit if query.limit is not None else PAGE_MAX, PAGE_MAX)
    statement = select(ActionRecord).where(ActionRecord.server_id == server_id)
    if query.changes_since is not None:
        moment = moments.read(query.changes_since, "changes-since")
        statement = statement.where(ActionRecord.updated_at >= moment)
    if query.changes_before is not None:
        moment = moments.read(query.changes_before, "changes-before")
        statement = statement.where(ActionRecord.updated_at <= moment)
    if query.marker is not None:
        statement = statement.where(ActionRecord.id < _find(ctx, server_id, query.marker).id)
    rows = ctx.session.scalars(statement.order_by(ActionRecord.id.desc()).limit(limit + 1)).all()
    return _page(ctx, rows[:limit], has_more=len(rows) > limit)


@api.get(
    "/v2.1/servers/{server_id}/os-instance-actions/{request_id}",
    rules.rule("os-instance-actions:show", rules.READER),
    key="instanceAction",
)
def show(ctx: Context, server_id: str, request_id: str) -> ActionDetail:
    """Show what was done to a server by one request."""
    _check_seen(ctx, server_id)
    wanted = select(ActionRecord).where(
        ActionRecord.server_id == server_id, ActionRecord.request_id == request_id
    )
    record = ctx.session.scalars(wanted.order_by(ActionRecord.id)).first()
    if record is None:
        raise ActionNotFound(request_id=request_id[:64], server_id=server_id)
    return _detail(ctx, record)


def begin(
    session: Session, server: ServerRecord, action: str, caller: Caller | None = None
) -> None:
    """Note that something is being done to a server by the request, or the flow, at hand."""
    begin_all(session, [server], action, caller)


def begin_all(
    session: Session, servers: list[ServerRecord], action: str, caller: Caller | None = None
) -> None:
    """Note that the same is being done to several servers."""
    now = clock.now()
    rows: list[dict[str, Any]] = [
        {
            "server_id": server.id, "request_id": trace.current_id() or "", "action": action,
            "project_id": (caller and caller.project_id) or server.project_id,
            "user_id": caller.user_id if caller else server.user_id,
            "message": None, "started_at": now, "updated_at": now, "events": [],
        }
        for server in servers
    ]  # fmt: skip
    session.connection().execute(_ADD, rows)
    bump(session, TOPIC)


def finish(session: Session, server: ServerRecord, failure: Failure | None = None) -> None:
    """Note that what the request at hand did to a server is over, and what came of it."""
    connection = session.connection()
    at_hand = {"server": server.id, "request": trace.current_id() or ""}
    row = connection.execute(_LAST, at_hand).first()
    if row is None:
        return
    now = clock.now()
    happened = {
        "event": EVENT_NAMES.get(row.action, f"compute_{row.action.replace('-', '_')}_instance"),
        "start_time": precise(row.started_at), "finish_time": precise(now),
        "result": "Error" if failure else "Success", "host": server.host,
        "traceback": None if failure is None else f"{failure.error}: {failure.text}",
    }  # fmt: skip
    changes: dict[str, Any] = {"updated_at": now, "events": [*row.events, happened]}
    if failure is not None:
        changes["message"] = "Error"
    connection.execute(_CHANGE, {"changed": row.id, **changes})
    bump(session, TOPIC)


# Upstream's names for what its compute managers do, where they are not made of the action's.
EVENT_NAMES = {
    "create": "compute__do_build_and_run_instance",
    "delete": "compute_terminate_instance",
    "resize": "compute_resize_instance",
    "confirmResize": "compute_confirm_resize",
    "revertResize": "compute_revert_resize",
    "migrate": "compute_resize_instance",
    "live-migration": "compute_live_migration",
    "attach_volume": "compute_attach_volume",
    "detach_volume": "compute_detach_volume",
    "extend_volume": "compute_extend_volume",
    "attach_interface": "compute_attach_interface",
    "detach_interface": "compute_detach_interface",
    "createImage": "compute_snapshot_instance",
    "createBackup": "compute_backup_instance",
}


def _check_seen(ctx: Context, server_id: str) -> None:
    """Refuse who may not see the server; from 2.21 on it may be gone."""
    found = ctx.session.get(ServerRecord, server_id)
    gone = None
    if found is None and ctx.version >= (2, 21):
        gone = ctx.session.get(DeletedServerRecord, server_id)
    server = found or gone
    if server is None or (server.project_id != ctx.caller.project_id and not is_admin(ctx)):
        raise ServerNotFound(server_id=server_id[:64])
    ctx.allow(server)


def _find(ctx: Context, server_id: str, marker: str) -> ActionRecord:
    wanted = select(ActionRecord).where(
        ActionRecord.server_id == server_id, ActionRecord.request_id == marker
    )
    record = ctx.session.scalars(wanted.order_by(ActionRecord.id)).first()
    if record is None:
        raise BadMarker(marker=marker[:80])
    return record


def _page(ctx: Context, rows: Any, *, has_more: bool) -> ActionList:
    shown = ActionList(actions=[ActionView(**_known(each)) for each in rows])
    if has_more and rows:
        request = ctx.request
        limit = request.query()["limit"][-1]
        address = f"{request.base_url}{request.path}?limit={limit}&marker={rows[-1].request_id}"
        shown.links = [Link(rel="next", href=address)]
    return shown


def _known(record: ActionRecord) -> dict[str, Any]:
    return {
        "action": record.action, "instance_uuid": record.server_id,
        "request_id": record.request_id, "user_id": record.user_id,
        "project_id": record.project_id, "start_time": precise(record.started_at),
        "message": record.message, "updated_at": precise(record.updated_at),
    }  # fmt: skip


def _detail(ctx: Context, record: ActionRecord) -> ActionDetail:
    sees_events = rules.is_allowed_own(ctx, EVENTS)
    shown = ActionDetail(**_known(record))
    if not sees_events and ctx.version < (2, 51):
        return shown
    sees_details = ctx.version >= (2, 84) and rules.is_allowed_own(ctx, DETAILS)
    shown.events = [
        EventView(
            event=each["event"], start_time=each["start_time"], finish_time=each["finish_time"],
            result=each["result"],
            traceback=each["traceback"] if sees_events else UNSET,
            host=each["host"] if sees_events else UNSET,
            host_id=host_id(record.project_id, each["host"]),
            details=each["traceback"] if sees_details else UNSET,
        )
        for each in record.events
    ]  # fmt: skip
    return shown
