"""Tags that a namespace defines."""

from sqlalchemy import delete, select

from onestack.core import clock
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.shapes import Shape
from onestack.image.images.view import iso
from onestack.image.metadefs import access
from onestack.image.metadefs.properties import Name
from onestack.image.metadefs.record import NamespaceRecord, TagRecord

api = Operations("metadata definitions")

PATH = "/v2/metadefs/namespaces/{namespace}/tags"


class TagBody(Shape):
    """A tag to define."""

    name: Name


class TagsBody(Shape):
    """All tags to define."""

    tags: list[TagBody]


class TagView(Shape):
    """A tag."""

    name: str
    created_at: str
    updated_at: str


class Tags(Shape):
    """The tags of a namespace."""

    tags: list[TagBody]
    first: str
    schema: str = "/v2/schemas/metadefs/tags"


@api.get(PATH, access.reading("get_metadef_tags"))
def index(ctx: Context, namespace: str) -> Tags:
    """List a namespace's tags."""
    return _tags(ctx, access.seen(ctx, namespace))


@api.post(PATH, access.writing("add_metadef_tags"), status=201)
def create_all(ctx: Context, namespace: str, body: TagsBody) -> Tags:
    """Let a namespace define these tags; no others, unless X-OpenStack-Append says so."""
    owner = access.seen(ctx, namespace)
    if ctx.request.headers.get("x-openstack-append", "").lower() != "true":
        _clear(ctx, owner)
    for name in {each.name for each in body.tags}:
        access.check_free(ctx, TagRecord, owner, name)
        add(ctx, owner, name)
    ctx.session.flush()
    return _tags(ctx, owner)


@api.post(f"{PATH}/{{name}}", access.writing("add_metadef_tag"), status=201)
def create(ctx: Context, namespace: str, name: str) -> TagView:
    """Define a tag."""
    owner = access.seen(ctx, namespace)
    access.check_free(ctx, TagRecord, owner, name)
    return view(add(ctx, owner, name))


@api.get(f"{PATH}/{{name}}", access.reading("get_metadef_tag"))
def show(ctx: Context, namespace: str, name: str) -> TagView:
    """Show a tag."""
    return view(access.find(ctx, TagRecord, namespace, name))


@api.put(f"{PATH}/{{name}}", access.writing("modify_metadef_tag"))
def update(ctx: Context, namespace: str, name: str, body: TagBody) -> TagView:
    """Give a tag another name."""
    record = access.find(ctx, TagRecord, namespace, name)
    if body.name != name:
        access.check_free(ctx, TagRecord, access.seen(ctx, namespace), body.name)
    record.name, record.updated_at = body.name, clock.now()
    return view(record)


@api.delete(f"{PATH}/{{name}}", access.writing("delete_metadef_tag"))
def remove(ctx: Context, namespace: str, name: str) -> None:
    """Delete a tag."""
    ctx.session.delete(access.find(ctx, TagRecord, namespace, name))


@api.delete(PATH, access.writing("delete_metadef_tags"))
def remove_all(ctx: Context, namespace: str) -> None:
    """Delete a namespace's tags."""
    _clear(ctx, access.seen(ctx, namespace))


def of(ctx: Context, owner: NamespaceRecord) -> list[TagBody]:
    """The tags of a namespace."""
    wanted = select(TagRecord.name).where(TagRecord.namespace_id == owner.id)
    return [TagBody(name=each) for each in ctx.session.scalars(wanted.order_by(TagRecord.name))]


def add(ctx: Context, owner: NamespaceRecord, name: str) -> TagRecord:
    """Define a tag in a namespace that has none of its name."""
    now = clock.now()
    record = TagRecord(namespace_id=owner.id, name=name, created_at=now, updated_at=now)
    ctx.session.add(record)
    return record


def view(record: TagRecord) -> TagView:
    """A tag as clients see it."""
    return TagView(
        name=record.name, created_at=iso(record.created_at), updated_at=iso(record.updated_at)
    )


def _tags(ctx: Context, owner: NamespaceRecord) -> Tags:
    return Tags(tags=of(ctx, owner), first=f"/v2/metadefs/namespaces/{owner.namespace}/tags")


def _clear(ctx: Context, owner: NamespaceRecord) -> None:
    ctx.session.execute(delete(TagRecord).where(TagRecord.namespace_id == owner.id))
