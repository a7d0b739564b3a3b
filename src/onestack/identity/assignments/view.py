"""Role assignments as clients see them."""

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core.context import Context
from onestack.core.shapes import UNSET, Shape, UnsetType, field
from onestack.identity.assignments import actors
from onestack.identity.assignments.expand import Held
from onestack.identity.assignments.record import AssignmentRecord
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.roles.record import RoleRecord
from onestack.identity.style import link


class DomainReference(Shape):
    """A domain, with its name when names are asked for."""

    id: str
    name: str | UnsetType = UNSET


class Reference(Shape):
    """A user, group, project or role, with its name and domain when names are asked for."""

    id: str
    name: str | UnsetType = UNSET
    domain: DomainReference | UnsetType = UNSET


class ScopeView(Shape):
    """What a role is held on."""

    project: Reference | UnsetType = UNSET
    domain: DomainReference | UnsetType = UNSET
    system: dict[str, bool] | UnsetType = UNSET
    inherited_to: str | UnsetType = field(default=UNSET, name="OS-INHERIT:inherited_to")


class AssignmentLinks(Shape):
    """Where an assignment comes from: the grant, the membership, the rule of implied roles."""

    assignment: str
    membership: str | UnsetType = UNSET
    prior_role: str | UnsetType = UNSET


class AssignmentView(Shape):
    """One role of one user or group on one target."""

    role: Reference
    scope: ScopeView
    links: AssignmentLinks
    user: Reference | UnsetType = UNSET
    group: Reference | UnsetType = UNSET


class Views:
    """Views of assignments; the names in them are read once for all."""

    def __init__(self, ctx: Context, found: Sequence[Held], *, with_names: bool) -> None:
        self._root = link(ctx, "").rstrip("/")
        self._names = _Names(ctx.session, found) if with_names else None

    def of(self, held: Held) -> AssignmentView:
        """An assignment as clients see it."""
        view = AssignmentView(
            role=self._reference("role", held.role_id),
            scope=self._scope(held),
            links=self._links(held),
        )
        actor = self._reference(held.actor_kind, held.actor_id)
        if held.actor_kind == "user":
            view.user = actor
        else:
            view.group = actor
        return view

    def _scope(self, held: Held) -> ScopeView:
        scope = ScopeView(inherited_to="projects" if held.is_inherited else UNSET)
        if held.target_kind == "project":
            scope.project = self._reference("project", held.target_id)
        elif held.target_kind == "domain":
            scope.domain = self._domain(held.target_id)
        else:
            scope.system = {"all": True}
        return scope

    def _links(self, held: Held) -> AssignmentLinks:
        links = AssignmentLinks(assignment=f"{self._root}{grant_path(held.source)}")
        if held.by_group is not None:
            links.membership = f"{self._root}/groups/{held.by_group}/users/{held.actor_id}"
        if held.prior_role_id is not None:
            rule = f"roles/{held.prior_role_id}/implies/{held.role_id}"
            links.prior_role = f"{self._root}/{rule}"
        return links

    def _reference(self, kind: str, thing_id: str) -> Reference:
        if self._names is None:
            return Reference(id=thing_id)
        name, domain_id = self._names.of(kind, thing_id)
        domain = UNSET if domain_id is None else self._domain(domain_id)
        return Reference(id=thing_id, name=name, domain=domain)

    def _domain(self, domain_id: str) -> DomainReference:
        if self._names is None:
            return DomainReference(id=domain_id)
        return DomainReference(id=domain_id, name=self._names.of("domain", domain_id)[0])


class _Names:
    """The name and domain of everything that some assignments mention; empty for what is gone."""

    def __init__(self, session: Session, found: Sequence[Held]) -> None:
        self._known: dict[tuple[str, str], tuple[str, str | None]] = {}
        for kind in ("user", "group"):
            ids = {held.actor_id for held in found if held.actor_kind == kind}
            for actor in actors.named(session, kind, ids).values():
                self._known[kind, actor.id] = (actor.name, actor.domain_id)
        for role in session.execute(select(RoleRecord.id, RoleRecord.name, RoleRecord.domain_id)):
            self._known["role", role.id] = (role.name, role.domain_id or None)
        self._read_projects(session, {held.target_id for held in found})
        domains = {domain_id for _, domain_id in self._known.values() if domain_id}
        self._read_projects(session, domains)

    def of(self, kind: str, thing_id: str) -> tuple[str, str | None]:
        return self._known.get((kind, thing_id), ("", ""))

    def _read_projects(self, session: Session, ids: Iterable[str]) -> None:
        wanted = list(ids)
        for start in range(0, len(wanted), actors.CHUNK):
            some = ProjectRecord.id.in_(wanted[start : start + actors.CHUNK])
            for row in session.execute(
                select(ProjectRecord.id, ProjectRecord.name, ProjectRecord.domain_id).where(some)
            ):
                self._known["project", row.id] = (row.name, row.domain_id or row.id)
                self._known["domain", row.id] = (row.name, None)


def grant_path(source: AssignmentRecord) -> str:
    """The path of the grant that an assignment is."""
    target = (
        "/system"
        if source.target_kind == "system"
        else f"/{source.target_kind}s/{source.target_id}"
    )
    path = f"{target}/{source.actor_kind}s/{source.actor_id}/roles/{source.role_id}"
    return f"/OS-INHERIT{path}/inherited_to_projects" if source.inherited else path
