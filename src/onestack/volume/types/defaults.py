"""Which type a project's volumes have that name none."""

from sqlalchemy import select

from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import NotFound
from onestack.core.shapes import Name, Shape
from onestack.volume import rules
from onestack.volume.types.record import DefaultTypeRecord, type_named

api = Operations("default types")

PATH = "/v3/default-types"


class DefaultBody(Shape):
    """Which type, by name or id."""

    volume_type: Name


class DefaultView(Shape):
    """The type of a project's volumes that name none."""

    project_id: str
    volume_type_id: str


class DefaultNotFound(NotFound):
    message = "Default type for project {project_id} not found."


@api.get(
    PATH,
    rules.rule("volume_extension:default_get_all", rules.ADMIN),
    key="default_types",
    since="3.62",
)
def index(ctx: Context) -> list[DefaultView]:
    """List the projects with a default of their own."""
    ctx.allow()
    rows = ctx.session.scalars(select(DefaultTypeRecord).order_by(DefaultTypeRecord.project_id))
    return [_view(each) for each in rows]


@api.get(
    PATH + "/{project_id}",
    rules.rule("volume_extension:default_get", rules.ADMIN),
    key="default_type",
    since="3.62",
)
def show(ctx: Context, project_id: str) -> DefaultView:
    """Show a project's default."""
    ctx.allow()
    return _view(_found(ctx, project_id))


@api.put(
    PATH + "/{project_id}",
    rules.rule("volume_extension:default_set_or_update", rules.ADMIN),
    key="default_type",
    since="3.62",
)
def update(ctx: Context, project_id: str, body: DefaultBody) -> DefaultView:
    """Give a project a default of its own."""
    ctx.allow()
    kind = type_named(ctx.session, body.volume_type, project_id, True)
    record = ctx.session.merge(DefaultTypeRecord(project_id=project_id, volume_type_id=kind.id))
    return _view(record)


@api.delete(
    PATH + "/{project_id}",
    rules.rule("volume_extension:default_unset", rules.ADMIN),
    since="3.62",
)
def delete(ctx: Context, project_id: str) -> None:
    """Let a project have the cloud's default again."""
    ctx.allow()
    ctx.session.delete(_found(ctx, project_id))


def _found(ctx: Context, project_id: str) -> DefaultTypeRecord:
    found = ctx.session.get(DefaultTypeRecord, project_id)
    if found is None:
        raise DefaultNotFound(project_id=project_id[:64])
    return found


def _view(record: DefaultTypeRecord) -> DefaultView:
    return DefaultView(project_id=record.project_id, volume_type_id=record.volume_type_id)
