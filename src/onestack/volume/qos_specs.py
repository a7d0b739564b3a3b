"""QoS specs: what volumes of some types are promised, or limited to."""

import datetime as dt
from typing import Annotated, Any, Literal

import msgspec
from sqlalchemy import select
from sqlalchemy import update as change
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core import clock
from onestack.core.api import Operations, Raw
from onestack.core.context import Context
from onestack.core.db import Record
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.shapes import Extras, Id, Link, Name, Shape
from onestack.volume import listing, rules
from onestack.volume.listing import ListQuery, links
from onestack.volume.texts import MetadataKey, Text
from onestack.volume.types.record import TypeNotFound, VolumeTypeRecord
from onestack.volume.volumes.record import TOPIC, new_id

api = Operations("QoS specs")

PATH = "/v3/qos-specs/{specs_id}"


class QosSpecsRecord(Record):
    """A set of specs, and who acts on it: the front end, the back end or both."""

    __tablename__ = "volume_qos_specs"
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    consumer: Mapped[str]
    specs: Mapped[dict[str, Any]]
    created_at: Mapped[dt.datetime]


class SpecsNotFound(NotFound):
    message = "No such qos spec {specs_id}."


class SpecsExist(Conflict):
    message = "QoS Specs {name} already exists."


class SpecsInUse(BadRequest):
    message = "QoS Specs {specs_id} is still associated with entities."


class KeyNotFound(BadRequest):
    message = "QoS spec {specs_id} has no spec with key {key}."


class OtherSpecs(BadRequest):
    message = "Type {type_id} is already associated with another qos specs: {specs_id}"


class SpecsBody(Shape):
    """What they are called, who acts on them, and what they say."""

    name: Name
    consumer: Literal["front-end", "back-end", "both"] = "back-end"
    specs: Annotated[dict[MetadataKey, Text | int | None], Extras] = {}


class CreateBody(Shape):
    """The body of a creation."""

    qos_specs: dict[str, Any]


class SpecsUpdate(Shape):
    """What of them changes."""

    consumer: Literal["front-end", "back-end", "both"] | None = None
    specs: Annotated[dict[MetadataKey, Text | int | None], Extras] = {}


class KeysBody(Shape):
    """What they say no more."""

    keys: list[Name]


class SpecsView(Shape):
    """A set of specs."""

    id: str
    name: str
    consumer: str
    specs: dict[str, Any]


class SpecsAnswer(Shape):
    """One set of specs, and where it is."""

    qos_specs: SpecsView
    links: list[Link]


class Association(Shape):
    """A type that has the specs."""

    association_type: str
    name: str
    id: str


class DeleteQuery(Shape):
    """Whether types lose them."""

    force: bool = False


class TypeQuery(Shape):
    """Which type."""

    vol_type_id: Id


def _rule(verb: str) -> Any:
    return rules.rule(f"volume_extension:qos_specs_manage:{verb}", rules.ADMIN)


@api.get("/v3/qos-specs", _rule("get_all"), key="qos_specs")
def index(ctx: Context, query: ListQuery) -> list[SpecsView]:
    """List all sets of specs."""
    ctx.allow()
    statement = select(QosSpecsRecord.id, QosSpecsRecord)
    columns = {name: getattr(QosSpecsRecord, name) for name in ("id", "name", "created_at")}
    found = listing.find(ctx, statement, query, QosSpecsRecord.id, columns)
    return [_view(row.QosSpecsRecord) for row in found.rows]


@api.get(PATH, _rule("get"))
def show(ctx: Context, specs_id: str) -> SpecsAnswer:
    """Show a set of specs."""
    return _answer(ctx, _found(ctx, specs_id))


@api.post("/v3/qos-specs", _rule("create"))
def create(ctx: Context, body: CreateBody) -> SpecsAnswer:
    """Make a set of specs."""
    ctx.allow()
    given = _read(body.qos_specs)
    name = given.name.strip()
    taken = select(QosSpecsRecord.id).where(QosSpecsRecord.name == name)
    if ctx.session.scalar(taken) is not None:
        raise SpecsExist(name=name)
    record = QosSpecsRecord(
        id=new_id(), name=name, consumer=given.consumer, specs=_texts(given.specs),
        created_at=clock.now(),
    )  # fmt: skip
    ctx.session.add(record)
    return _answer(ctx, record)


@api.put(PATH, _rule("update"), key="qos_specs")
def update(ctx: Context, specs_id: str, body: SpecsUpdate) -> dict[str, Any]:
    """Say other things in a set of specs."""
    record = _found(ctx, specs_id)
    record.specs = {**record.specs, **_texts(body.specs)}
    if body.consumer is not None:
        record.consumer = body.consumer
    return {**_texts(body.specs), **({"consumer": body.consumer} if body.consumer else {})}


@api.put(f"{PATH}/delete_keys", _rule("delete"), status=202)
def delete_keys(ctx: Context, specs_id: str, body: KeysBody) -> None:
    """Say some things no more."""
    record = _found(ctx, specs_id)
    for key in body.keys:
        if key not in record.specs:
            raise KeyNotFound(specs_id=specs_id, key=key)
    record.specs = {name: text for name, text in record.specs.items() if name not in body.keys}


@api.delete(PATH, _rule("delete"), status=202)
def delete(ctx: Context, specs_id: str, query: DeleteQuery) -> None:
    """Delete a set of specs."""
    record = _found(ctx, specs_id)
    having = VolumeTypeRecord.qos_specs_id == specs_id
    if not query.force and ctx.session.scalars(select(VolumeTypeRecord).where(having)).first():
        raise SpecsInUse(specs_id=specs_id)
    ctx.session.execute(change(VolumeTypeRecord).where(having).values(qos_specs_id=None))
    ctx.session.delete(record)


@api.get(f"{PATH}/associations", _rule("get"), key="qos_associations")
def associations(ctx: Context, specs_id: str) -> list[Association]:
    """List the types that have a set of specs."""
    _found(ctx, specs_id)
    having = select(VolumeTypeRecord).where(VolumeTypeRecord.qos_specs_id == specs_id)
    return [
        Association(association_type="volume_type", name=each.name, id=each.id)
        for each in ctx.session.scalars(having.order_by(VolumeTypeRecord.name))
    ]


@api.get(f"{PATH}/associate", _rule("associate"), status=202, kept=False)
def associate(ctx: Context, specs_id: str, query: TypeQuery) -> Raw:
    """Give a type a set of specs."""
    ctx.writes = True
    _found(ctx, specs_id)
    kind = _type(ctx, query.vol_type_id)
    if kind.qos_specs_id not in (None, specs_id):
        raise OtherSpecs(type_id=kind.id, specs_id=kind.qos_specs_id)
    kind.qos_specs_id = specs_id
    return Raw(b"", status=202)


@api.get(f"{PATH}/disassociate", _rule("disassociate"), status=202, kept=False)
def disassociate(ctx: Context, specs_id: str, query: TypeQuery) -> Raw:
    """Take a set of specs from a type."""
    ctx.writes = True
    _found(ctx, specs_id)
    kind = _type(ctx, query.vol_type_id)
    if kind.qos_specs_id == specs_id:
        kind.qos_specs_id = None
    return Raw(b"", status=202)


@api.get(f"{PATH}/disassociate_all", _rule("disassociate_all"), status=202, kept=False)
def disassociate_all(ctx: Context, specs_id: str) -> Raw:
    """Take a set of specs from all types."""
    ctx.writes = True
    _found(ctx, specs_id)
    having = VolumeTypeRecord.qos_specs_id == specs_id
    ctx.session.execute(change(VolumeTypeRecord).where(having).values(qos_specs_id=None))
    return Raw(b"", status=202)


def _found(ctx: Context, specs_id: str) -> QosSpecsRecord:
    ctx.allow()
    found = ctx.session.get(QosSpecsRecord, specs_id)
    if found is None:
        raise SpecsNotFound(specs_id=specs_id[:64])
    return found


def _type(ctx: Context, type_id: str) -> VolumeTypeRecord:
    found = ctx.session.get(VolumeTypeRecord, type_id)
    if found is None:
        raise TypeNotFound(type_id=type_id[:64])
    return found


def _read(given: dict[str, Any]) -> SpecsBody:
    """What a new set says: what is neither its name nor its consumer is one of its specs."""
    own = {key: each for key, each in given.items() if key in ("name", "consumer")}
    specs = {key: each for key, each in given.items() if key not in own}
    try:
        return msgspec.convert({**own, "specs": specs}, SpecsBody)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid input: {error}") from None


def _texts(specs: dict[str, str | int | None]) -> dict[str, str]:
    return {name: str(value) for name, value in specs.items()}


def _view(record: QosSpecsRecord) -> SpecsView:
    return SpecsView(id=record.id, name=record.name, consumer=record.consumer, specs=record.specs)


def _answer(ctx: Context, record: QosSpecsRecord) -> SpecsAnswer:
    return SpecsAnswer(qos_specs=_view(record), links=links(ctx, "qos-specs", record.id))
