"""Where somebody wants a server: a zone, and, for administrators, a host of it."""

import msgspec
from sqlalchemy import select

from onestack.compute import rules
from onestack.compute.aggregates import ZONE, AggregateRecord
from onestack.compute.nodes import DEFAULT_ZONE
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.policy import Rule

FORCED_HOST = rules.rule("servers:create:forced_host")
REQUESTED_HOST = Rule("compute:servers:create:requested_destination", rules.ADMIN, rules.PROJECT)


class InvalidZone(BadRequest):
    message = "The requested availability zone is not available"


class Whereabouts(msgspec.Struct, frozen=True):
    """A wish: `forced` skips what the scheduler thinks of the host."""

    zone: str | None = None
    host: str | None = None
    is_forced: bool = False


def read(ctx: Context, text: str | None, host: str | None, node: str | None) -> Whereabouts:
    """The wish that a request's fields make: `zone`, `zone:host` or `zone:host:node`."""
    if text is not None:
        _check_zone(ctx, text.partition(":")[0])
    if text is None or ":" not in text:
        if host is not None or node is not None:
            rules.allow_own(ctx, rule=REQUESTED_HOST)
            if host and node and host != node:
                raise BadRequest(f"No hypervisor {node} on host {host}.")
        return Whereabouts(zone=text, host=host or node)
    if host is not None or node is not None:
        raise BadRequest("The requested host or node cannot be combined with a host of the zone.")
    rules.allow_own(ctx, rule=FORCED_HOST)
    parts = text.split(":")
    if len(parts) > 3:
        raise BadRequest("Unable to parse availability_zone")
    zone, forced, forced_node = (*parts, "", "")[:3]
    return Whereabouts(zone=zone or None, host=forced or forced_node or None, is_forced=True)


def _check_zone(ctx: Context, zone: str) -> None:
    """Refuse a zone that no host could be in."""
    if zone in ("", DEFAULT_ZONE):
        return
    properties = ctx.session.scalars(select(AggregateRecord.properties))
    if zone not in {each.get(ZONE) for each in properties}:
        raise InvalidZone
