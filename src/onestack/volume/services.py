"""The parts of the volume service: its backends, and who gives them work."""

from onestack.core import agents, clock
from onestack.core.agents import AgentRecord
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest, NotFound
from onestack.core.moments import precise
from onestack.core.shapes import UNSET, Name, Shape, Short, UnsetType
from onestack.volume import rules
from onestack.volume.places import KIND, ZONE

api = Operations("services")

PATH = "/v3/os-services"
INDEX = rules.rule("volume_extension:services:index", rules.ADMIN)
UPDATE = rules.rule("volume_extension:services:update", rules.ADMIN)
BACKEND = "cinder-volume"
FROZEN = "frozen"  # why a backend that is frozen has no new volumes
# What schedules is the control plane, which is up when it answers.
SCHEDULER, SCHEDULER_HOST = "cinder-scheduler", "control"


class UnknownService(BadRequest):
    message = "Invalid input received: Service {binary} could not be found on host {host}."


class ServiceQuery(Shape):
    """Which services to list."""

    host: str | None = None
    binary: str | None = None
    service: str | None = None


class ServiceView(Shape):
    """One backend."""

    binary: str
    host: str
    zone: str
    status: str
    state: str
    updated_at: str | None
    disabled_reason: str | None
    replication_status: str
    active_backend_id: None
    frozen: bool


class ServiceBody(Shape):
    """Which backend."""

    host: Name
    binary: Name | None = None
    service: Name | None = None
    disabled_reason: Short | None = None


class HostBody(Shape):
    """Which backend's host."""

    host: Name


class Changed(Shape):
    """What became of it."""

    host: str
    service: str
    binary: str
    disabled: bool
    status: str
    disabled_reason: str | UnsetType = UNSET


@api.get(PATH, INDEX, key="services", kept=False)
def index(ctx: Context, query: ServiceQuery) -> list[ServiceView]:
    """List the backends, and whether they are heard of."""
    ctx.allow()
    found = [_scheduler(), *map(_view, agents.of_kind(ctx.session, KIND))]
    binary = query.binary or query.service
    return [
        each
        for each in found
        if binary in (None, each.binary) and (query.host is None or _is_on(each, query.host))
    ]


@api.put(f"{PATH}/enable", UPDATE)
def enable(ctx: Context, body: ServiceBody) -> Changed:
    """Let a backend have new volumes again."""
    agent = _agent(ctx, body)
    agent.is_enabled, agent.disabled_reason = True, None
    return _changed(body, agent)


@api.put(f"{PATH}/disable", UPDATE)
def disable(ctx: Context, body: ServiceBody) -> Changed:
    """Let a backend have no new volumes."""
    agent = _agent(ctx, body)
    agent.is_enabled, agent.disabled_reason = False, None
    return _changed(body, agent)


@api.put(f"{PATH}/disable-log-reason", UPDATE)
def disable_for(ctx: Context, body: ServiceBody) -> Changed:
    """Let a backend have no new volumes, and say why."""
    if not (body.disabled_reason or "").strip():
        raise BadRequest("Disabled reason contains invalid characters or is too long")
    agent = _agent(ctx, body)
    agent.is_enabled, agent.disabled_reason = False, body.disabled_reason
    return _changed(body, agent)


@api.put(f"{PATH}/freeze", rules.rule("volume:freeze_host", rules.ADMIN), status=202)
def freeze(ctx: Context, body: HostBody) -> None:
    """Let a backend have no new volumes, because it is frozen."""
    agent = _named(ctx, body)
    agent.is_enabled, agent.disabled_reason = False, FROZEN


@api.put(f"{PATH}/thaw", rules.rule("volume:thaw_host", rules.ADMIN), status=202)
def thaw(ctx: Context, body: HostBody) -> None:
    """Let a backend that was frozen have new volumes again."""
    agent = _named(ctx, body)
    agent.is_enabled, agent.disabled_reason = True, None


def _named(ctx: Context, body: HostBody) -> AgentRecord:
    try:
        return _agent(ctx, ServiceBody(host=body.host))
    except NotFound:
        raise UnknownService(binary=BACKEND, host=body.host) from None


def _agent(ctx: Context, body: ServiceBody) -> AgentRecord:
    ctx.allow()
    host = body.host.partition("@")[0]
    if (body.binary or body.service) not in (None, BACKEND):
        raise NotFound(f"Service {body.binary or body.service} could not be found on {host}.")
    return agents.of_host(ctx.session, host, KIND)


def _view(agent: AgentRecord) -> ServiceView:
    return ServiceView(
        binary=BACKEND,
        host=f"{agent.host}@{agent.driver}",
        zone=ZONE,
        status="enabled" if agent.is_enabled else "disabled",
        state="up" if agent.is_alive else "down",
        updated_at=precise(agent.seen_at),
        disabled_reason=agent.disabled_reason,
        replication_status="disabled",
        active_backend_id=None,
        frozen=agent.disabled_reason == FROZEN,
    )


def _scheduler() -> ServiceView:
    return ServiceView(
        binary=SCHEDULER, host=SCHEDULER_HOST, zone=ZONE, status="enabled", state="up",
        updated_at=precise(clock.now()), disabled_reason=None, replication_status="disabled",
        active_backend_id=None, frozen=False,
    )  # fmt: skip


def _is_on(service: ServiceView, host: str) -> bool:
    return host in (service.host, service.host.partition("@")[0])


def _changed(body: ServiceBody, agent: AgentRecord) -> Changed:
    return Changed(
        host=body.host,
        service=BACKEND,
        binary=BACKEND,
        disabled=not agent.is_enabled,
        status="enabled" if agent.is_enabled else "disabled",
        disabled_reason=agent.disabled_reason or UNSET,
    )
