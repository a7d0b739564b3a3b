"""Volume types: what the operator offers, and who may use it."""

from typing import Annotated, Any

from sqlalchemy import delete as remove
from sqlalchemy import or_, select

from onestack.core import clock, event
from onestack.core.api import Operations, Raw
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.shapes import UNSET, Id, Link, Meta, Shape, UnsetType, field
from onestack.volume import listing, rules
from onestack.volume.listing import ListQuery
from onestack.volume.literals import dictionary
from onestack.volume.quotas import QuotaRecord
from onestack.volume.texts import Metadata, MetadataKey, Text
from onestack.volume.types.record import (
    DEFAULT_NAME,
    DefaultTypeRecord,
    TypeNotFound,
    VolumeTypeAccessRecord,
    VolumeTypeRecord,
    default_type,
    may_use,
)
from onestack.volume.types.view import TypeCreated, TypeUpdated, TypeView, created, updated, view
from onestack.volume.volumes.flags import flag
from onestack.volume.volumes.record import VolumeRecord, new_id

api = Operations("volume types")

PATH = "/v3/types/{type_id}"
SORTABLE = {
    name: getattr(VolumeTypeRecord, name) for name in ("id", "name", "created_at", "is_public")
}
LIST = rules.rule("volume_extension:type_get_all", rules.ANYONE)
SHOW = rules.rule("volume_extension:type_get", rules.ANYONE)


class TypeBody(Shape):
    """What a type is called, and what it promises."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    description: Text | None = None
    extra_specs: Metadata | None = None
    is_public: bool | str = field(name="os-volume-type-access:is_public", default=True)


class TypeUpdate(Shape):
    """What of a type may change."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    is_public: bool | str | UnsetType = UNSET


class TypeQuery(ListQuery):
    """Which types to list."""

    is_public: str | None = None
    extra_specs: str | None = None
    name: str | None = None


class TypeList(Shape):
    """Types."""

    volume_types: list[TypeView]
    volume_type_links: list[Link] | UnsetType = UNSET


class ProjectBody(Shape):
    """Which project."""

    project: Id


class Access(Shape):
    """A project that may use a type."""

    volume_type_id: str
    project_id: str


class SpecsBody(Shape):
    """What a type promises."""

    extra_specs: dict[MetadataKey, Text]


class TypeExists(Conflict):
    message = "Volume Type {name} already exists."


class TypeInUse(BadRequest):
    message = "Volume Type {type_id} deletion is not allowed with existing volumes with the type."


class DefaultStays(BadRequest):
    message = "Volume Type {type_id} deletion is not allowed: it is the default type."


class SpecNotFound(NotFound):
    message = "Volume Type {type_id} has no extra specs with key {key}."


class AccessExists(Conflict):
    message = "Volume type access for {type_id} / {project_id} combination already exists."


class AccessNotFound(NotFound):
    message = "Volume type access not found for {type_id} / {project_id} combination."


@api.get("/v3/types", LIST)
def index(ctx: Context, query: TypeQuery) -> TypeList:
    """List the types that the caller may use."""
    record = VolumeTypeRecord
    statement = select(record.id, record)
    if not rules.is_admin(ctx):
        theirs = select(VolumeTypeAccessRecord.volume_type_id).where(
            VolumeTypeAccessRecord.project_id == (ctx.caller.project_id or "")
        )
        statement = statement.where(or_(record.is_public, record.id.in_(theirs)))
    elif query.is_public is None or query.is_public.lower() != "none":
        statement = statement.where(record.is_public.is_(flag(query.is_public or "true")))
    if query.name is not None:
        statement = statement.where(record.name == query.name)
    column: Any = record.extra_specs
    for name, text in dictionary(query.extra_specs).items() if query.extra_specs else ():
        statement = statement.where(column[name].as_string() == text)
    found = listing.find(ctx, statement, query, record.id, SORTABLE)
    items = [view(ctx, row.VolumeTypeRecord) for row in found.rows]
    return TypeList(volume_types=items, volume_type_links=found.links)


@api.get(PATH, SHOW, key="volume_type")
def show(ctx: Context, type_id: str) -> TypeView:
    """Show a type, or the `default` of the caller's project."""
    if type_id == "default":
        return view(ctx, default_type(ctx.session, ctx.caller.project_id or ""))
    found = ctx.session.get(VolumeTypeRecord, type_id)
    is_seen = found is not None and (
        rules.is_admin(ctx) or may_use(ctx.session, found, ctx.caller.project_id)
    )
    if found is None or not is_seen:
        raise TypeNotFound(type_id=type_id[:64])
    return view(ctx, found)


@api.post("/v3/types", rules.rule("volume_extension:type_create", rules.ADMIN), key="volume_type")
def create(ctx: Context, body: TypeBody) -> TypeCreated:
    """Offer a new type."""
    name = _named(ctx, body.name)
    record = VolumeTypeRecord(
        id=new_id(), name=name, description=body.description, is_public=flag(body.is_public),
        extra_specs=body.extra_specs or {}, created_at=clock.now(),
    )  # fmt: skip
    ctx.session.add(record)
    ctx.session.flush()
    event.emit(ctx.session, "volume_type.create", {"id": record.id, "name": name}, None, record.id)
    return created(record)


@api.put(PATH, rules.rule("volume_extension:type_update", rules.ADMIN), key="volume_type")
def update(ctx: Context, type_id: str, body: TypeUpdate) -> TypeUpdated:
    """Change what a type is called, or whether it is for everybody."""
    record = _held(ctx, type_id)
    if body.name is UNSET and body.description is UNSET and body.is_public is UNSET:
        raise BadRequest("Specify volume type name, description, is_public or a combination "
                         "thereof.")  # fmt: skip
    if isinstance(body.name, str):
        if not body.name.strip():
            raise BadRequest("Volume type name can not be empty.")
        if body.name.strip() != record.name:
            record.name = _named(ctx, body.name)
    if body.description is not UNSET:
        record.description = body.description
    if body.is_public is not UNSET:
        record.is_public = flag(body.is_public)
    record.updated_at = clock.now()
    return updated(record)


@api.delete(PATH, rules.rule("volume_extension:type_delete", rules.ADMIN), status=202)
def delete(ctx: Context, type_id: str) -> None:
    """Offer a type no longer."""
    record = _held(ctx, type_id)
    in_use = select(VolumeRecord.id).where(VolumeRecord.volume_type_id == type_id).limit(1)
    if ctx.session.scalar(in_use) is not None:
        raise TypeInUse(type_id=type_id)
    is_default = select(DefaultTypeRecord).where(DefaultTypeRecord.volume_type_id == type_id)
    if record.name == DEFAULT_NAME or ctx.session.scalars(is_default).first() is not None:
        raise DefaultStays(type_id=type_id)
    resources = [f"{each}_{record.name}" for each in ("volumes", "gigabytes", "snapshots")]
    ctx.session.execute(remove(QuotaRecord).where(QuotaRecord.resource.in_(resources)))
    ctx.session.delete(record)
    event.emit(ctx.session, "volume_type.delete", {"id": type_id}, None, type_id)


@api.post(
    f"{PATH}/action",
    rules.rule("volume_extension:volume_type_access:add_project_access", rules.ADMIN),
    action="addProjectAccess",
    status=202,
)
def add_access(ctx: Context, type_id: str, body: ProjectBody) -> None:
    """Let a project use a type that is not for everybody."""
    record = _held(ctx, type_id)
    if record.is_public:
        raise Conflict("Type access modification is not applicable to public volume type.")
    if ctx.session.get(VolumeTypeAccessRecord, (type_id, body.project)) is not None:
        raise AccessExists(type_id=type_id, project_id=body.project)
    ctx.session.add(VolumeTypeAccessRecord(volume_type_id=type_id, project_id=body.project))


@api.post(
    f"{PATH}/action",
    rules.rule("volume_extension:volume_type_access:remove_project_access", rules.ADMIN),
    action="removeProjectAccess",
    status=202,
)
def remove_access(ctx: Context, type_id: str, body: ProjectBody) -> None:
    """Let a project use a type no longer."""
    record = _held(ctx, type_id)
    if record.is_public:
        raise Conflict("Type access modification is not applicable to public volume type.")
    found = ctx.session.get(VolumeTypeAccessRecord, (type_id, body.project))
    if found is None:
        raise AccessNotFound(type_id=type_id, project_id=body.project)
    ctx.session.delete(found)


@api.get(
    f"{PATH}/os-volume-type-access",
    rules.rule("volume_extension:volume_type_access:get_all_for_type", rules.ADMIN),
    key="volume_type_access",
)
def list_access(ctx: Context, type_id: str) -> list[Access]:
    """List the projects that may use a type."""
    record = _held(ctx, type_id)
    if record.is_public:
        raise NotFound("Access list not available for public volume types.")
    wanted = select(VolumeTypeAccessRecord.project_id).where(
        VolumeTypeAccessRecord.volume_type_id == type_id
    )
    ids = ctx.session.scalars(wanted.order_by(VolumeTypeAccessRecord.project_id))
    return [Access(volume_type_id=type_id, project_id=each) for each in ids]


@api.get(
    f"{PATH}/extra_specs",
    rules.rule("volume_extension:types_extra_specs:index", rules.ADMIN),
    key="extra_specs",
)
def list_specs(ctx: Context, type_id: str) -> dict[str, Any]:
    """Show what a type promises."""
    return _held(ctx, type_id).extra_specs


@api.post(
    f"{PATH}/extra_specs", rules.rule("volume_extension:types_extra_specs:create", rules.ADMIN)
)
def add_specs(ctx: Context, type_id: str, body: SpecsBody) -> SpecsBody:
    """Let a type promise more."""
    record = _held(ctx, type_id)
    record.extra_specs = {**record.extra_specs, **body.extra_specs}
    record.updated_at = clock.now()
    return body


@api.get(
    PATH + "/extra_specs/{key}",
    rules.rule("volume_extension:types_extra_specs:show", rules.ADMIN),
)
def show_spec(ctx: Context, type_id: str, key: str) -> dict[str, Any]:
    """Show one thing that a type promises."""
    specs = _held(ctx, type_id).extra_specs
    if key not in specs:
        raise SpecNotFound(type_id=type_id, key=key[:255])
    return {key: specs[key]}


@api.put(
    PATH + "/extra_specs/{key}",
    rules.rule("volume_extension:types_extra_specs:update", rules.ADMIN),
)
def update_spec(
    ctx: Context, type_id: str, key: str, body: dict[MetadataKey, Text]
) -> dict[str, Any]:
    """Let a type promise one thing."""
    record = _held(ctx, type_id)
    if list(body) != [key]:
        raise BadRequest("Request body and URI mismatch: there must be one key, that of the URI")
    record.extra_specs = {**record.extra_specs, **body}
    record.updated_at = clock.now()
    return dict(body)


@api.delete(
    PATH + "/extra_specs/{key}",
    rules.rule("volume_extension:types_extra_specs:delete", rules.ADMIN),
    status=202,
)
def delete_spec(ctx: Context, type_id: str, key: str) -> Raw:
    """Let a type promise one thing less."""
    record = _held(ctx, type_id)
    if key not in record.extra_specs:
        raise SpecNotFound(type_id=type_id, key=key[:255])
    record.extra_specs = {name: text for name, text in record.extra_specs.items() if name != key}
    return Raw(b"", status=202)


def _held(ctx: Context, type_id: str) -> VolumeTypeRecord:
    ctx.allow()
    found = ctx.session.get(VolumeTypeRecord, type_id, with_for_update=ctx.writes)
    if found is None:
        raise TypeNotFound(type_id=type_id[:64])
    return found


def _named(ctx: Context, name: str) -> str:
    name = name.strip()
    if not name:
        raise BadRequest("Volume type name can not be empty.")
    taken = select(VolumeTypeRecord.id).where(VolumeTypeRecord.name == name)
    if ctx.session.scalar(taken) is not None:
        raise TypeExists(name=name)
    return name
