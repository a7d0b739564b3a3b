"""What the cloud says of itself: health, metrics, traces, and the documents of its APIs."""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from sqlalchemy.exc import DBAPIError

from onestack import __version__
from onestack.core import agents, drift, event, log, metrics, trace
from onestack.core.api import PUBLIC, Operations, Page, Raw, Reply, Service
from onestack.core.context import Context, Request
from onestack.core.db import Database
from onestack.core.errors import ApiError, BadRequest, NotFound
from onestack.core.policy import Rule
from onestack.core.shapes import Meta, Shape, Short, iso

api = Operations("cloud")

DOCUMENTS_KEPT = 8
ADMIN = Rule("onestack:observe", "role:admin")


class Services:
    """The services that answer in this process."""

    def __init__(self, services: Sequence[Service]) -> None:
        self.all = list(services)
        self.document = lru_cache(DOCUMENTS_KEPT)(self._document)

    def _document(self, name: str, version: str | None) -> bytes:
        """A service's OpenAPI document; making one takes as long as many requests."""
        for each in self.all:
            if each.name == name:
                try:
                    return msgspec.json.encode(each.openapi(version))
                except ValueError as error:
                    raise BadRequest(f"{error}.") from None
        raise NotFound


class PlainStyle:
    """Answers without a history to respect."""

    def error(self, error: ApiError, _request: Request) -> dict[str, Any]:
        return {"error": {"code": error.status, "title": error.title, "message": error.text}}

    def page(self, key: str, page: Page[Any], _request: Request) -> dict[str, Any]:
        return {key: page.items}


class ServiceState(Shape):
    """A service, and where it answers."""

    name: str
    type: str
    path: str
    version: str


class DriverView(Shape):
    """What does one kind of work on how many hosts that are alive."""

    kind: str
    driver: str
    hosts: int


class CloudView(Shape):
    """The cloud: its version, its services, and what works for them."""

    version: str
    services: list[ServiceState]
    drivers: list[DriverView]


class Health(Shape):
    """Whether the cloud can do its work."""

    status: str
    services: dict[str, str]


class SpanView(Shape):
    """One thing done within a trace."""

    kind: str
    name: str
    depth: int
    start_s: float
    duration_s: float | None
    error: str | None


class TraceView(Shape):
    """What one request, or one step of a flow, did."""

    request_id: str
    trace_id: str
    parent_span_id: str | None
    began_at: float
    dropped: int
    spans: list[SpanView]


class TraceNotFound(NotFound):
    message = "No trace of {name} is kept: only the newest ones are."


@api.get("/", PUBLIC)
def root(ctx: Context) -> CloudView:
    """List the services of this cloud, and its drivers: what is simulated says so."""
    states = [
        ServiceState(name=each.name, type=each.type, path=each.root, version=each.version)
        for each in ctx.cloud.get(Services).all
        if each.root
    ]
    alive = [each for each in agents.known(ctx.session) if each.is_alive]
    counted = Counter((each.kind, each.driver) for each in alive)
    drivers = [
        DriverView(kind=kind, driver=driver, hosts=hosts)
        for (kind, driver), hosts in sorted(counted.items())
    ]
    return CloudView(version=__version__, services=states, drivers=drivers)


@api.get("/healthz", PUBLIC)
def health(ctx: Context) -> Health | Reply:
    """Tell whether the database answers."""
    names = [each.name for each in ctx.cloud.get(Services).all if each.root]
    try:
        ctx.cloud.get(Database).ping()
    except DBAPIError as error:
        log.warning("the database does not answer", text=str(error.orig)[:500])
        ailing = Health(status="unavailable", services=dict.fromkeys(names, "no database"))
        return Reply(ailing, status=503, headers={"Retry-After": "1"})
    return Health(status="ok", services=dict.fromkeys(names, "ok"))


@api.get("/metrics", PUBLIC)
def measured(_ctx: Context) -> Raw:
    """Show the metrics, for Prometheus."""
    return Raw(metrics.exposition(), content_type="text/plain; version=0.0.4; charset=utf-8")


@api.get("/openapi/{service}", PUBLIC)
def document(ctx: Context, service: str, query: "DocumentQuery") -> Raw:
    """Show a service's OpenAPI document, at a microversion or the newest."""
    return Raw(ctx.cloud.get(Services).document(service, query.version))


class DocumentQuery(Shape):
    """Of which microversion."""

    version: str | None = None


@api.get("/onestack/v1/traces/{name}", ADMIN, key="traces")
def traces(_ctx: Context, name: str) -> list[TraceView]:
    """Show what is known of a request, or of a resource."""
    found = trace.find(name)
    if not found:
        raise TraceNotFound(name=name[:80])
    return [_view(each) for each in found]


@api.get("/onestack/v1/drift", ADMIN, key="disagreements", threaded=True)
def disagreements(ctx: Context) -> list[drift.Disagreement]:
    """Ask every host what it has, and list what is not as it should be."""
    ctx.release()
    return drift.found(ctx.cloud)


class EventsQuery(Shape):
    """Which events: behind a position, or the newest ones; of one resource, or of all."""

    after: Annotated[int, Meta(ge=0)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    resource: Short | None = None


class EventView(Shape):
    """Something that happened."""

    position: int
    name: str
    resource: str | None
    project_id: str | None
    request_id: str | None
    emitted_at: str | None
    payload: dict[str, Any]


@api.get("/onestack/v1/events", ADMIN, key="events", kept=False)
def events(ctx: Context, query: EventsQuery) -> list[EventView]:
    """List what happened, oldest first."""
    found = event.history(ctx.session, query.after, query.limit, query.resource)
    return [
        EventView(
            position=each.position, name=each.name, resource=each.resource,
            project_id=each.project_id, request_id=each.request_id,
            emitted_at=iso(each.emitted_at), payload=each.payload,
        )
        for each in found
    ]  # fmt: skip


def _view(kept: trace.Trace) -> TraceView:
    start = kept.spans[0].start if kept.spans else 0.0
    spans = [
        SpanView(
            kind=span.kind,
            name=span.name,
            depth=span.depth,
            start_s=span.start - start,
            duration_s=span.duration_s,
            error=span.error,
        )
        for span in kept.spans
    ]
    return TraceView(
        request_id=kept.request_id,
        trace_id=kept.trace_id,
        parent_span_id=kept.origin.span_id if kept.origin is not None else None,
        began_at=kept.began_at,
        dropped=kept.dropped,
        spans=spans,
    )


SERVICE = Service(
    name="onestack",
    type="onestack",
    title="onestack",
    root="",
    version=__version__,
    style=PlainStyle(),
    nouns=(api,),
)
