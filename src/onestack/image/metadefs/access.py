"""Which namespaces somebody sees, and who changes what is in them."""

from typing import TypeVar

from sqlalchemy import ColumnElement, or_, select, true

from onestack.core.context import Context
from onestack.core.policy import Rule
from onestack.image import rules
from onestack.image.images.access import is_admin
from onestack.image.metadefs.record import (
    NameExists,
    NameNotFound,
    NamespaceNotFound,
    NamespaceRecord,
    ObjectRecord,
    PropertyRecord,
    TagRecord,
)

Named = TypeVar("Named", PropertyRecord, ObjectRecord, TagRecord)

KINDS = {PropertyRecord: "property", ObjectRecord: "object", TagRecord: "tag"}
SEEN = f"{rules.ADMIN} or (role:reader and ({rules.OWNER} or 'public':%(visibility)s))"


def reading(name: str) -> Rule:
    """The rule of who looks."""
    return rules.rule(name, SEEN)


def writing(name: str) -> Rule:
    """The rule of who changes something: definitions are for the whole cloud."""
    return rules.rule(name, rules.ADMIN)


def seen(ctx: Context, namespace: str) -> NamespaceRecord:
    """The namespace, if the caller may see it and do to it what the operation does."""
    record = ctx.session.scalar(
        select(NamespaceRecord).where(NamespaceRecord.namespace == namespace)
    )
    if record is None or not (
        record.visibility == "public" or record.owner == ctx.caller.project_id or is_admin(ctx)
    ):
        raise NamespaceNotFound(namespace=namespace[:80])
    ctx.allow({"project_id": record.owner, "visibility": record.visibility})
    return record


def visible(ctx: Context) -> ColumnElement[bool]:
    """The namespaces that a list shows."""
    ctx.allow({"project_id": ctx.caller.project_id, "visibility": "private"})
    if is_admin(ctx):
        return true()
    own = NamespaceRecord.owner == ctx.caller.project_id
    return or_(own, NamespaceRecord.visibility == "public")


def find(ctx: Context, kind: type[Named], namespace: str, name: str) -> Named:
    """What has a name in a namespace."""
    owner = seen(ctx, namespace)
    found = ctx.session.get(kind, (owner.id, name))
    if found is None:
        raise NameNotFound(kind=KINDS[kind], name=name[:80], namespace=namespace)
    return found


def check_free(ctx: Context, kind: type[Named], owner: NamespaceRecord, name: str) -> None:
    """Refuse a name that something in the namespace has already."""
    if ctx.session.get(kind, (owner.id, name)) is not None:
        raise NameExists(kind=KINDS[kind], name=name, namespace=owner.namespace)
