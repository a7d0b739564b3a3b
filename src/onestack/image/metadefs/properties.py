"""Properties that a namespace defines: each is a small JSON Schema."""

from typing import Annotated, Any, Literal

import msgspec
from sqlalchemy import delete, select

from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import UNSET, Meta, Shape, UnsetType, field
from onestack.image.images.attributes import PRINTED
from onestack.image.metadefs import access
from onestack.image.metadefs.record import AssociationRecord, PropertyRecord

api = Operations("metadata definitions")

PATH = "/v2/metadefs/namespaces/{namespace}/properties"
NAME_MAX = 80

Name = Annotated[str, Meta(min_length=1, max_length=NAME_MAX, pattern=PRINTED)]
Text = Annotated[str, Meta(max_length=500)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Kind = Literal["array", "boolean", "integer", "number", "object", "string"]


class Definition(Shape, kw_only=True, forbid_unknown_fields=True):
    """What a property may be."""

    title: str
    type: Kind | None
    description: str | UnsetType = UNSET
    operators: list[str] | UnsetType = UNSET
    required: list[str] | UnsetType = UNSET
    default: Any = UNSET
    enum: list[Any] | UnsetType = UNSET
    minimum: float | int | UnsetType = UNSET
    maximum: float | int | UnsetType = UNSET
    min_length: Count | UnsetType = field(default=UNSET, name="minLength")
    max_length: Count | UnsetType = field(default=UNSET, name="maxLength")
    pattern: str | UnsetType = UNSET
    items: dict[str, Any] | UnsetType = UNSET
    min_items: Count | UnsetType = field(default=UNSET, name="minItems")
    max_items: Count | UnsetType = field(default=UNSET, name="maxItems")
    unique_items: bool | UnsetType = field(default=UNSET, name="uniqueItems")
    additional_items: bool | UnsetType = field(default=UNSET, name="additionalItems")
    readonly: bool | UnsetType = UNSET


class Property(Definition, kw_only=True, forbid_unknown_fields=True):
    """A definition and its name."""

    name: Name


class PropertyQuery(Shape):
    """The kind of resources whose prefix the name has."""

    resource_type: str | None = None


class Properties(Shape):
    """The properties of a namespace, by their names."""

    properties: dict[str, Definition]


@api.get(PATH, access.reading("get_metadef_properties"))
def index(ctx: Context, namespace: str) -> Properties:
    """List a namespace's properties."""
    return Properties(properties=of(ctx, access.seen(ctx, namespace).id))


@api.post(PATH, access.writing("add_metadef_property"), status=201)
def create(ctx: Context, namespace: str, body: Property) -> Property:
    """Define a property."""
    owner = access.seen(ctx, namespace)
    access.check_free(ctx, PropertyRecord, owner, body.name)
    record = PropertyRecord(namespace_id=owner.id, name=body.name, definition=_kept(body))
    ctx.session.add(record)
    return view(record)


@api.get(f"{PATH}/{{name}}", access.reading("get_metadef_property"))
def show(ctx: Context, namespace: str, name: str, query: PropertyQuery) -> Property:
    """Show a property."""
    prefix = _prefix(ctx, namespace, query.resource_type)
    if not name.startswith(prefix):
        prefix = ""
    record = access.find(ctx, PropertyRecord, namespace, name.removeprefix(prefix))
    return view(record, prefix)


@api.put(f"{PATH}/{{name}}", access.writing("modify_metadef_property"))
def update(ctx: Context, namespace: str, name: str, body: Property) -> Property:
    """Define a property anew."""
    record = access.find(ctx, PropertyRecord, namespace, name)
    if body.name != name:
        access.check_free(ctx, PropertyRecord, access.seen(ctx, namespace), body.name)
    record.name, record.definition = body.name, _kept(body)
    return view(record)


@api.delete(f"{PATH}/{{name}}", access.writing("remove_metadef_property"))
def remove(ctx: Context, namespace: str, name: str) -> None:
    """Delete a property."""
    ctx.session.delete(access.find(ctx, PropertyRecord, namespace, name))


@api.delete(PATH, access.writing("delete_metadef_namespace"))
def remove_all(ctx: Context, namespace: str) -> None:
    """Delete a namespace's properties."""
    owner = access.seen(ctx, namespace)
    ctx.session.execute(delete(PropertyRecord).where(PropertyRecord.namespace_id == owner.id))


def of(ctx: Context, namespace_id: str, prefix: str = "") -> dict[str, Definition]:
    """The properties of a namespace."""
    wanted = select(PropertyRecord).where(PropertyRecord.namespace_id == namespace_id)
    rows = ctx.session.scalars(wanted.order_by(PropertyRecord.name))
    return {f"{prefix}{each.name}": msgspec.convert(each.definition, Definition) for each in rows}


def add(ctx: Context, namespace_id: str, given: dict[str, Definition]) -> None:
    """Define properties in a namespace that has none."""
    for name, each in given.items():
        if not 1 <= len(name) <= NAME_MAX or not name.isprintable():
            raise BadRequest("The name of a property has 1 to 80 printable characters.")
        ctx.session.add(PropertyRecord(namespace_id=namespace_id, name=name, definition=kept(each)))


def kept(body: Shape | dict[str, Any]) -> dict[str, Any]:
    """A JSON document as a row keeps it."""
    if b"\\u0000" in msgspec.json.encode(body):  # which no database takes
        raise BadRequest("Text may not hold the character U+0000.")
    found: dict[str, Any] = msgspec.to_builtins(body)
    return found


def view(record: PropertyRecord, prefix: str = "") -> Property:
    """A property as clients see it."""
    return msgspec.convert({**record.definition, "name": f"{prefix}{record.name}"}, Property)


def _kept(body: Property) -> dict[str, Any]:
    return {name: value for name, value in kept(body).items() if name != "name"}


def _prefix(ctx: Context, namespace: str, resource_type: str | None) -> str:
    if resource_type is None:
        return ""
    owner = access.seen(ctx, namespace)
    found = ctx.session.get(AssociationRecord, (owner.id, resource_type))
    return (found.prefix or "") if found is not None else ""
