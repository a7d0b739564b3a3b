"""Project tags: labels by which projects are found."""

from urllib.parse import quote

import msgspec

from onestack.core.api import Operations, Reply
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Forbidden, NotFound
from onestack.core.policy import Rule
from onestack.core.shapes import Shape
from onestack.identity import events
from onestack.identity.projects.access import READ, WRITE, permitted
from onestack.identity.projects.labels import label
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.projects.view import Tags
from onestack.identity.resource_options import IMMUTABLE
from onestack.identity.style import link, links

api = Operations("project tags")


class TagNotFound(NotFound):
    message = "Could not find project tag: {tag}."


class TagsImmutable(Forbidden):
    message = (
        "Cannot {verb} project tags for {project_id}, project is immutable. "
        'Set "immutable" option to false before creating project tags.'
    )


class TagsBody(Shape, forbid_unknown_fields=True):
    """All tags of a project."""

    tags: Tags


class TagsView(Shape):
    """The tags of a project."""

    tags: list[str]
    links: dict[str, str]


@api.get("/v3/projects/{project_id}/tags", Rule("identity:list_project_tags", READ))
def index(ctx: Context, project_id: str) -> TagsView:
    """List a project's tags."""
    return _view(ctx, permitted(ctx, project_id))


@api.put("/v3/projects/{project_id}/tags", Rule("identity:update_project_tags", WRITE))
def replace(ctx: Context, project_id: str, body: TagsBody) -> TagsView:
    """Give a project these tags and no others."""
    record = _changeable(ctx, project_id, "update")
    _write(ctx, record, body.tags)
    return _view(ctx, record)


@api.delete("/v3/projects/{project_id}/tags", Rule("identity:delete_project_tags", WRITE))
def delete_all(ctx: Context, project_id: str) -> None:
    """Remove all tags of a project."""
    _write(ctx, _changeable(ctx, project_id, "update"), [])


@api.get("/v3/projects/{project_id}/tags/{value}", Rule("identity:get_project_tag", READ))
def check(ctx: Context, project_id: str, value: str) -> None:
    """Check whether a project has a tag."""
    if value not in permitted(ctx, project_id).tags:
        raise TagNotFound(tag=value)


@api.put(
    "/v3/projects/{project_id}/tags/{value}",
    Rule("identity:create_project_tag", WRITE),
    status=201,
)
def create(ctx: Context, project_id: str, value: str) -> Reply:
    """Add a tag to a project."""
    record = _changeable(ctx, project_id, "create")
    try:
        tags = msgspec.convert([*record.tags, value], Tags)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid input for field 'tags': {error}") from None
    if "%2F" in value:
        raise BadRequest("Invalid input for field 'tags': a tag has no slash.")
    _write(ctx, record, tags)
    return Reply(headers={"Location": link(ctx, f"projects/{record.id}/tags/{quote(value)}")})


@api.delete("/v3/projects/{project_id}/tags/{value}", Rule("identity:delete_project_tag", WRITE))
def delete(ctx: Context, project_id: str, value: str) -> None:
    """Remove a tag of a project."""
    record = _changeable(ctx, project_id, "delete")
    tags = record.tags
    if value not in tags:
        raise TagNotFound(tag=value)
    tags.remove(value)
    _write(ctx, record, tags)


def _changeable(ctx: Context, project_id: str, verb: str) -> ProjectRecord:
    record = permitted(ctx, project_id)
    if record.options.get(IMMUTABLE):
        raise TagsImmutable(verb=verb, project_id=project_id)
    return record


def _write(ctx: Context, record: ProjectRecord, tags: list[str]) -> None:
    label(record, tags)
    events.emit(ctx.session, "project.updated", record.id)


def _view(ctx: Context, record: ProjectRecord) -> TagsView:
    return TagsView(tags=record.tags, links=dict(links(ctx, f"projects/{record.id}/tags")))
