"""Objects that a namespace defines: properties that belong together."""

from typing import Any

from sqlalchemy import delete, select

from onestack.core import clock
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.shapes import Shape
from onestack.image.images.view import iso
from onestack.image.metadefs import access
from onestack.image.metadefs.properties import Definition, Name, Text, kept
from onestack.image.metadefs.record import NamespaceRecord, ObjectRecord

api = Operations("metadata definitions")

PATH = "/v2/metadefs/namespaces/{namespace}/objects"


class ObjectBody(Shape):
    """An object to define."""

    name: Name
    description: Text | None = None
    required: list[Name] = []
    properties: dict[Name, Definition] = {}


class ObjectView(Shape):
    """An object."""

    name: str
    description: str | None
    required: list[Any]
    properties: dict[str, Any]
    created_at: str
    updated_at: str
    self: str
    schema: str = "/v2/schemas/metadefs/object"


class Objects(Shape):
    """The objects of a namespace."""

    objects: list[ObjectView]
    first: str
    schema: str = "/v2/schemas/metadefs/objects"


@api.get(PATH, access.reading("get_metadef_objects"))
def index(ctx: Context, namespace: str) -> Objects:
    """List a namespace's objects."""
    owner = access.seen(ctx, namespace)
    return Objects(objects=of(ctx, owner), first=f"/v2/metadefs/namespaces/{namespace}/objects")


@api.post(PATH, access.writing("add_metadef_object"), status=201)
def create(ctx: Context, namespace: str, body: ObjectBody) -> ObjectView:
    """Define an object."""
    owner = access.seen(ctx, namespace)
    access.check_free(ctx, ObjectRecord, owner, body.name)
    return view(owner, add(ctx, owner, body))


@api.get(f"{PATH}/{{name}}", access.reading("get_metadef_object"))
def show(ctx: Context, namespace: str, name: str) -> ObjectView:
    """Show an object."""
    record = access.find(ctx, ObjectRecord, namespace, name)
    return view(access.seen(ctx, namespace), record)


@api.put(f"{PATH}/{{name}}", access.writing("modify_metadef_object"))
def update(ctx: Context, namespace: str, name: str, body: ObjectBody) -> ObjectView:
    """Define an object anew."""
    record, owner = access.find(ctx, ObjectRecord, namespace, name), access.seen(ctx, namespace)
    if body.name != name:
        access.check_free(ctx, ObjectRecord, owner, body.name)
    record.name, record.description = body.name, body.description
    record.required, record.properties = list(body.required), kept(dict(body.properties))
    record.updated_at = clock.now()
    return view(owner, record)


@api.delete(f"{PATH}/{{name}}", access.writing("delete_metadef_object"))
def remove(ctx: Context, namespace: str, name: str) -> None:
    """Delete an object."""
    ctx.session.delete(access.find(ctx, ObjectRecord, namespace, name))


@api.delete(PATH, access.writing("delete_metadef_namespace"))
def remove_all(ctx: Context, namespace: str) -> None:
    """Delete a namespace's objects."""
    owner = access.seen(ctx, namespace)
    ctx.session.execute(delete(ObjectRecord).where(ObjectRecord.namespace_id == owner.id))


def of(ctx: Context, owner: NamespaceRecord) -> list[ObjectView]:
    """The objects of a namespace."""
    wanted = select(ObjectRecord).where(ObjectRecord.namespace_id == owner.id)
    return [view(owner, each) for each in ctx.session.scalars(wanted.order_by(ObjectRecord.name))]


def add(ctx: Context, owner: NamespaceRecord, body: ObjectBody) -> ObjectRecord:
    """Define an object in a namespace that has none of its name."""
    now = clock.now()
    record = ObjectRecord(
        namespace_id=owner.id, name=body.name, description=body.description,
        required=list(body.required), properties=kept(dict(body.properties)), created_at=now,
        updated_at=now,
    )  # fmt: skip
    ctx.session.add(record)
    return record


def view(owner: NamespaceRecord, record: ObjectRecord) -> ObjectView:
    """An object as clients see it."""
    return ObjectView(
        name=record.name, description=record.description, required=record.required,
        properties=record.properties, created_at=iso(record.created_at),
        updated_at=iso(record.updated_at),
        self=f"/v2/metadefs/namespaces/{owner.namespace}/objects/{record.name}",
    )  # fmt: skip
