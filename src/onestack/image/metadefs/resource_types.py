"""Kinds of resources that namespaces are about."""

from typing import Annotated

from sqlalchemy import func, select

from onestack.core import clock
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import Conflict, NotFound
from onestack.core.shapes import Meta, Shape
from onestack.image.images.attributes import PRINTED
from onestack.image.images.view import iso
from onestack.image.metadefs import access
from onestack.image.metadefs.properties import Name
from onestack.image.metadefs.record import AssociationRecord, NamespaceRecord

api = Operations("metadata definitions")

PATH = "/v2/metadefs/namespaces/{namespace}/resource_types"
# Which clients ask for by these names.
KNOWN = (
    "OS::Cinder::Volume", "OS::Glance::Image", "OS::Nova::Aggregate", "OS::Nova::Flavor",
    "OS::Nova::Server", "OS::Trove::Instance",
)  # fmt: skip
KNOWN_SINCE = "2026-11-25T00:00:00Z"

Prefix = Annotated[str, Meta(max_length=80, pattern=PRINTED)]


class AssociatedAlready(Conflict):
    message = (
        "The metadata definition resource-type association of resource-type={name} to "
        "namespace={namespace} already exists."
    )


class NotAssociated(NotFound):
    message = (
        "The metadata definition resource-type association of resource-type={name} to "
        "namespace={namespace}, was not found."
    )


class AssociationBody(Shape):
    """A kind of resources, and how properties of the namespace are called on them."""

    name: Name
    prefix: Prefix | None = None
    properties_target: Prefix | None = None


class AssociationView(Shape):
    """A kind of resources that a namespace is about."""

    name: str
    prefix: str | None
    properties_target: str | None
    created_at: str
    updated_at: str


class Associations(Shape):
    """The kinds of resources that a namespace is about."""

    resource_type_associations: list[AssociationView]


class ResourceTypeView(Shape):
    """A kind of resources."""

    name: str
    created_at: str
    updated_at: str


class ResourceTypes(Shape):
    """All kinds of resources."""

    resource_types: list[ResourceTypeView]
    schema: str = "/v2/schemas/metadefs/resource_types"


@api.get("/v2/metadefs/resource_types", access.reading("list_metadef_resource_types"))
def index(ctx: Context) -> ResourceTypes:
    """List the kinds of resources that definitions can be about."""
    access.visible(ctx)
    found = select(
        AssociationRecord.name,
        func.min(AssociationRecord.created_at).label("created_at"),
        func.max(AssociationRecord.updated_at).label("updated_at"),
    ).group_by(AssociationRecord.name)
    moments = dict.fromkeys(KNOWN, (KNOWN_SINCE, KNOWN_SINCE))
    for row in ctx.session.execute(found):
        moments.setdefault(row.name, (iso(row.created_at), iso(row.updated_at)))
    return ResourceTypes(resource_types=[
        ResourceTypeView(name=name, created_at=created, updated_at=updated)
        for name, (created, updated) in sorted(moments.items())
    ])  # fmt: skip


@api.get(PATH, access.reading("get_metadef_resource_type"))
def associations(ctx: Context, namespace: str) -> Associations:
    """List the kinds of resources that a namespace is about."""
    return Associations(resource_type_associations=of(ctx, access.seen(ctx, namespace)))


@api.post(PATH, access.writing("add_metadef_resource_type_association"), status=201)
def associate(ctx: Context, namespace: str, body: AssociationBody) -> AssociationView:
    """Let a namespace be about a kind of resources."""
    owner = access.seen(ctx, namespace)
    if ctx.session.get(AssociationRecord, (owner.id, body.name)) is not None:
        raise AssociatedAlready(name=body.name, namespace=namespace)
    return view(add(ctx, owner, body))


@api.delete(f"{PATH}/{{name}}", access.writing("remove_metadef_resource_type_association"))
def dissociate(ctx: Context, namespace: str, name: str) -> None:
    """Let a namespace be about a kind of resources no more."""
    owner = access.seen(ctx, namespace)
    found = ctx.session.get(AssociationRecord, (owner.id, name))
    if found is None:
        raise NotAssociated(name=name[:80], namespace=namespace)
    ctx.session.delete(found)


def of(ctx: Context, owner: NamespaceRecord) -> list[AssociationView]:
    """The kinds of resources that a namespace is about."""
    wanted = select(AssociationRecord).where(AssociationRecord.namespace_id == owner.id)
    return [view(each) for each in ctx.session.scalars(wanted.order_by(AssociationRecord.name))]


def add(ctx: Context, owner: NamespaceRecord, body: AssociationBody) -> AssociationRecord:
    """Let a namespace, which is not yet, be about a kind of resources."""
    now = clock.now()
    record = AssociationRecord(
        namespace_id=owner.id, name=body.name, prefix=body.prefix,
        properties_target=body.properties_target, created_at=now, updated_at=now,
    )  # fmt: skip
    ctx.session.add(record)
    return record


def view(record: AssociationRecord) -> AssociationView:
    """A kind of resources that a namespace is about, as clients see it."""
    return AssociationView(
        name=record.name, prefix=record.prefix, properties_target=record.properties_target,
        created_at=iso(record.created_at), updated_at=iso(record.updated_at),
    )  # fmt: skip
