"""Availability zones: the groups of hosts that tenants choose between."""

from onestack.compute import rules, services
from onestack.compute.nodes import DEFAULT_ZONE
from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.moments import precise
from onestack.core.shapes import Shape, field

api = Operations("availability zones")


class ZoneState(Shape):
    """Whether a zone has a host that takes servers."""

    available: bool


class ServiceState(Shape):
    """Whether a service may be used, and is there."""

    active: bool
    available: bool
    updated_at: str | None


Hosts = dict[str, dict[str, ServiceState]]


class ZoneView(Shape):
    """A zone; with its hosts for administrators."""

    name: str = field(name="zoneName")
    state: ZoneState = field(name="zoneState")
    hosts: Hosts | None


@api.get(
    "/v2.1/os-availability-zone",
    rules.rule("os-availability-zone:list", rules.ANYONE),
    key="availabilityZoneInfo",
    kept=False,
)
def index(ctx: Context) -> Page[ZoneView]:
    """List the zones that servers may be put into."""
    return Page([
        ZoneView(name=zone, state=ZoneState(available=_is_available(hosts)), hosts=None)
        for zone, hosts in _zones(ctx).items()
    ])  # fmt: skip


@api.get(
    "/v2.1/os-availability-zone/detail",
    rules.rule("os-availability-zone:detail"),
    key="availabilityZoneInfo",
    kept=False,
)
def detail(ctx: Context) -> Page[ZoneView]:
    """List the zones with their hosts, and the one of this program's own parts."""
    now = precise(clock.now())
    own = ServiceState(active=True, available=True, updated_at=now)
    control = {services.control_host(): {binary: own for _, _, binary in services.CONTROL}}
    internal = ZoneView(name=services.INTERNAL, state=ZoneState(available=True), hosts=control)
    return Page(
        [
            internal,
            *(
                ZoneView(name=zone, state=ZoneState(available=_is_available(hosts)), hosts=hosts)
                for zone, hosts in _zones(ctx).items()
            ),
        ]
    )


def _zones(ctx: Context) -> dict[str, Hosts]:
    """Each zone's hosts, in alphabetical order."""
    of_host = services.zones_of(ctx.session)
    found: dict[str, Hosts] = {}
    for node, agent in services.computes(ctx.session):
        state = ServiceState(
            active=agent.is_enabled,
            available=agent.is_alive,
            updated_at=precise(agent.seen_at),
        )
        hosts = found.setdefault(of_host.get(node.host, DEFAULT_ZONE), {})
        hosts[node.host] = {services.COMPUTE: state}
    return dict(sorted(found.items()))


def _is_available(hosts: Hosts) -> bool:
    return any(state.active for each in hosts.values() for state in each.values())
