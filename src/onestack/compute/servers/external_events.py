"""Events that other services used to tell of servers; here they tell in the same transaction."""

from typing import Annotated, Any, Literal

from sqlalchemy import select

from onestack.compute import rules
from onestack.compute.servers.record import ServerRecord
from onestack.compute.servers.wanted import Uuid
from onestack.core.api import Operations, Reply
from onestack.core.context import Context
from onestack.core.errors import NotFound
from onestack.core.shapes import Meta, Shape, field

api = Operations("external events")

Name = Literal[
    "network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted",
    "volume-extended", "power-update", "accelerator-request-bound", "volume-reimaged",
]  # fmt: skip


class NoneKnown(NotFound):
    message = "No instances found for any event"


class ExternalEvent(Shape, forbid_unknown_fields=True):
    """Something that happened to what a server uses."""

    name: Name
    server_uuid: Uuid
    status: Literal["failed", "completed", "in-progress"] = "completed"
    tag: Annotated[str, Meta(max_length=255)] | None = None


class ExternalEvents(Shape, forbid_unknown_fields=True):
    """Several of them."""

    events: Annotated[list[ExternalEvent], Meta(min_length=1)]


class Heard(Shape, omit_defaults=True):
    """An event, and whether anybody has a use for it."""

    name: str
    server_uuid: str
    status: str
    code: int
    tag: str | None = field(default=None)


@api.post(
    "/v2.1/os-server-external-events", rules.rule("os-server-external-events:create"), reads=True
)
def create(ctx: Context, body: ExternalEvents) -> Reply:
    """Take note of events; the flows of servers look at the rows themselves."""
    rules.allow_own(ctx)
    ids = {each.server_uuid for each in body.events}
    known = set(ctx.session.scalars(select(ServerRecord.id).where(ServerRecord.id.in_(ids))))
    if not known:
        raise NoneKnown
    heard: list[Any] = [
        Heard(
            name=each.name, server_uuid=each.server_uuid, status=each.status, tag=each.tag,
            code=200 if each.server_uuid in known else 404,
        )
        for each in body.events
    ]  # fmt: skip
    return Reply({"events": heard}, status=200 if known == ids else 207)
