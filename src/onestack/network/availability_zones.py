"""Availability zones of networks and routers: there is one, and it is there while a switch is."""

from onestack.core import agents
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.shapes import Shape
from onestack.network import rules

api = Operations("availability zones")

ZONE = "nova"
RESOURCES = ("network", "router")


class ZoneView(Shape):
    """A zone, for one kind of thing."""

    name: str
    resource: str
    state: str


@api.get(
    "/v2.0/availability_zones",
    rules.rule("get_availability_zone", rules.ANYONE),
    key="availability_zones",
    kept=False,
)
def index(ctx: Context) -> Page[ZoneView]:
    """List the zones that networks and routers may be in."""
    ctx.allow()
    given = ctx.request.query()
    state = "available" if agents.alive(ctx.session, "switch") else "unavailable"
    zones = [ZoneView(name=ZONE, resource=each, state=state) for each in RESOURCES]
    return Page(
        [
            zone
            for zone in zones
            if all(getattr(zone, name, None) in values for name, values in given.items()
                   if name in ("name", "resource", "state"))
        ]
    )  # fmt: skip
