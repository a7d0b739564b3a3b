"""Resource providers: whatever has resources, in trees."""

from collections.abc import Callable, Sequence
from typing import Annotated
from uuid import UUID

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session

from onestack.core import clock, event
from onestack.core.api import Operations, Reply
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.shapes import UNSET, Link, Shape, UnsetType, Version, since
from onestack.placement import changes, known, query, rules
from onestack.placement.candidates import ANYTHING, Wanted
from onestack.placement.forest import Forest, Provider
from onestack.placement.names import ProviderName, canonical
from onestack.placement.record import AllocationRecord, ProviderRecord
from onestack.placement.snapshot import Snapshot
from onestack.placement.style import DUPLICATE_NAME, dated, link, locate

api = Operations("resource_providers")

Read = Callable[[Sequence[str], Version], Wanted]

# What a provider links to, and since when.
LINKS = (
    ("inventories", Version(1, 0)),
    ("usages", Version(1, 0)),
    ("aggregates", Version(1, 1)),
    ("traits", Version(1, 6)),
    ("allocations", Version(1, 11)),
)


class ProviderNotFound(NotFound):
    message = "No resource provider with uuid {provider_id} found"


class ProviderNotFoundForDelete(NotFound):
    message = "No resource provider with uuid {provider_id} found for delete"


class NameTaken(Conflict):
    code = DUPLICATE_NAME
    message = "Conflicting resource provider name: {name} already exists."


class IdTaken(Conflict):
    code = DUPLICATE_NAME
    message = "Conflicting resource provider uuid: {provider_id} already exists."


class NotCreatable(BadRequest):
    message = 'Unable to create resource provider "{name}", {provider_id}: {reason}'


class NotChangeable(BadRequest):
    message = "Unable to save resource provider {provider_id}: {reason}"


class InUse(Conflict):
    code = "placement.resource_provider.inuse"
    message = "Unable to delete resource provider {provider_id}: Resource provider has allocations."


class HasChildren(Conflict):
    code = "placement.resource_provider.cannot_delete_parent"
    message = (
        "Unable to delete parent resource provider {provider_id}: It has child resource providers."
    )


class ProviderCreate(Shape, forbid_unknown_fields=True):
    """A provider to make."""

    name: ProviderName
    uuid: UUID | None = None
    parent_provider_uuid: Annotated[UUID | UnsetType | None, since("1.14")] = UNSET


class ProviderUpdate(Shape, forbid_unknown_fields=True):
    """What to change of a provider."""

    name: ProviderName
    parent_provider_uuid: Annotated[UUID | UnsetType | None, since("1.14")] = UNSET


class ProviderQuery(Shape, forbid_unknown_fields=True):
    """Which providers to list."""

    name: list[str] = []
    uuid: list[str] = []
    member_of: Annotated[list[str], since("1.3")] = []
    resources: Annotated[list[str], since("1.4")] = []
    in_tree: Annotated[list[str], since("1.14")] = []
    required: Annotated[list[str], since("1.18")] = []


class ProviderView(Shape):
    """A provider."""

    uuid: str
    name: str
    generation: int
    links: list[Link]
    root_provider_uuid: Annotated[str, since("1.14")]
    parent_provider_uuid: Annotated[str | None, since("1.14")] = None


class ProvidersView(Shape):
    """Providers."""

    resource_providers: list[ProviderView]


@api.get("/resource_providers", rules.rule("resource_providers:list"))
def index(ctx: Context, query: ProviderQuery) -> ProvidersView:
    """List resource providers."""
    chosen = _Filter(ctx, query)
    with ctx.cloud.get(Snapshot).forest() as forest:
        found = [each for each in chosen.start(forest) if chosen.accepts(forest, each)]
        dated(ctx, max((each.updated_at for each in found), default=None))
        return ProvidersView(
            resource_providers=[
                _view(ctx, each.id, each.name, each.generation, each.parent_id, each.root_id)
                for each in found
            ]
        )


@api.post("/resource_providers", rules.rule("resource_providers:create"))
def create(ctx: Context, body: ProviderCreate) -> ProviderView | Reply:
    """Create a resource provider."""
    given = body.parent_provider_uuid
    parent = str(given) if isinstance(given, UUID) else None
    provider_id = str(body.uuid) if body.uuid else str(UUID(clock.new_id()))
    record = add(ctx.session, body.name, provider_id, parent)
    locate(ctx, f"resource_providers/{provider_id}")
    if ctx.version < (1, 20):
        return Reply(status=201)
    dated(ctx, record.updated_at)
    return view(ctx, record)


@api.get("/resource_providers/{uuid}", rules.rule("resource_providers:show"))
def show(ctx: Context, uuid: str) -> ProviderView:
    """Show a resource provider."""
    record = find(ctx.session, uuid)
    dated(ctx, record.updated_at)
    return view(ctx, record)


@api.put("/resource_providers/{uuid}", rules.rule("resource_providers:update"))
def update_provider(ctx: Context, uuid: str, body: ProviderUpdate) -> ProviderView:
    """Rename a resource provider, or move it within or between trees."""
    number = changes.begin(ctx.session)
    record = find(ctx.session, uuid)
    if body.name != record.name and _is_taken(ctx.session, body.name):
        raise NameTaken(name=body.name)
    record.name, record.changed_in, record.updated_at = body.name, number, clock.now()
    parent = body.parent_provider_uuid
    if not isinstance(parent, UnsetType):
        _move(ctx, record, str(parent) if parent is not None else None, number)
    dated(ctx, record.updated_at)
    _report(ctx.session, "updated", record.id)
    return view(ctx, record)


@api.delete("/resource_providers/{uuid}", rules.rule("resource_providers:delete"))
def delete(ctx: Context, uuid: str) -> None:
    """Delete a resource provider, with its inventories, traits and aggregates."""
    remove(ctx.session, uuid)


def add(session: Session, name: str, provider_id: str, parent_id: str | None) -> ProviderRecord:
    """Make a provider."""
    number = changes.begin(session)
    if _is_taken(session, name):
        raise NameTaken(name=name)
    if session.get(ProviderRecord, provider_id) is not None:
        raise IdTaken(provider_id=provider_id)
    record = ProviderRecord(
        id=provider_id, name=name, parent_id=parent_id, root_id=provider_id, generation=0,
        changed_in=number, updated_at=clock.now(),
    )  # fmt: skip
    if parent_id is not None:
        parent = session.get(ProviderRecord, parent_id) if parent_id != provider_id else None
        if parent is None:
            reason = (
                "parent provider UUID cannot be same as UUID"
                if parent_id == provider_id
                else f"parent provider UUID does not exist: {parent_id}"
            )
            raise NotCreatable(name=name, provider_id=provider_id, reason=reason)
        record.root_id = parent.root_id
    session.add(record)
    session.flush()
    _report(session, "created", provider_id)
    return record


def remove(session: Session, provider_id: str) -> None:
    """Delete a provider that nothing is allocated from and nothing stands below."""
    changes.begin(session)
    record = session.get(ProviderRecord, canonical(provider_id) or provider_id)
    if record is None:
        raise ProviderNotFoundForDelete(provider_id=provider_id)
    if _any(session, ProviderRecord.parent_id == record.id):
        raise HasChildren(provider_id=record.id)
    if _any(session, AllocationRecord.provider_id == record.id):
        raise InUse(provider_id=record.id)
    session.delete(record)
    _report(session, "deleted", record.id)


def find(session: Session, provider_id: str) -> ProviderRecord:
    """The provider with this id."""
    record = session.get(ProviderRecord, canonical(provider_id) or provider_id)
    if record is None:
        raise ProviderNotFound(provider_id=provider_id)
    return record


def view(ctx: Context, record: ProviderRecord) -> ProviderView:
    """A provider as clients see it."""
    return _view(ctx, record.id, record.name, record.generation, record.parent_id, record.root_id)


class _Filter:
    """What a list's query string asks for, read once."""

    def __init__(self, ctx: Context, asked: ProviderQuery) -> None:
        version = ctx.version
        self.name = asked.name[0] if asked.name else None
        self.id = _uuid(asked.uuid[0]) if asked.uuid else None
        self.aggregates = _wanted(asked.member_of, query.aggregates, version)
        self.traits = _wanted(asked.required, query.traits, version)
        known.check_traits(ctx.session, _named(self.traits))
        self.resources = query.resources(asked.resources[0]) if _given(asked.resources) else {}
        unknown = known.unknown_classes(ctx.session, self.resources)
        if unknown:
            raise BadRequest(f"Invalid resource class in resources parameter: {unknown[0]}")
        self.tree = query.tree(asked.in_tree[0]) if _given(asked.in_tree) else None

    def start(self, forest: Forest) -> list[Provider]:
        """Where to look."""
        if self.id is not None:
            return [forest.providers[self.id]] if self.id in forest.providers else []
        if self.tree is not None:
            named = forest.providers.get(self.tree)
            return list(forest.trees[named.root_id].values()) if named is not None else []
        return list(forest.providers.values())

    def accepts(self, forest: Forest, provider: Provider) -> bool:
        if self.name is not None and provider.name != self.name:
            return False
        if self.tree is not None:
            named = forest.providers.get(self.tree)
            if named is None or named.root_id != provider.root_id:
                return False
        return (
            self.traits.accepts(provider.traits)
            and self.aggregates.accepts(provider.aggregates)
            and all(provider.grants(name, amount) for name, amount in self.resources.items())
        )


def _given(values: object) -> bool:
    return isinstance(values, list) and bool(values)


def _wanted(values: list[str], read: Read, version: Version) -> Wanted:
    return read(values, version) if _given(values) else ANYTHING


def _named(wanted: Wanted) -> set[str]:
    return set(wanted.forbidden).union(*wanted.any_of)


def _uuid(text: str) -> str:
    found = canonical(text)
    if found is None:
        raise query.BadQuery(reason=f"{text!r} is not a uuid")
    return found


def _view(
    ctx: Context, provider_id: str, name: str, generation: int, parent_id: str | None, root_id: str
) -> ProviderView:
    own = link(f"resource_providers/{provider_id}")
    links = [Link(rel="self", href=own)]
    links += [Link(rel=rel, href=f"{own}/{rel}") for rel, since_ in LINKS if ctx.version >= since_]
    return ProviderView(
        uuid=provider_id, name=name, generation=generation, links=links,
        parent_provider_uuid=parent_id, root_provider_uuid=root_id,
    )  # fmt: skip


def _move(ctx: Context, record: ProviderRecord, parent_id: str | None, number: int) -> None:
    """Give a provider a parent, another parent, or none; all below it come along."""
    if parent_id == record.parent_id:
        return
    if record.parent_id is not None and ctx.version < (1, 37):
        what = "un-parenting" if parent_id is None else "re-parenting"
        reason = f"{what} a provider is not currently allowed."
        raise NotChangeable(provider_id=record.id, reason=reason)
    below = _subtree(ctx.session, record)
    root_id = record.id
    if parent_id is not None:
        parent = ctx.session.get(ProviderRecord, parent_id)
        if parent is None:
            reason = f"parent provider UUID does not exist: {parent_id}"
            raise NotChangeable(provider_id=record.id, reason=reason)
        if parent_id in below:
            reason = "creating loop in the provider tree is not allowed."
            raise NotChangeable(provider_id=record.id, reason=reason)
        root_id = parent.root_id
    record.parent_id = parent_id
    ctx.session.flush()
    ctx.session.execute(
        update(ProviderRecord)
        .where(ProviderRecord.id.in_(below))
        .values(root_id=root_id, changed_in=number)
    )


def _subtree(session: Session, record: ProviderRecord) -> set[str]:
    """A provider and all below it."""
    rows = session.execute(
        select(ProviderRecord.id, ProviderRecord.parent_id).where(
            ProviderRecord.root_id == record.root_id
        )
    ).all()
    children: dict[str | None, list[str]] = {}
    for child, parent in rows:
        children.setdefault(parent, []).append(child)
    found, waiting = {record.id}, [record.id]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.update(below)
        waiting += below
    return found


def _is_taken(session: Session, name: str) -> bool:
    return _any(session, ProviderRecord.name == name)


def _any(session: Session, condition: ColumnElement[bool]) -> bool:
    return bool(session.scalar(select(exists().where(condition))))


def _report(session: Session, what: str, provider_id: str) -> None:
    event.emit(
        session, f"placement.resource_provider.{what}", {"resource_info": provider_id},
        resource=provider_id,
    )  # fmt: skip
