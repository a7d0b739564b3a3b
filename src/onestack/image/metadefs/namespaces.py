"""Namespaces of definitions: each with everything that it defines."""

from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError

from onestack.core import clock
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Forbidden
from onestack.core.paging import after, sorted_by
from onestack.core.shapes import UNSET, Meta, Shape, UnsetType
from onestack.image.images.attributes import PRINTED, Printed
from onestack.image.images.view import iso
from onestack.image.metadefs import access, objects, properties, resource_types, tags
from onestack.image.metadefs.objects import ObjectBody, ObjectView
from onestack.image.metadefs.properties import Definition, Name, Text
from onestack.image.metadefs.record import AssociationRecord, NamespaceExists, NamespaceRecord
from onestack.image.metadefs.resource_types import AssociationBody, AssociationView
from onestack.image.metadefs.tags import TagBody

api = Operations("metadata definitions")

PATH = "/v2/metadefs/namespaces"
PAGE_DEFAULT, PAGE_MAX = 25, 1000

Visibility = Literal["public", "private"]


class Protected(Forbidden):
    message = "Metadata definition namespace {namespace} is protected and cannot be deleted."


class BadMarker(BadRequest):
    message = "Marker {marker} could not be found."


class NamespaceBody(Shape):
    """A namespace, and all that it defines."""

    namespace: Name
    display_name: Annotated[str, Meta(max_length=80, pattern=PRINTED)] | None = None
    description: Text | None = None
    visibility: Visibility = "private"
    protected: bool = False
    owner: Printed | UnsetType = UNSET
    properties: dict[str, Definition] = {}
    objects: list[ObjectBody] = []
    tags: list[TagBody] = []
    resource_type_associations: list[AssociationBody] = []


class ListQuery(Shape):
    """Which namespaces to list."""

    limit: Annotated[int, Meta(ge=0)] | None = None
    marker: str | None = None
    sort_key: Literal["created_at", "updated_at", "namespace"] = "created_at"
    sort_dir: Literal["asc", "desc"] = "desc"
    visibility: Visibility | None = None
    resource_types: str | None = None


class ShowQuery(Shape):
    """The kind of resources whose prefix the properties get."""

    resource_type: str | None = None


class NamespaceView(Shape):
    """A namespace; shown alone, with all that it defines."""

    namespace: str
    display_name: str | None
    description: str | None
    visibility: str
    protected: bool
    owner: str | None
    created_at: str
    updated_at: str
    self: str
    schema: str = "/v2/schemas/metadefs/namespace"
    resource_type_associations: list[AssociationView] | UnsetType = UNSET
    properties: dict[str, Definition] | UnsetType = UNSET
    objects: list[ObjectView] | UnsetType = UNSET
    tags: list[TagBody] | UnsetType = UNSET


class Namespaces(Shape):
    """A page of namespaces."""

    namespaces: list[NamespaceView]
    first: str
    next: str | UnsetType = UNSET
    schema: str = "/v2/schemas/metadefs/namespaces"


@api.get(PATH, access.reading("get_metadef_namespaces"))
def index(ctx: Context, query: ListQuery) -> Namespaces:
    """List namespaces."""
    limit = PAGE_DEFAULT if query.limit is None else min(query.limit, PAGE_MAX)
    rows = list(ctx.session.scalars(_page(ctx, query).limit(limit + 1))) if limit else []
    known = _associations(ctx, [each.id for each in rows])
    views = [view(each) for each in rows[:limit]]
    for record, shown in zip(rows, views, strict=False):
        shown.resource_type_associations = known.get(record.id, [])
    following = {**_given(query), "marker": views[-1].namespace} if len(rows) > limit else None
    return Namespaces(
        namespaces=views,
        first=_address(_given(query)),
        next=UNSET if following is None else _address(following),
    )


@api.post(PATH, access.writing("add_metadef_namespace"), status=201)
def create(ctx: Context, body: NamespaceBody) -> NamespaceView:
    """Make a namespace, and define what is in it."""
    owner = ctx.caller.project_id if body.owner is UNSET else body.owner
    ctx.allow({"project_id": owner, "visibility": body.visibility})
    now = clock.now()
    record = NamespaceRecord(
        id=str(UUID(clock.new_id())), namespace=body.namespace, display_name=body.display_name,
        description=body.description, visibility=body.visibility, protected=body.protected,
        owner=owner, created_at=now, updated_at=now,
    )  # fmt: skip
    ctx.session.add(record)
    _flush(ctx, body.namespace)
    properties.add(ctx, record.id, body.properties)
    for thing in {each.name: each for each in body.objects}.values():
        objects.add(ctx, record, thing)
    for kind in {each.name: each for each in body.resource_type_associations}.values():
        resource_types.add(ctx, record, kind)
    for name in sorted({each.name for each in body.tags}):
        tags.add(ctx, record, name)
    ctx.session.flush()
    return _whole(ctx, record)


@api.get(f"{PATH}/{{namespace}}", access.reading("get_metadef_namespace"))
def show(ctx: Context, namespace: str, query: ShowQuery) -> NamespaceView:
    """Show a namespace and all that it defines."""
    return _whole(ctx, access.seen(ctx, namespace), query.resource_type)


@api.put(f"{PATH}/{{namespace}}", access.writing("modify_metadef_namespace"))
def update(ctx: Context, namespace: str, body: NamespaceBody) -> NamespaceView:
    """Change a namespace; what it defines stays."""
    record = access.seen(ctx, namespace)
    record.namespace, record.display_name = body.namespace, body.display_name
    record.description, record.visibility = body.description, body.visibility
    record.protected, record.updated_at = body.protected, clock.now()
    if body.owner is not UNSET:
        record.owner = body.owner
    _flush(ctx, body.namespace)
    return view(record)


@api.delete(f"{PATH}/{{namespace}}", access.writing("delete_metadef_namespace"))
def remove(ctx: Context, namespace: str) -> None:
    """Delete a namespace and all that it defines."""
    record = access.seen(ctx, namespace)
    if record.protected:
        raise Protected(namespace=namespace)
    ctx.session.delete(record)


def view(record: NamespaceRecord) -> NamespaceView:
    """A namespace as clients see it."""
    return NamespaceView(
        namespace=record.namespace, display_name=record.display_name,
        description=record.description, visibility=record.visibility, protected=record.protected,
        owner=record.owner, created_at=iso(record.created_at), updated_at=iso(record.updated_at),
        self=f"{PATH}/{record.namespace}",
    )  # fmt: skip


def _whole(
    ctx: Context, record: NamespaceRecord, resource_type: str | None = None
) -> NamespaceView:
    shown = view(record)
    kinds = resource_types.of(ctx, record)
    prefix = next((each.prefix or "" for each in kinds if each.name == resource_type), "")
    shown.resource_type_associations = kinds
    shown.properties = properties.of(ctx, record.id, prefix)
    shown.objects, shown.tags = objects.of(ctx, record), tags.of(ctx, record)
    return shown


def _page(ctx: Context, query: ListQuery) -> Select[Any]:
    wanted = select(NamespaceRecord).where(access.visible(ctx))
    if query.visibility is not None:
        wanted = wanted.where(NamespaceRecord.visibility == query.visibility)
    if query.resource_types is not None:
        about = select(AssociationRecord.namespace_id).where(
            AssociationRecord.name.in_(query.resource_types.split(","))
        )
        wanted = wanted.where(NamespaceRecord.id.in_(about))
    descends = query.sort_dir == "desc"
    order = [
        (getattr(NamespaceRecord, query.sort_key), descends),
        (NamespaceRecord.id, descends),
    ]
    if query.marker is not None:
        of_name = wanted.where(NamespaceRecord.namespace == query.marker)
        found = ctx.session.scalar(of_name)
        if found is None:
            raise BadMarker(marker=query.marker[:80])
        wanted = wanted.where(after(found, order))
    return wanted.order_by(*(part for column, way in order for part in sorted_by(column, way)))


def _associations(ctx: Context, ids: list[str]) -> dict[str, list[AssociationView]]:
    """The kinds of resources that each of these namespaces is about."""
    found: dict[str, list[AssociationView]] = {}
    wanted = select(AssociationRecord).where(AssociationRecord.namespace_id.in_(ids))
    for each in ctx.session.scalars(wanted.order_by(AssociationRecord.name)):
        found.setdefault(each.namespace_id, []).append(resource_types.view(each))
    return found


def _given(query: ListQuery) -> dict[str, Any]:
    given: dict[str, Any] = {"sort_key": query.sort_key, "sort_dir": query.sort_dir}
    for name in ("limit", "visibility", "resource_types"):
        if getattr(query, name) is not None:
            given[name] = getattr(query, name)
    return given


def _address(given: dict[str, Any]) -> str:
    return f"{PATH}?{urlencode(given)}"


def _flush(ctx: Context, name: str) -> None:
    try:
        ctx.session.flush()
    except IntegrityError:
        ctx.session.rollback()
        raise NamespaceExists(namespace=name) from None
