"""Projects as clients write and read them."""

from typing import Annotated, Any

from onestack.core.context import Context
from onestack.core.paging import PageQuery
from onestack.core.shapes import UNSET, Extras, Id, Meta, Shape, UnsetType, field
from onestack.identity.names import VISIBLE, Description
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.resource_options import OptionsBody
from onestack.identity.style import links

TAGS_MAX = 80

ProjectName = Annotated[str, Meta(min_length=1, max_length=64, pattern=VISIBLE)]
Tag = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=r"^(?=.*\S)[^,/\x00-\x1f\x7f]+$(?!\n)",
    ),
]
Tags = Annotated[list[Tag], Meta(max_length=TAGS_MAX)]

# What the cloud says of a project: a client that sends these back does not store them.
OURS = frozenset({"id", "links", "parents", "subtree", "parent_id", "domain_id", "is_domain"})


class ProjectCreate(Shape):
    """A project to make."""

    name: ProjectName
    domain_id: Id | None = None
    parent_id: Id | None = None
    is_domain: bool = False
    enabled: bool = True
    description: Description | None = ""
    tags: Tags = []
    options: OptionsBody | UnsetType = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


class Changes(Shape):
    """What may change of a project or a domain."""

    name: ProjectName | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    tags: Tags | UnsetType = UNSET
    options: OptionsBody | UnsetType = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


class ProjectUpdate(Changes):
    """What to change of a project; where it stands may be said again, and never changes."""

    id: str | UnsetType = UNSET
    domain_id: str | UnsetType | None = UNSET
    parent_id: str | UnsetType | None = UNSET
    is_domain: bool | UnsetType = UNSET


class ProjectQuery(PageQuery):
    """Which projects to list."""

    name: str | None = None
    domain_id: str | None = None
    parent_id: str | None = None
    enabled: bool | None = None
    is_domain: bool = False
    with_all: str | None = field(default=None, name="tags")
    with_any: str | None = field(default=None, name="tags-any")
    without_all: str | None = field(default=None, name="not-tags")
    without_any: str | None = field(default=None, name="not-tags-any")


class HierarchyQuery(Shape):
    """What to show of the projects above and below."""

    parents_as_list: bool = False
    parents_as_ids: bool = False
    subtree_as_list: bool = False
    subtree_as_ids: bool = False


class ProjectView(Shape):
    """A project."""

    id: str
    name: str
    domain_id: str | None
    parent_id: str | None
    is_domain: bool
    enabled: bool
    description: str | None
    tags: list[str]
    options: dict[str, Any]
    links: dict[str, str]
    parents: list[dict[str, Any]] | dict[str, Any] | UnsetType | None = UNSET
    subtree: list[dict[str, Any]] | dict[str, Any] | UnsetType | None = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


def view(ctx: Context, record: ProjectRecord) -> ProjectView:
    """A project as clients see it."""
    return ProjectView(
        id=record.id,
        name=record.name,
        domain_id=record.domain_id,
        parent_id=record.parent_id,
        is_domain=record.is_domain,
        enabled=record.enabled,
        description=record.description,
        tags=record.tags,
        options=record.options,
        links=dict(links(ctx, f"projects/{record.id}")),
        extra=record.extra,
    )


def stored(extra: dict[str, Any]) -> dict[str, Any]:
    """The undeclared attributes of a request, without those that are the cloud's to say."""
    return {name: value for name, value in extra.items() if name not in OURS}
