"""Services: the agents of hosts that run servers, and what there is besides in every cloud."""

import platform
from collections.abc import Mapping
from typing import Annotated, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, column, select, table
from sqlalchemy.orm import Session

from onestack import placement
from onestack.compute import aggregates, nodes, rules
from onestack.compute.aggregates import ZONE, AggregateHostRecord, AggregateRecord
from onestack.compute.lenient import INTEGER_MAX, Flag, flag
from onestack.compute.nodes import DEFAULT_ZONE, ComputeNodeRecord
from onestack.core import clock, event
from onestack.core.agents import AgentRecord
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.db import bump
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.moments import precise
from onestack.core.shapes import UNSET, Meta, Shape, UnsetType, since

api = Operations("services")

UPDATE = rules.rule("os-services:update")
COMPUTE = "nova-compute"
INTERNAL = "internal"  # the zone of what belongs to no host of servers
# Every cloud has these, for clients that look for them: they are this program itself.
CONTROL = (
    (1, "5a0c1f6e-5d5c-4e0b-9a53-6d1f0e0c0001", "nova-conductor"),
    (2, "5a0c1f6e-5d5c-4e0b-9a53-6d1f0e0c0002", "nova-scheduler"),
)

HostName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-._]*$")]
Reason = Annotated[str, Meta(min_length=1, max_length=255)]


class ServiceNotFound(NotFound):
    message = "Service {service_id} could not be found."


class BinaryNotFound(NotFound):
    message = "Could not find binary {binary} on host {host}."


class BadId(BadRequest):
    message = "Invalid uuid {service_id}"


class OnlyCompute(BadRequest):
    message = (
        "Updating a {binary} service is not supported. Only nova-compute services can be updated."
    )


class HasServers(Conflict):
    message = (
        "Unable to delete compute service that is hosting instances. Migrate or delete the "
        "instances first."
    )


class NoSuchAction(NotFound):
    message = "Unknown action"


class ReasonWithoutDisabling(BadRequest):
    message = "Specifying disabled_reason when status is enabled is invalid."


class ServiceQuery(Shape):
    """Which services to list."""

    host: str | None = None
    binary: str | None = None


class ServiceUpdate(Shape, forbid_unknown_fields=True):
    """What to change of a service: before 2.53 it is named in here, and after in the path."""

    host: HostName | UnsetType = UNSET
    binary: Annotated[str, Meta(min_length=1, max_length=255)] | UnsetType = UNSET
    status: Annotated[str | UnsetType, since("2.53")] = UNSET
    disabled_reason: Reason | UnsetType = UNSET
    forced_down: Annotated[Flag | UnsetType, since("2.11")] = UNSET


class ServiceView(Shape):
    """A service."""

    id: int | str
    binary: str
    host: str
    zone: str
    status: str
    state: str
    updated_at: str | None
    disabled_reason: str | None
    forced_down: Annotated[bool, since("2.11")]


class Changed(Shape):
    """What an old client is told of its change."""

    host: str
    binary: str
    status: str | UnsetType = UNSET
    disabled_reason: str | UnsetType = UNSET
    forced_down: bool | UnsetType = UNSET


class Compute(NamedTuple):
    """A host of servers, with its agent."""

    node: ComputeNodeRecord
    agent: AgentRecord


@api.get("/v2.1/os-services", rules.rule("os-services:list"), key="services", kept=False)
def index(ctx: Context, query: ServiceQuery) -> Page[ServiceView]:
    """List services."""
    zones = zones_of(ctx.session)
    shown = [_control(ctx, each) for each in CONTROL]
    shown += [_view(ctx, each, zones) for each in computes(ctx.session)]
    return Page(
        [
            each
            for each in shown
            if query.host in (None, each.host) and query.binary in (None, each.binary)
        ]
    )


@api.put("/v2.1/os-services/{service_id}", UPDATE)
def update(ctx: Context, service_id: str, body: ServiceUpdate) -> dict[str, ServiceView | Changed]:
    """Let a host take servers, or no more; say that it is down whatever its agent says."""
    if ctx.version < (2, 53):
        return {"service": _update_named(ctx, service_id, body)}
    found = _find(ctx, service_id)
    if body.status not in (UNSET, "enabled", "disabled"):
        raise BadRequest(f"Invalid input for field/attribute status. Value: {body.status}.")
    if body.status is UNSET and body.forced_down is UNSET:
        raise BadRequest("Specify at least one of 'status' and 'forced_down'.")
    if body.disabled_reason is not UNSET and body.status != "disabled":
        raise ReasonWithoutDisabling
    if body.status is not UNSET:
        reason = None if body.disabled_reason is UNSET else body.disabled_reason
        enable(ctx, found, body.status == "enabled", reason)
    if body.forced_down is not UNSET:
        _force_down(ctx, found, flag(body.forced_down))
    return {"service": _view(ctx, found, zones_of(ctx.session))}


@api.delete("/v2.1/os-services/{service_id}", rules.rule("os-services:delete"))
def delete(ctx: Context, service_id: str) -> None:
    """Forget a host that has no servers; an agent that is still there brings it back."""
    found = _find(ctx, service_id)
    host = found.node.host
    servers = table("servers", column("host"))
    if ctx.session.scalar(select(servers.c.host).where(servers.c.host == host).limit(1)):
        raise HasServers
    aggregates.forget_host(ctx.session, host)
    placement.remove(ctx.session, found.node.id)
    ctx.session.delete(found.node)
    ctx.session.delete(found.agent)
    bump(ctx.session, nodes.HOSTS_TOPIC)


def computes(session: Session, *conditions: ColumnElement[bool]) -> list[Compute]:
    """The hosts of servers, with their agents, in the order in which they came."""
    rows = session.execute(
        select(ComputeNodeRecord, AgentRecord)
        .join(AgentRecord, AgentRecord.host == ComputeNodeRecord.host)
        .where(AgentRecord.kind == "hypervisor", *conditions)
        .order_by(ComputeNodeRecord.number)
    )
    return [Compute(node, agent) for node, agent in rows]


def zones_of(session: Session) -> dict[str, str]:
    """The zone of each host that is in one of its own."""
    rows = session.execute(
        select(AggregateHostRecord.host, AggregateRecord.properties).join(
            AggregateRecord, AggregateRecord.id == AggregateHostRecord.aggregate_id
        )
    )
    return {row.host: row.properties[ZONE] for row in rows if ZONE in row.properties}


def state_of(agent: AgentRecord) -> str:
    """Whether an agent is there, as clients read it."""
    return "up" if agent.is_alive else "down"


def status_of(agent: AgentRecord) -> str:
    """Whether a host takes servers, as clients read it."""
    return "enabled" if agent.is_enabled else "disabled"


def control_host() -> str:
    """The host of what belongs to no host of servers: this one, whichever of several it is."""
    return platform.node()


def _update_named(ctx: Context, action: str, body: ServiceUpdate) -> Changed:
    """Change a service that the body names, as the path says."""
    if body.host is UNSET or body.binary is UNSET:
        raise BadRequest("Invalid input for field/attribute: 'host' and 'binary' are required")
    if action not in ("enable", "disable", "disable-log-reason", "force-down"):
        raise NoSuchAction
    found = named(ctx.session, body.host, body.binary)
    changed = Changed(host=body.host, binary=body.binary)
    if action == "force-down":
        if ctx.version < (2, 11):
            raise NoSuchAction
        if body.forced_down is UNSET:
            raise BadRequest("Missing forced_down field")
        changed.forced_down = flag(body.forced_down)
        _force_down(ctx, found, changed.forced_down)
        return changed
    reason = None
    if action == "disable-log-reason":
        if body.disabled_reason is UNSET:
            raise BadRequest("Missing disabled reason field")
        reason = changed.disabled_reason = body.disabled_reason
    enable(ctx, found, action == "enable", reason)
    changed.status = status_of(found.agent)
    return changed


def enable(ctx: Context, found: Compute, is_enabled: bool, reason: str | None) -> None:
    """Let a host take servers, or no more."""
    found.agent.is_enabled = is_enabled
    found.agent.disabled_reason = None if is_enabled else reason
    nodes.synchronise(ctx.session, found.node)
    _report(ctx, found)


def _force_down(ctx: Context, found: Compute, is_down: bool) -> None:
    found.agent.is_forced_down = is_down
    bump(ctx.session, nodes.HOSTS_TOPIC)
    _report(ctx, found)


def _report(ctx: Context, found: Compute) -> None:
    payload = {
        "host": found.node.host, "binary": COMPUTE, "disabled": not found.agent.is_enabled,
        "disabled_reason": found.agent.disabled_reason, "forced_down": found.agent.is_forced_down,
    }  # fmt: skip
    event.emit(ctx.session, "service.update", payload, None, found.node.service_id)


def _find(ctx: Context, service_id: str) -> Compute:
    """The service with this id: a number before 2.53."""
    if ctx.version < (2, 53):
        number = int(service_id) - len(CONTROL) if service_id.isdigit() else 0
        found = computes(ctx.session, ComputeNodeRecord.number == min(number, INTEGER_MAX))
    else:
        try:
            known = str(UUID(service_id))
        except ValueError:
            raise BadId(service_id=service_id[:80]) from None
        for _, own_id, binary in CONTROL:
            if known == own_id:
                raise OnlyCompute(binary=binary)
        found = computes(ctx.session, ComputeNodeRecord.service_id == known)
    if not found:
        raise ServiceNotFound(service_id=service_id[:80])
    return found[0]


def named(session: Session, host: str, binary: str = COMPUTE) -> Compute:
    """The service of a host."""
    found = computes(session, ComputeNodeRecord.host == host) if binary == COMPUTE else []
    if not found:
        raise BinaryNotFound(binary=binary[:80], host=host)
    return found[0]


def _control(ctx: Context, known: tuple[int, str, str]) -> ServiceView:
    number, service_id, binary = known
    return ServiceView(
        id=number if ctx.version < (2, 53) else service_id,
        binary=binary,
        host=control_host(),
        zone=INTERNAL,
        status="enabled",
        state="up",
        updated_at=precise(clock.now()),
        disabled_reason=None,
        forced_down=False,
    )


def _view(ctx: Context, found: Compute, zones: Mapping[str, str]) -> ServiceView:
    node, agent = found
    return ServiceView(
        id=node.number + len(CONTROL) if ctx.version < (2, 53) else node.service_id,
        binary=COMPUTE,
        host=node.host,
        zone=zones.get(node.host, DEFAULT_ZONE),
        status=status_of(agent),
        state=state_of(agent),
        updated_at=precise(agent.seen_at),
        disabled_reason=agent.disabled_reason,
        forced_down=agent.is_forced_down,
    )
