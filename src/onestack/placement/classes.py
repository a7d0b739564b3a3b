"""Resource classes: the kinds of things that providers have."""

from sqlalchemy import select
from sqlalchemy import update as update_rows

from onestack.core import clock
from onestack.core.api import Operations, Reply
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.shapes import Shape
from onestack.placement import changes, known, rules
from onestack.placement.names import CustomName, is_custom
from onestack.placement.record import AllocationRecord, InventoryRecord, ResourceClassRecord
from onestack.placement.standards import standard_classes
from onestack.placement.style import dated, link, locate

api = Operations("resource_classes")


class ClassNotFound(NotFound):
    message = "No such resource class {name}."


class ClassExists(Conflict):
    message = "Conflicting resource class already exists: {name}"


class NewNameTaken(Conflict):
    message = "Resource class already exists: {name}"


class ClassInUse(Conflict):
    message = "Error in delete resource class: Class is in use in inventory: {name}"


class StandardClass(BadRequest):
    message = "Cannot {verb} standard resource class {name}"


class BadClassName(BadRequest):
    message = (
        "JSON does not validate: {name!r} is no name of a custom resource class; it must match "
        "^CUSTOM_[A-Z0-9_]+$ and have at most 255 characters"
    )


class NewNameRequired(BadRequest):
    message = "Malformed JSON: version {version} takes an object with the new name."


class ClassCreate(Shape, forbid_unknown_fields=True):
    """A resource class by its name."""

    name: CustomName


class ClassView(Shape):
    """A resource class."""

    name: str
    links: list[dict[str, str]]


class ClassesView(Shape):
    """Resource classes."""

    resource_classes: list[ClassView]


@api.get("/resource_classes", rules.rule("resource_classes:list"), since="1.2")
def index(ctx: Context) -> ClassesView:
    """List resource classes."""
    own = ctx.session.scalars(select(ResourceClassRecord.name).order_by(ResourceClassRecord.name))
    dated(ctx)
    return ClassesView(resource_classes=[_view(name) for name in (*standard_classes(), *own)])


@api.post("/resource_classes", rules.rule("resource_classes:create"), since="1.2", status=201)
def create(ctx: Context, body: ClassCreate) -> Reply:
    """Create a resource class of the operator's own."""
    if not _ensure(ctx, body.name):
        raise ClassExists(name=body.name)
    return Reply(status=201)


@api.get("/resource_classes/{name}", rules.rule("resource_classes:show"), since="1.2")
def show(ctx: Context, name: str) -> ClassView:
    """Show a resource class."""
    if known.unknown_classes(ctx.session, [name]):
        raise ClassNotFound(name=name)
    dated(ctx)
    return _view(name)


@api.put("/resource_classes/{name}", rules.rule("resource_classes:update"), since="1.2")
def update(ctx: Context, name: str, body: ClassCreate | None) -> ClassView | Reply:
    """Create a resource class unless it is there; before 1.7, rename one."""
    if ctx.version < (1, 7):
        if body is None:
            raise NewNameRequired(version=ctx.version)
        return _rename(ctx, name, body.name)
    if not is_custom(name):
        raise BadClassName(name=name[:300])
    return Reply(status=201 if _ensure(ctx, name) else 204)


@api.delete("/resource_classes/{name}", rules.rule("resource_classes:delete"), since="1.2")
def delete(ctx: Context, name: str) -> None:
    """Delete a resource class of the operator's own that no inventory has."""
    changes.begin(ctx.session)
    record = _own(ctx, name, "delete")
    if _is_used(ctx, name):
        raise ClassInUse(name=name)
    ctx.session.delete(record)


def _ensure(ctx: Context, name: str) -> bool:
    """Make a class; False when it is there already."""
    changes.begin(ctx.session)
    locate(ctx, f"resource_classes/{name}")
    if ctx.session.get(ResourceClassRecord, name) is not None:
        return False
    ctx.session.add(ResourceClassRecord(name=name, updated_at=clock.now()))
    return True


def _rename(ctx: Context, name: str, new_name: str) -> ClassView:
    number = changes.begin(ctx.session)
    record = _own(ctx, name, "update")
    if new_name != name:
        if ctx.session.get(ResourceClassRecord, new_name) is not None:
            raise NewNameTaken(name=new_name)
        record.name, record.updated_at = new_name, clock.now()
        _carry(ctx, number, name, new_name)
    return _view(new_name)


def _carry(ctx: Context, number: int, name: str, new_name: str) -> None:
    """Give what is there of a class the class's new name."""
    holders = select(InventoryRecord.provider_id).where(InventoryRecord.resource_class == name)
    providers = list(ctx.session.scalars(holders))
    for record in (InventoryRecord, AllocationRecord):
        ctx.session.execute(
            update_rows(record)
            .where(record.resource_class == name)
            .values(resource_class=new_name)
            .execution_options(synchronize_session=False)
        )
    changes.touch(ctx.session, number, providers, advance=False)


def _own(ctx: Context, name: str, verb: str) -> ResourceClassRecord:
    if name in standard_classes():
        raise StandardClass(verb=verb, name=name)
    record = ctx.session.get(ResourceClassRecord, name)
    if record is None:
        raise ClassNotFound(name=name)
    return record


def _is_used(ctx: Context, name: str) -> bool:
    users = select(InventoryRecord.provider_id).where(InventoryRecord.resource_class == name)
    return ctx.session.scalar(users.limit(1)) is not None


def _view(name: str) -> ClassView:
    return ClassView(name=name, links=[{"rel": "self", "href": link(f"resource_classes/{name}")}])
