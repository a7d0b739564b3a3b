"""Implied roles: who has the prior role has the implied ones too."""

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from onestack.core.api import Operations, Page, Reply
from onestack.core.context import Context
from onestack.core.errors import Forbidden, NotFound
from onestack.core.policy import Rule
from onestack.core.shapes import Shape
from onestack.identity import events, rules
from onestack.identity.roles.record import ImpliedRoleRecord, RoleRecord, find, subject
from onestack.identity.style import link, links

api = Operations("roles")

CLOUD_SCOPES = frozenset({"system", "project"})
SHOW = Rule("identity:get_implied_role", rules.READ, CLOUD_SCOPES)
CHECK = Rule("identity:check_implied_role", rules.READ, CLOUD_SCOPES)

# Roles that policies trust with everything: no other role may bring them along.
PROHIBITED = frozenset({"admin"})


class ImpliedRoleNotFound(NotFound):
    message = "{prior_role_id} does not imply {implied_role_id}."


class NotImplicable(Forbidden):
    message = "{role_id} cannot be an implied roles."


class GlobalImpliesDomainRole(Forbidden):
    message = "Global role cannot imply a domain-specific role"


class RoleReference(Shape):
    """A role, by id and name."""

    id: str
    name: str
    links: dict[str, str]


class InferenceView(Shape):
    """One rule: the prior role, and the one that it implies."""

    prior_role: RoleReference
    implies: RoleReference


class InferencesView(Shape):
    """A role, and those that it implies directly."""

    prior_role: RoleReference
    implies: list[RoleReference]


class Inference(Shape):
    """The answer about one rule."""

    role_inference: InferenceView
    links: dict[str, str]


class Inferences(Shape):
    """The answer about the rules of one prior role."""

    role_inference: InferencesView
    links: dict[str, str]


@api.get(
    "/v3/roles/{prior_role_id}/implies",
    Rule("identity:list_implied_roles", rules.READ, CLOUD_SCOPES),
)
def index(ctx: Context, prior_role_id: str) -> Inferences:
    """List what a role implies directly."""
    prior = find(ctx.session, prior_role_id)
    ctx.allow(prior_role=subject(prior))
    found = (
        select(RoleRecord)
        .join(ImpliedRoleRecord, ImpliedRoleRecord.implied_role_id == RoleRecord.id)
        .where(ImpliedRoleRecord.prior_role_id == prior_role_id)
        .order_by(RoleRecord.name, RoleRecord.id)
    )
    implied = [_reference(ctx, role) for role in ctx.session.scalars(found)]
    return Inferences(
        role_inference=InferencesView(prior_role=_reference(ctx, prior), implies=implied),
        links={"self": link(ctx, f"roles/{prior_role_id}/implies")},
    )


@api.put(
    "/v3/roles/{prior_role_id}/implies/{implied_role_id}",
    Rule("identity:create_implied_role", rules.ADMIN, CLOUD_SCOPES),
    status=201,
)
def create(ctx: Context, prior_role_id: str, implied_role_id: str) -> Inference:
    """Let a role imply another one."""
    prior, implied = _pair(ctx, prior_role_id, implied_role_id)
    if implied.name.lower() in PROHIBITED:
        raise NotImplicable(role_id=implied_role_id)
    if implied.domain_id and not prior.domain_id:
        raise GlobalImpliesDomainRole
    if ctx.session.get(ImpliedRoleRecord, (prior_role_id, implied_role_id)) is None:
        ctx.session.add(
            ImpliedRoleRecord(prior_role_id=prior_role_id, implied_role_id=implied_role_id)
        )
        events.emit(
            ctx.session, "implied_role.created", prior_role_id, implied_role_id=implied_role_id
        )
    return _view(ctx, prior, implied)


@api.get("/v3/roles/{prior_role_id}/implies/{implied_role_id}", SHOW)
def show(ctx: Context, prior_role_id: str, implied_role_id: str) -> Inference | Reply:
    """Show that a role implies another one; a HEAD request only asks whether it does."""
    is_check = ctx.request.method == "HEAD"
    rule = CHECK if is_check else SHOW
    prior, implied = _pair(ctx, prior_role_id, implied_role_id, rule)
    _find(ctx.session, prior_role_id, implied_role_id)
    return Reply(status=204) if is_check else _view(ctx, prior, implied)


@api.delete(
    "/v3/roles/{prior_role_id}/implies/{implied_role_id}",
    Rule("identity:delete_implied_role", rules.ADMIN, CLOUD_SCOPES),
)
def delete(ctx: Context, prior_role_id: str, implied_role_id: str) -> None:
    """Let a role imply another one no longer."""
    _pair(ctx, prior_role_id, implied_role_id)
    ctx.session.delete(_find(ctx.session, prior_role_id, implied_role_id))
    events.emit(ctx.session, "implied_role.deleted", prior_role_id, implied_role_id=implied_role_id)


@api.get(
    "/v3/role_inferences",
    Rule("identity:list_role_inference_rules", rules.READ, CLOUD_SCOPES),
    key="role_inferences",
)
def index_all(ctx: Context) -> Page[InferencesView]:
    """List every role that implies others, with those."""
    ctx.allow()
    prior, implied = aliased(RoleRecord), aliased(RoleRecord)
    pairs = (
        select(prior, implied)
        .join(ImpliedRoleRecord, ImpliedRoleRecord.prior_role_id == prior.id)
        .join(implied, ImpliedRoleRecord.implied_role_id == implied.id)
        .order_by(prior.name, prior.id, implied.name, implied.id)
    )
    found: dict[str, InferencesView] = {}
    for one, other in ctx.session.execute(pairs):
        if one.id not in found:
            found[one.id] = InferencesView(prior_role=_reference(ctx, one), implies=[])
        found[one.id].implies.append(_reference(ctx, other))
    return Page(list(found.values()))


def _pair(
    ctx: Context, prior_role_id: str, implied_role_id: str, rule: Rule | None = None
) -> tuple[RoleRecord, RoleRecord]:
    """Both roles, when the caller may deal with them."""
    prior, implied = find(ctx.session, prior_role_id), find(ctx.session, implied_role_id)
    ctx.allow(rule=rule, prior_role=subject(prior), implied_role=subject(implied))
    return prior, implied


def _find(session: Session, prior_role_id: str, implied_role_id: str) -> ImpliedRoleRecord:
    record = session.get(ImpliedRoleRecord, (prior_role_id, implied_role_id))
    if record is None:
        raise ImpliedRoleNotFound(prior_role_id=prior_role_id, implied_role_id=implied_role_id)
    return record


def _view(ctx: Context, prior: RoleRecord, implied: RoleRecord) -> Inference:
    return Inference(
        role_inference=InferenceView(
            prior_role=_reference(ctx, prior), implies=_reference(ctx, implied)
        ),
        links={"self": link(ctx, f"roles/{prior.id}/implies/{implied.id}")},
    )


def _reference(ctx: Context, record: RoleRecord) -> RoleReference:
    return RoleReference(
        id=record.id, name=record.name, links=dict(links(ctx, f"roles/{record.id}"))
    )
