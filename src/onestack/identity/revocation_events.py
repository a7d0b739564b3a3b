"""Revocation events are listed, and forgotten when no token is left that they could void."""

import datetime as dt
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Shape, UnsetType, field, iso
from onestack.identity import times
from onestack.identity.tokens.revocation import RevocationRecord

api = Operations("revocation_events")

EVENTS_MAX = 10_000
# Who kept a token's lifetime for a while, or lowered the setting, still finds it here.
BUFFER_S = 1800


class EventQuery(Shape):
    """Which events to list."""

    since: str | None = None


class EventView(Shape):
    """Tokens issued until a moment are void, if all that is named is true of them."""

    issued_before: str | None
    revoked_at: str | None
    user_id: str | UnsetType = UNSET
    role_id: str | UnsetType = UNSET
    domain_id: str | UnsetType = UNSET
    project_id: str | UnsetType = UNSET
    audit_id: str | UnsetType = UNSET
    audit_chain_id: str | UnsetType = UNSET
    trust_id: str | UnsetType = field(default=UNSET, name="OS-TRUST:trust_id")
    consumer_id: str | UnsetType = field(default=UNSET, name="OS-OAUTH1:consumer_id")
    access_token_id: str | UnsetType = field(default=UNSET, name="OS-OAUTH1:access_token_id")
    expires_at: str | UnsetType = UNSET


NAMED = (
    "user_id", "role_id", "domain_id", "project_id", "audit_id", "audit_chain_id", "trust_id",
    "consumer_id", "access_token_id",
)  # fmt: skip


@api.get(
    "/v3/OS-REVOKE/events",
    Rule("identity:list_revoke_events", "rule:service_or_admin"),
    key="events",
)
def index(ctx: Context, query: EventQuery) -> Page[EventView]:
    """List revocation events, the oldest first; with `since`, those from that moment on."""
    statement = select(RevocationRecord)
    if query.since is not None:
        since = times.parse(query.since, "since")
        statement = statement.where(RevocationRecord.revoked_at >= since)
    order = (RevocationRecord.revoked_at, RevocationRecord.id)
    found = list(ctx.session.scalars(statement.order_by(*order).limit(EVENTS_MAX + 1)))
    events = [view(record) for record in found[:EVENTS_MAX]]
    return Page(events, truncated=len(found) > EVENTS_MAX)


def purge(session: Session, token_expiration_s: int) -> int:
    """Forget the events that can void no token any more; how many those were."""
    latest = clock.now() - dt.timedelta(seconds=token_expiration_s + BUFFER_S)
    # Past the records' own topic: no token means anything else for it.
    events: Any = RevocationRecord.__table__
    result: Any = session.execute(delete(events).where(events.c.issued_before < latest))
    return int(result.rowcount)


def view(record: RevocationRecord) -> EventView:
    """An event as clients see it."""
    facts = {name: value for name in NAMED if (value := getattr(record, name)) is not None}
    shown = EventView(
        issued_before=iso(record.issued_before), revoked_at=iso(record.revoked_at), **facts
    )
    if record.expires_at is not None:
        shown.expires_at = iso(record.expires_at) or UNSET
    return shown
