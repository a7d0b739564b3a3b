"""Projects: the tree in which a cloud's resources are owned."""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Forbidden
from onestack.core.paging import page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET
from onestack.identity import events, resource_options, rules
from onestack.identity.projects import removal, tree
from onestack.identity.projects.access import READ, WRITE, permitted
from onestack.identity.projects.enabling import switch
from onestack.identity.projects.labels import filtered, label
from onestack.identity.projects.record import ProjectRecord, ancestors, owning_domain
from onestack.identity.projects.view import (
    Changes,
    HierarchyQuery,
    ProjectCreate,
    ProjectQuery,
    ProjectUpdate,
    ProjectView,
    stored,
    view,
)
from onestack.identity.settings import IdentitySettings
from onestack.identity.unique import refuse_duplicate

api = Operations("projects")

DOMAIN = "target.domain_id"
LIST = rules.either(rules.READ, rules.domain_reader(DOMAIN))


class OneForm(BadRequest):
    message = "Cannot use {name}_as_list and {name}_as_ids query params at the same time."


class IdFixed(BadRequest):
    message = "Cannot change {kind} ID"


class ParentFixed(Forbidden):
    message = "Update of `parent_id` is not allowed."


class KindFixed(BadRequest):
    message = "Update of `is_domain` is not allowed."


@api.get("/v3/projects", Rule("identity:list_projects", LIST), key="projects")
def index(ctx: Context, query: ProjectQuery) -> Page[ProjectView]:
    """List projects; domains, seen as projects, are listed for `is_domain`."""
    statement = ctx.visible(select(ProjectRecord), {DOMAIN: ProjectRecord.domain_id})
    if ctx.caller.domain_id is not None:
        statement = statement.where(ProjectRecord.domain_id == ctx.caller.domain_id)
    statement = filtered(statement, query).options(selectinload(ProjectRecord.labels))
    return page(ctx, statement, ProjectRecord, query, view)


@api.post("/v3/projects", Rule("identity:create_project", WRITE), key="project", status=201)
def create(ctx: Context, body: ProjectCreate) -> ProjectView:
    """Create a project, or a domain when `is_domain`."""
    domain_id = None if body.is_domain else body.domain_id or _domain(ctx, body.parent_id)
    ctx.allow(project={"domain_id": domain_id})
    record = ProjectRecord(
        id=clock.new_id(),
        name=body.name.strip(),
        domain_id=domain_id,
        parent_id=None,
        is_domain=body.is_domain,
        enabled=body.enabled,
        description=body.description,
        options=resource_options.merged(body.options),
        extra=stored(body.extra),
    )
    if domain_id is not None:
        limit_model = ctx.cloud.get(IdentitySettings).limit_model
        record.parent_id = tree.place(ctx.session, domain_id, body.parent_id, limit_model).id
    elif body.parent_id or body.domain_id:
        raise tree.NotARoot
    add(ctx.session, record, body.tags)
    return view(ctx, record)


@api.get("/v3/projects/{project_id}", Rule("identity:get_project", READ), key="project")
def show(ctx: Context, project_id: str, query: HierarchyQuery) -> ProjectView:
    """Show a project, and on demand what is above and below it.

    The lists hold only projects on which the caller has a role; the nested ids hold all.
    """
    for name in ("parents", "subtree"):
        if getattr(query, f"{name}_as_list") and getattr(query, f"{name}_as_ids"):
            raise OneForm(name=name)
    record = permitted(ctx, project_id)
    shown = view(ctx, record)
    if query.parents_as_list:
        shown.parents = _wrapped(ctx, ancestors(ctx.session, record))
    elif query.parents_as_ids:
        shown.parents = tree.parents_as_ids(ancestors(ctx.session, record))
    if query.subtree_as_list:
        shown.subtree = _wrapped(ctx, tree.below(ctx.session, project_id))
    elif query.subtree_as_ids:
        shown.subtree = tree.subtree_as_ids(record, tree.below(ctx.session, project_id))
    return shown


@api.patch("/v3/projects/{project_id}", Rule("identity:update_project", WRITE), key="project")
def update(ctx: Context, project_id: str, body: ProjectUpdate) -> ProjectView:
    """Change a project."""
    record = permitted(ctx, project_id)
    if body.id not in (UNSET, record.id):
        raise IdFixed(kind="project")
    if body.domain_id not in (UNSET, record.domain_id):
        raise IdFixed(kind="Domain")
    resource_options.allow_update(record, "domain" if record.is_domain else "project", body)
    if body.parent_id not in (UNSET, record.parent_id):
        raise ParentFixed
    if body.is_domain not in (UNSET, record.is_domain):
        raise KindFixed
    change(ctx.session, record, body)
    return view(ctx, record)


@api.delete("/v3/projects/{project_id}", Rule("identity:delete_project", WRITE))
def delete(ctx: Context, project_id: str) -> None:
    """Delete a project; its roles and tokens go with it at once."""
    removal.remove(ctx.session, permitted(ctx, project_id))


def add(session: Session, record: ProjectRecord, tags: Iterable[str]) -> None:
    """Write a new project or domain."""
    label(record, tags)
    session.add(record)
    kind = "domain" if record.is_domain else "project"
    refuse_duplicate(session, kind, record.name)
    events.emit(session, f"{kind}.created", record.id)


def change(session: Session, record: ProjectRecord, body: Changes) -> None:
    """Write what a request changes of a project or domain."""
    if body.name is not UNSET:
        record.name = body.name.strip()
    if body.description is not UNSET:
        record.description = body.description
    if body.tags is not UNSET:
        label(record, body.tags)
    if body.enabled is not UNSET:
        switch(session, record, body.enabled)
    record.options = resource_options.merged(body.options, record.options)
    record.extra = {**record.extra, **stored(body.extra)}
    kind = "domain" if record.is_domain else "project"
    refuse_duplicate(session, kind, record.name)
    events.emit(session, f"{kind}.updated", record.id)


def _domain(ctx: Context, parent_id: str | None) -> str:
    """The domain of a project that names none: its parent's, or that of the caller's token."""
    parent = ctx.session.get(ProjectRecord, parent_id) if parent_id else None
    if parent is None:
        return owning_domain(ctx)
    return parent.domain_id or parent.id


def _wrapped(ctx: Context, records: list[ProjectRecord]) -> list[dict[str, Any]]:
    seen = tree.of_user(ctx.session, ctx.caller.user_id, records)
    return [{"project": _flat(view(ctx, record))} for record in seen]


def _flat(shown: ProjectView) -> dict[str, Any]:
    flat: dict[str, Any] = msgspec.to_builtins(shown)
    return {**flat.pop("extra"), **flat}
