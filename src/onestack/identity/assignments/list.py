"""Listing role assignments: as they were made, or what they come to."""

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session

from onestack.core.api import FALSE_WORDS, Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.policy import Rule
from onestack.core.shapes import Id, Shape, field
from onestack.identity import rules
from onestack.identity.assignments import effective
from onestack.identity.assignments.expand import Cloud, Held, as_given, descendants, expanded
from onestack.identity.assignments.record import SYSTEM, AssignmentRecord
from onestack.identity.assignments.view import AssignmentView, Views
from onestack.identity.memberships import MembershipRecord
from onestack.identity.projects.record import ProjectRecord, find
from onestack.identity.roles.record import RoleRecord

api = Operations("role_assignments")

READ = rules.either(rules.READ, rules.domain_reader("target.domain_id"))
LIST_FOR_TREE = Rule("identity:list_role_assignments_for_tree", READ)


class Contradiction(BadRequest):
    """Two filters that cannot both hold."""


class AssignmentQuery(Shape):
    """Which assignments to list, and how."""

    user_id: Id | None = field(default=None, name="user.id")
    group_id: Id | None = field(default=None, name="group.id")
    role_id: Id | None = field(default=None, name="role.id")
    project_id: Id | None = field(default=None, name="scope.project.id")
    domain_id: Id | None = field(default=None, name="scope.domain.id")
    system: str | None = field(default=None, name="scope.system")
    inherited_to: str | None = field(default=None, name="scope.OS-INHERIT:inherited_to")
    effective: str | None = None
    include_names: str | None = None
    include_subtree: str | None = None

    @property
    def is_effective(self) -> bool:
        return is_set(self.effective)

    @property
    def has_subtree(self) -> bool:
        return is_set(self.include_subtree)

    @property
    def inherited(self) -> bool | None:
        return None if self.inherited_to is None else self.inherited_to == "projects"


@api.get(
    "/v3/role_assignments", Rule("identity:list_role_assignments", READ), key="role_assignments"
)
def index(ctx: Context, query: AssignmentQuery) -> Page[AssignmentView]:
    """List role assignments.

    With `effective`, groups are replaced by their members, what is inherited is shown on each
    project that inherits it, and implied roles are listed beside those that imply them.
    """
    _judge(ctx, query)
    _refuse_contradictions(query)
    found = _effective(ctx, query) if query.is_effective else _as_given(ctx, query)
    views = Views(ctx, found, with_names=is_set(query.include_names))
    return Page([views.of(held) for held in found])


def is_set(flag: str | None) -> bool:
    """Whether a flag of the query string is on: given, and not with a word for no."""
    return flag is not None and flag.lower() not in FALSE_WORDS


def _judge(ctx: Context, query: AssignmentQuery) -> None:
    """Let the caller list; whose token is for a domain sees that domain only."""
    if query.has_subtree:
        project = find(ctx.session, query.project_id) if query.project_id else None
        domain_id = project and (project.domain_id or project.id)
        ctx.allow(rule=LIST_FOR_TREE, domain_id=domain_id, project=project)
    else:
        ctx.allow(domain_id=ctx.caller.domain_id)


def _refuse_contradictions(query: AssignmentQuery) -> None:
    if query.domain_id and query.project_id:
        raise Contradiction("Specify a domain or project, not both")
    if query.domain_id and query.system:
        raise Contradiction("Specify system or domain, not both")
    if query.project_id and query.system:
        raise Contradiction("Specify system or project, not both")
    if query.user_id and query.group_id:
        raise Contradiction("Specify a user or group, not both")
    if query.has_subtree and not query.project_id:
        raise Contradiction(
            "scope.project.id must be specified if include_subtree is also specified"
        )
    if query.is_effective and query.group_id:
        raise Contradiction(
            "Combining effective and group filter will always result in an empty list."
        )
    if query.is_effective and query.inherited and query.domain_id:
        raise Contradiction(
            "Combining effective, domain and inherited filters will always result in an empty list."
        )


def _as_given(ctx: Context, query: AssignmentQuery) -> list[Held]:
    """The assignments that match, as they were made."""
    statement = _within_domain(ctx, select(AssignmentRecord))
    for kind, actor_id in (("user", query.user_id), ("group", query.group_id)):
        if actor_id is not None:
            statement = statement.where(
                AssignmentRecord.actor_kind == kind, AssignmentRecord.actor_id == actor_id
            )
    if query.role_id is not None:
        statement = statement.where(AssignmentRecord.role_id == query.role_id)
    if query.project_id is not None:
        wanted = {query.project_id}
        if query.has_subtree:
            wanted |= set(descendants(query.project_id, _children(ctx.session, wanted)))
        statement = statement.where(_on("project", wanted))
    elif query.domain_id is not None:
        statement = statement.where(_on("domain", [query.domain_id]))
    elif query.system == "all":
        statement = statement.where(AssignmentRecord.target_kind == SYSTEM)
    return [as_given(record) for record in _records(ctx, statement, query)]


def _effective(ctx: Context, query: AssignmentQuery) -> list[Held]:
    """What the assignments come to, as far as it matches."""
    statement = _within_domain(ctx, select(AssignmentRecord))
    if query.user_id is not None:
        statement = statement.where(effective.of_user(query.user_id))
    heirs: Callable[[str], Iterable[str]] | None = None
    if query.project_id is not None:
        find(ctx.session, query.project_id)
        statement, heirs = _reaching_project(ctx.session, statement, query)
    elif query.domain_id is not None:
        here = _on("domain", [query.domain_id])
        statement = statement.where(here, ~AssignmentRecord.inherited)
    elif query.system == "all":
        statement = statement.where(AssignmentRecord.target_kind == SYSTEM)
    records = _records(ctx, statement, query)
    cloud = Cloud(
        members=_members(ctx.session, statement, query),
        heirs=heirs or _heirs_anywhere(ctx.session, statement),
        implied=effective.implications(ctx.session),
    )
    carried = set(ctx.session.scalars(select(RoleRecord.id).where(RoleRecord.domain_id == "")))
    if query.role_id is not None:
        carried &= {query.role_id}
    return [held for held in expanded(records, cloud) if held.role_id in carried]


def _reaching_project(
    session: Session, statement: Select[Any], query: AssignmentQuery
) -> tuple[Select[Any], Callable[[str], Iterable[str]]]:
    """The assignments that count on the project or below it, and which of those each reaches."""
    top = query.project_id or ""
    children = _children(session, {top}) if query.has_subtree else {}
    tree = [top, *descendants(top, children)]
    here = and_(_on("project", tree), ~AssignmentRecord.inherited)
    sources: ColumnElement[bool] = AssignmentRecord.target_id.in_(effective.above(top))
    if query.has_subtree:
        sources = or_(sources, AssignmentRecord.target_id.in_(tree))
    within = frozenset(tree)

    def heirs(source: str) -> Iterable[str]:
        return descendants(source, children) if source in within else tree

    return statement.where(or_(here, and_(sources, AssignmentRecord.inherited))), heirs


def _heirs_anywhere(session: Session, statement: Select[Any]) -> Callable[[str], Iterable[str]]:
    sources = statement.with_only_columns(AssignmentRecord.target_id)
    children = _children(session, sources.where(AssignmentRecord.inherited))
    return lambda source: descendants(source, children)


def _records(
    ctx: Context, statement: Select[Any], query: AssignmentQuery
) -> list[AssignmentRecord]:
    if query.inherited is not None:
        statement = statement.where(AssignmentRecord.inherited.is_(query.inherited))
    return list(
        ctx.session.scalars(
            statement.order_by(
                AssignmentRecord.target_kind, AssignmentRecord.target_id,
                AssignmentRecord.actor_kind, AssignmentRecord.actor_id,
                AssignmentRecord.role_id, AssignmentRecord.inherited,
            )
        )
    )  # fmt: skip


def _within_domain(ctx: Context, statement: Select[Any]) -> Select[Any]:
    """Cut to the domain that the caller's token is for, if it is for one."""
    domain_id = ctx.caller.domain_id
    if domain_id is None:
        return statement
    projects = select(ProjectRecord.id).where(
        or_(ProjectRecord.id == domain_id, ProjectRecord.domain_id == domain_id)
    )
    return statement.where(
        AssignmentRecord.target_kind != SYSTEM, AssignmentRecord.target_id.in_(projects)
    )


def _on(kind: str, ids: Iterable[str]) -> ColumnElement[bool]:
    return and_(AssignmentRecord.target_kind == kind, AssignmentRecord.target_id.in_(list(ids)))


def _children(session: Session, roots: Iterable[str] | Select[Any]) -> dict[str, list[str]]:
    """The projects below these, by their parents."""
    top = select(ProjectRecord.id).where(ProjectRecord.parent_id.in_(roots))
    below = top.cte("below", recursive=True)
    below = below.union(select(ProjectRecord.id).join(below, ProjectRecord.parent_id == below.c.id))
    rows = session.execute(
        select(ProjectRecord.id, ProjectRecord.parent_id)
        .join(below, below.c.id == ProjectRecord.id)
        .order_by(ProjectRecord.id)
    )
    children: dict[str, list[str]] = {}
    for project_id, parent_id in rows:
        children.setdefault(parent_id or "", []).append(project_id)
    return children


def _members(
    session: Session, statement: Select[Any], query: AssignmentQuery
) -> Callable[[str], Iterable[str]]:
    """The users of each group that the statement finds; of one user's groups, that user."""
    if query.user_id is not None:
        user_id = query.user_id
        return lambda _group_id: (user_id,)
    groups = statement.with_only_columns(AssignmentRecord.actor_id).where(
        AssignmentRecord.actor_kind == "group"
    )
    found: dict[str, list[str]] = {}
    for record in session.scalars(
        select(MembershipRecord)
        .where(MembershipRecord.group_id.in_(groups))
        .order_by(MembershipRecord.user_id)
    ):
        found.setdefault(record.group_id, []).append(record.user_id)
    return lambda group_id: found.get(group_id, ())
