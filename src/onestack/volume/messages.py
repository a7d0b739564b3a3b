"""Messages: what went wrong with a user's volume, in words for that user."""

import datetime as dt

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import clock, trace
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.db import Record
from onestack.core.errors import NotFound
from onestack.core.moments import precise
from onestack.core.shapes import UNSET, Link, Shape, UnsetType
from onestack.volume import listing, rules
from onestack.volume.listing import ListQuery, links
from onestack.volume.snapshots.record import SnapshotRecord
from onestack.volume.volumes.record import TOPIC, VolumeRecord, new_id

api = Operations("messages")

LEVEL = "ERROR"
KEPT = dt.timedelta(days=30)


class MessageRecord(Record):
    """Something that a user asked for and did not get, and why."""

    __tablename__ = "volume_messages"
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(index=True)
    resource_type: Mapped[str]
    resource_id: Mapped[str]
    event_id: Mapped[str]
    text: Mapped[str]
    request_id: Mapped[str | None]
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)


EXACT = {
    "resource_uuid": MessageRecord.resource_id,
    "resource_type": MessageRecord.resource_type,
    "event_id": MessageRecord.event_id,
    "request_id": MessageRecord.request_id,
}


class MessageQuery(ListQuery):
    """Which messages to list."""

    resource_uuid: str | None = None
    resource_type: str | None = None
    event_id: str | None = None
    request_id: str | None = None
    message_level: str | None = None


class MessageView(Shape):
    """A message as clients see it."""

    id: str
    event_id: str
    message_level: str
    resource_type: str
    resource_uuid: str
    user_message: str
    request_id: str | None
    created_at: str | None
    guaranteed_until: str | None
    links: list[Link]


class MessageList(Shape):
    """Messages."""

    messages: list[MessageView]
    messages_links: list[Link] | UnsetType = UNSET


class MessageNotFound(NotFound):
    message = "Message {message_id} could not be found."


@api.get("/v3/messages", rules.rule("message:get_all", rules.READ), since="3.3")
def index(ctx: Context, query: MessageQuery) -> MessageList:
    """List messages."""
    record = MessageRecord
    statement = select(record.id, record).where(
        listing.owned(ctx, query, record.project_id), *listing.exact(query, EXACT)
    )
    if query.message_level not in (None, LEVEL):
        statement = statement.where(record.id.is_(None))
    columns = {name: getattr(record, name) for name in ("id", "event_id", "created_at")}
    found = listing.find(ctx, statement, query, record.id, columns)
    items = [_view(ctx, row.MessageRecord) for row in found.rows]
    return MessageList(messages=items, messages_links=found.links)


@api.get(
    "/v3/messages/{message_id}", rules.rule("message:get", rules.READ), key="message", since="3.3"
)
def show(ctx: Context, message_id: str) -> MessageView:
    """Show a message."""
    return _view(ctx, _seen(ctx, message_id))


@api.delete("/v3/messages/{message_id}", rules.rule("message:delete", rules.WRITE), since="3.3")
def forget(ctx: Context, message_id: str) -> None:
    """Delete a message."""
    ctx.session.delete(_seen(ctx, message_id))


def tell(session: Session, record: VolumeRecord | SnapshotRecord, code: str, text: str) -> None:
    """Leave a message about a volume or a snapshot; messages that are too old go."""
    now = clock.now()
    session.execute(delete(MessageRecord).where(MessageRecord.expires_at < now))
    kind = "VOLUME" if isinstance(record, VolumeRecord) else "VOLUME_SNAPSHOT"
    session.add(
        MessageRecord(
            id=new_id(), project_id=record.project_id, resource_type=kind, resource_id=record.id,
            event_id=f"VOLUME_{kind}_{code}", text=text[:1000], request_id=trace.current_id(),
            created_at=now, expires_at=now + KEPT,
        )
    )  # fmt: skip


def _seen(ctx: Context, message_id: str) -> MessageRecord:
    found = ctx.session.get(MessageRecord, message_id)
    if found is None or rules.sees(ctx) not in (None, found.project_id):
        raise MessageNotFound(message_id=message_id[:64])
    ctx.allow(found)
    return found


def _view(ctx: Context, record: MessageRecord) -> MessageView:
    return MessageView(
        id=record.id,
        event_id=record.event_id,
        message_level=LEVEL,
        resource_type=record.resource_type,
        resource_uuid=record.resource_id,
        user_message=record.text,
        request_id=record.request_id,
        created_at=precise(record.created_at),
        guaranteed_until=precise(record.expires_at),
        links=links(ctx, "messages", record.id),
    )
