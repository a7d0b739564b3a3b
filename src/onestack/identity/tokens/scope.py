"""Scopes: what a token is for."""

from typing import Any

from msgspec.structs import replace
from sqlalchemy import select

from onestack.core.context import Context
from onestack.core.errors import BadRequest, Unauthorized
from onestack.core.shapes import Shape, field
from onestack.identity.assignments import effective
from onestack.identity.auth.proof import DomainReference, Proof, find_domain
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.trusts import delegation as trusts
from onestack.identity.users.record import UserRecord


class ProjectScope(Shape):
    """A project, by id, or by name and domain."""

    id: str | None = None
    name: str | None = None
    domain: DomainReference | None = None


class TrustScope(Shape):
    """A trust."""

    id: str


class Scope(Shape):
    """What a token is wanted for: one of these."""

    project: ProjectScope | None = None
    domain: DomainReference | None = None
    system: dict[str, bool] | None = None
    trust: TrustScope | None = field(default=None, name="OS-TRUST:trust")


class OneScope(BadRequest):
    message = "A token has one scope: a project, a domain, the system or a trust."


def scoped(ctx: Context, proof: Proof, asked: Scope | str | None) -> Proof:
    """The proof, carrying the claims of the scope that is asked for."""
    if isinstance(asked, Scope) and asked.trust is not None and _given(asked) == [asked.trust]:
        if not proof.may_rescope or ("token" in proof.methods and proof.claims):
            raise Unauthorized
        claims, ends_at = trusts.scope(ctx, proof, asked.trust.id)
        expiries = [each for each in (ends_at, proof.expires_at) if each is not None]
        proof = replace(proof, expires_at=min(expiries, default=None))
    else:
        claims = _claims(ctx, proof, asked)
    return replace(proof, claims={**proof.claims, **claims})


def _claims(ctx: Context, proof: Proof, asked: Scope | str | None) -> dict[str, Any]:
    if not proof.may_rescope:
        if isinstance(asked, Scope):
            raise Unauthorized
        return {}
    if asked is None:
        return _default(ctx, proof)
    if isinstance(asked, str):
        if asked != "unscoped":
            raise BadRequest(f"Invalid scope {asked[:80]!r}.")
        return {}
    if len(_given(asked)) != 1:
        raise OneScope
    if asked.project is not None:
        return {"project_id": _project(ctx, asked.project).id}
    if asked.domain is not None:
        return {"domain_id": find_domain(ctx.session, asked.domain).id}
    if asked.system is not None:
        if asked.system.get("all") is not True:
            raise BadRequest("The system scope is {'all': true}.")
        return {"system": True}
    raise Unauthorized


def _given(asked: Scope) -> list[object]:
    every = (asked.project, asked.domain, asked.system, asked.trust)
    return [each for each in every if each is not None]


def _project(ctx: Context, asked: ProjectScope) -> ProjectRecord:
    if asked.id is not None:
        found = ctx.session.get(ProjectRecord, asked.id)
    elif asked.name is None:
        raise BadRequest("Expecting to find id or name in project.")
    elif asked.domain is None:
        raise BadRequest("Expecting to find domain in project.")
    else:
        domain = find_domain(ctx.session, asked.domain)
        by = (ProjectRecord.domain_id == domain.id, ProjectRecord.name == asked.name)
        found = ctx.session.scalar(select(ProjectRecord).where(*by))
    if found is None:
        raise Unauthorized
    return found


def _default(ctx: Context, proof: Proof) -> dict[str, Any]:
    """A login without a scope is for the user's default project, if it has rights there."""
    if "token" in proof.methods or proof.claims.get("idp_id"):
        return {}
    user = ctx.session.get(UserRecord, proof.user_id)
    if user is None or user.default_project_id is None:
        return {}
    project = ctx.session.get(ProjectRecord, user.default_project_id)
    if project is None or not project.enabled:
        return {}
    groups = proof.claims.get("federated_groups", ())
    if not effective.on_project(ctx.session, user.id, project, groups):
        return {}
    return {"project_id": project.id}
