"""Aggregates: hosts that have something in common, and availability zones."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import ForeignKey, column, select, table
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.compute import nodes, rules
from onestack.compute.lenient import INTEGER_MAX, Name
from onestack.core import clock, event
from onestack.core.api import Operations, Page, Raw
from onestack.core.context import Context
from onestack.core.db import Record, bump
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.moments import precise
from onestack.core.shapes import UNSET, Meta, Shape, UnsetType, since

api = Operations("aggregates")

ZONE = "availability_zone"  # the one property of an aggregate that tenants see
NO_COLON = r"^(?!\s)[^:\x00-\x1f\x7f]*(?<!\s)$"

Zone = Annotated[str, Meta(min_length=1, max_length=255, pattern=NO_COLON)]
Key = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-_:. ]{1,255}$")]
Value = Annotated[str, Meta(max_length=255)]
Host = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-._]*$")]


class AggregateRecord(Record):
    """A group of hosts, with what is said of them."""

    __tablename__ = "aggregates"
    topic = "compute"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(unique=True)
    properties: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime | None]


class AggregateHostRecord(Record):
    """A host is in an aggregate."""

    __tablename__ = "aggregate_hosts"
    topic = "compute"

    aggregate_id: Mapped[int] = mapped_column(
        ForeignKey("aggregates.id", ondelete="CASCADE"), primary_key=True
    )
    host: Mapped[str] = mapped_column(primary_key=True, index=True)


class AggregateNotFound(NotFound):
    message = "Aggregate {aggregate_id} could not be found."


class BadId(BadRequest):
    message = "The parameter id must be an integer, not {aggregate_id}."


class AggregateExists(Conflict):
    message = "Aggregate {name} already exists."


class HasHosts(BadRequest):
    message = "Cannot delete aggregate {aggregate_id}. Reason: Host aggregate is not empty."


class HostPresent(Conflict):
    message = "Aggregate {aggregate_id} already has host {host}."


class HostAbsent(NotFound):
    message = "Cannot remove host {host} in aggregate {aggregate_id}: it is not there"


class InOtherZone(Conflict):
    message = (
        "Cannot {verb} aggregate {aggregate_id}. Reason: One or more hosts already in availability "
        "zone(s) {zones}."
    )


class ZoneInUse(Conflict):
    message = (
        "Cannot {verb} aggregate {aggregate_id}. Reason: One or more hosts contain instances in "
        "this zone"
    )


class AggregateCreate(Shape, forbid_unknown_fields=True):
    """An aggregate to make."""

    name: Name
    availability_zone: Zone | None = None


class AggregateUpdate(Shape, forbid_unknown_fields=True):
    """What to change of an aggregate."""

    name: Name | UnsetType = UNSET
    availability_zone: Zone | UnsetType | None = UNSET


class HostBody(Shape, forbid_unknown_fields=True):
    """A host, by its name."""

    host: Host


class MetadataBody(Shape, forbid_unknown_fields=True):
    """What shall be said of an aggregate; null takes it back."""

    metadata: dict[Key, Value | None]


class AggregateView(Shape):
    """An aggregate."""

    id: int
    name: str
    availability_zone: str | None
    created_at: str
    updated_at: str | None
    uuid: Annotated[str, since("2.41")]
    deleted: bool = False
    deleted_at: str | None = None
    hosts: list[str] | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET


_SERVERS = table("servers", column("host"), column("pinned_zone"))


@api.get("/v2.1/os-aggregates", rules.rule("os-aggregates:index"), key="aggregates")
def index(ctx: Context) -> Page[AggregateView]:
    """List aggregates."""
    records = ctx.session.scalars(select(AggregateRecord).order_by(AggregateRecord.id)).all()
    hosts: dict[int, list[str]] = {}
    for row in ctx.session.scalars(select(AggregateHostRecord).order_by(AggregateHostRecord.host)):
        hosts.setdefault(row.aggregate_id, []).append(row.host)
    return Page([_view(each, hosts.get(each.id, [])) for each in records])


@api.post("/v2.1/os-aggregates", rules.rule("os-aggregates:create"), key="aggregate")
def create(ctx: Context, body: AggregateCreate) -> AggregateView:
    """Make an aggregate, which is an availability zone if it is given one's name."""
    _check_name(ctx.session, body.name)
    record = AggregateRecord(
        uuid=str(UUID(clock.new_id())),
        name=body.name,
        properties={ZONE: body.availability_zone} if body.availability_zone else {},
        created_at=clock.now(),
    )
    ctx.session.add(record)
    _changed(ctx, "create", record)
    made = _view(record, [])
    made.hosts = made.metadata = UNSET
    return made


@api.get("/v2.1/os-aggregates/{aggregate_id}", rules.rule("os-aggregates:show"), key="aggregate")
def show(ctx: Context, aggregate_id: str) -> AggregateView:
    """Show an aggregate."""
    return _shown(ctx, _find(ctx.session, aggregate_id))


@api.put("/v2.1/os-aggregates/{aggregate_id}", rules.rule("os-aggregates:update"), key="aggregate")
def update(ctx: Context, aggregate_id: str, body: AggregateUpdate) -> AggregateView:
    """Change an aggregate's name, or the zone that it is."""
    record = _find(ctx.session, aggregate_id)
    if body.name is UNSET and body.availability_zone is UNSET:
        raise BadRequest("Invalid input for field/attribute aggregate: it does not say anything")
    if body.name is not UNSET and body.name != record.name:
        _check_name(ctx.session, body.name)
        record.name = body.name
    if body.availability_zone is not UNSET:
        _say(ctx.session, record, {ZONE: body.availability_zone}, "update")
    record.updated_at = clock.now()
    _changed(ctx, "update", record)
    return _shown(ctx, record)


@api.delete("/v2.1/os-aggregates/{aggregate_id}", rules.rule("os-aggregates:delete"), status=200)
def delete(ctx: Context, aggregate_id: str) -> Raw:
    """Delete an aggregate that has no hosts."""
    record = _find(ctx.session, aggregate_id)
    if hosts_of(ctx.session, record.id):
        raise HasHosts(aggregate_id=record.id)
    ctx.session.delete(record)
    _changed(ctx, "delete", record)
    return Raw(b"")


@api.post(
    "/v2.1/os-aggregates/{aggregate_id}/action",
    rules.rule("os-aggregates:add_host"),
    action="add_host",
    key="aggregate",
)
def add_host(ctx: Context, aggregate_id: str, body: HostBody) -> AggregateView:
    """Put a host into an aggregate; it is in one zone at most."""
    record = _find(ctx.session, aggregate_id)
    node = nodes.find(ctx.session, body.host)
    if body.host in hosts_of(ctx.session, record.id):
        raise HostPresent(aggregate_id=record.id, host=body.host)
    zone = record.properties.get(ZONE)
    if zone is not None:
        _check_zone(ctx.session, record, zone, [body.host], "add host to")
        _check_pinned(ctx.session, record, zone, [body.host], "add host to")
    ctx.session.add(AggregateHostRecord(aggregate_id=record.id, host=body.host))
    record.updated_at = clock.now()
    _changed(ctx, "addhost", record)
    nodes.synchronise(ctx.session, node, _uuids(ctx.session, body.host))
    return _shown(ctx, record)


@api.post(
    "/v2.1/os-aggregates/{aggregate_id}/action",
    rules.rule("os-aggregates:remove_host"),
    action="remove_host",
    key="aggregate",
)
def remove_host(ctx: Context, aggregate_id: str, body: HostBody) -> AggregateView:
    """Take a host out of an aggregate."""
    record = _find(ctx.session, aggregate_id)
    member = ctx.session.get(AggregateHostRecord, (record.id, body.host))
    if member is None:
        raise HostAbsent(aggregate_id=record.id, host=body.host)
    if ZONE in record.properties:
        _check_pinned(ctx.session, record, nodes.DEFAULT_ZONE, [body.host], "remove host from")
    ctx.session.delete(member)
    record.updated_at = clock.now()
    _changed(ctx, "removehost", record)
    node = nodes.find(ctx.session, body.host)
    nodes.synchronise(ctx.session, node, _uuids(ctx.session, body.host))
    return _shown(ctx, record)


@api.post(
    "/v2.1/os-aggregates/{aggregate_id}/action",
    rules.rule("os-aggregates:set_metadata"),
    action="set_metadata",
    key="aggregate",
)
def set_metadata(ctx: Context, aggregate_id: str, body: MetadataBody) -> AggregateView:
    """Say something of an aggregate's hosts, or take it back."""
    record = _find(ctx.session, aggregate_id)
    _say(ctx.session, record, body.metadata, "update")
    record.updated_at = clock.now()
    _changed(ctx, "updatemetadata", record)
    return _shown(ctx, record)


def hosts_of(session: Session, aggregate_id: int) -> list[str]:
    """The hosts in an aggregate."""
    wanted = select(AggregateHostRecord.host).where(
        AggregateHostRecord.aggregate_id == aggregate_id
    )
    return list(session.scalars(wanted.order_by(AggregateHostRecord.host)))


def forget_host(session: Session, host: str) -> None:
    """Take a host that is no more out of every aggregate."""
    for each in session.scalars(
        select(AggregateHostRecord).where(AggregateHostRecord.host == host)
    ):
        session.delete(each)


def _uuids(session: Session, host: str) -> list[str]:
    """The aggregates that a host is in, as placement knows them."""
    wanted = select(AggregateRecord.uuid).join(
        AggregateHostRecord, AggregateHostRecord.aggregate_id == AggregateRecord.id
    )
    return list(session.scalars(wanted.where(AggregateHostRecord.host == host)))


def _find(session: Session, aggregate_id: str) -> AggregateRecord:
    if not (aggregate_id.isascii() and aggregate_id.removeprefix("-").isdigit()):
        raise BadId(aggregate_id=aggregate_id[:80])
    number = int(aggregate_id[:20])
    record = session.get(AggregateRecord, number) if 0 < number <= INTEGER_MAX else None
    if record is None:
        raise AggregateNotFound(aggregate_id=aggregate_id[:20])
    return record


def _check_name(session: Session, name: str) -> None:
    if session.scalar(select(AggregateRecord.id).where(AggregateRecord.name == name)) is not None:
        raise AggregateExists(name=name)


def _say(
    session: Session, record: AggregateRecord, said: Mapping[str, str | None], verb: str
) -> None:
    """Change what is said of an aggregate, unless its hosts' servers or zones are against it."""
    if ZONE in said and said[ZONE] != record.properties.get(ZONE):
        hosts = hosts_of(session, record.id)
        if said[ZONE] is not None:
            _check_zone(session, record, str(said[ZONE]), hosts, verb)
        zone = str(said[ZONE] or nodes.DEFAULT_ZONE)
        _check_pinned(session, record, zone, hosts, verb)
    changed = {**record.properties, **said}
    record.properties = {name: value for name, value in changed.items() if value is not None}


def _check_zone(
    session: Session, record: AggregateRecord, zone: str, hosts: list[str], verb: str
) -> None:
    """Refuse to let a host be in two zones."""
    rows = session.scalars(
        select(AggregateRecord)
        .join(AggregateHostRecord, AggregateHostRecord.aggregate_id == AggregateRecord.id)
        .where(AggregateHostRecord.host.in_(hosts), AggregateRecord.id != record.id)
    )
    others = {str(each.properties[ZONE]) for each in rows if ZONE in each.properties} - {zone}
    if others:
        raise InOtherZone(verb=verb, aggregate_id=record.id, zones=sorted(others))


def _check_pinned(
    session: Session, record: AggregateRecord, zone: str, hosts: list[str], verb: str
) -> None:
    """Refuse to move servers out of the zone that they were asked to be in."""
    pinned = select(_SERVERS.c.host).where(
        _SERVERS.c.host.in_(hosts), _SERVERS.c.pinned_zone.not_in((zone,))
    )
    if session.scalar(pinned.limit(1)) is not None:
        raise ZoneInUse(verb=verb, aggregate_id=record.id)


def _changed(ctx: Context, what: str, record: AggregateRecord) -> None:
    ctx.session.flush()
    bump(ctx.session, nodes.HOSTS_TOPIC)
    payload = {"aggregate_id": record.id, "uuid": record.uuid, "name": record.name}
    event.emit(ctx.session, f"aggregate.{what}", payload, None, record.uuid)


def _shown(ctx: Context, record: AggregateRecord) -> AggregateView:
    return _view(record, hosts_of(ctx.session, record.id))


def _view(record: AggregateRecord, hosts: list[str]) -> AggregateView:
    return AggregateView(
        id=record.id,
        name=record.name,
        availability_zone=record.properties.get(ZONE),
        created_at=precise(record.created_at),
        updated_at=precise(record.updated_at),
        uuid=record.uuid,
        hosts=hosts,
        metadata=dict(record.properties),
    )
