"""From a token's claims to what they mean now: rights are read anew, never remembered."""

import datetime as dt
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.context import Caller, credentials_of
from onestack.core.shapes import UNSET, iso
from onestack.identity.application_credentials.delegation import delegate as application_credential
from onestack.identity.assignments import effective
from onestack.identity.catalog.listing import catalog
from onestack.identity.federation import standing as federation
from onestack.identity.oauth1.delegation import delegate as access_token
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.tokens.codec import Claims
from onestack.identity.tokens.delegation import Delegate, Delegation, TokenVoid
from onestack.identity.tokens.revocation import is_revoked
from onestack.identity.tokens.view import Reference, Scoped, TokenUser, TokenView
from onestack.identity.trusts.delegation import delegate as trust
from onestack.identity.users.record import PasswordRecord, UserRecord

# What lends rights, by the claim that names it; each function lives with its noun.
DELEGATES: tuple[tuple[str, Delegate], ...] = (
    ("trust_id", trust),
    ("application_credential_id", application_credential),
    ("access_token_id", access_token),
)


class Standing(msgspec.Struct):
    """A token's claims together with the rows that they name."""

    claims: Claims
    user: UserRecord
    project: ProjectRecord | None
    domain: ProjectRecord | None
    delegation: Delegation
    parties: tuple[UserRecord, ...] = ()
    roles: effective.Roles = ()


def load(session: Session, claims: Claims) -> tuple[TokenView, Caller]:
    """The token's view and caller, or `TokenVoid`."""
    if claims.expires_at <= clock.now():
        raise TokenVoid("expired")
    standing = stand(session, claims)
    if is_revoked(session, _facts(standing), claims.issued_at):
        raise TokenVoid("revoked")
    return _view(session, standing), _caller(session, standing)


def stand(session: Session, claims: Claims) -> Standing:
    """The rows that the claims name, all of them enabled, and the roles that follow."""
    federation.check_provider(session, claims)
    delegation = Delegation(user_id=claims.user_id)
    for claim, delegate in DELEGATES:
        if getattr(claims, claim):
            delegation = delegate(session, claims)
    user = enabled_user(session, delegation.user_id)
    parties = tuple(enabled_user(session, user_id) for user_id in delegation.users)
    project = _enabled_project(session, claims.project_id)
    domain = _enabled_domain(session, claims.domain_id)
    standing = Standing(claims, user, project, domain, delegation, parties)
    standing.roles = _roles(session, standing)
    if (project or domain or claims.system) and not standing.roles:
        raise TokenVoid("no roles")
    return standing


def enabled_user(session: Session, user_id: str) -> UserRecord:
    """The user, if it and its domain are enabled."""
    user = session.get(UserRecord, user_id)
    if user is None or not user.enabled:
        raise TokenVoid("user")
    _enabled_domain(session, user.domain_id)
    return user


def _enabled_project(session: Session, project_id: str | None) -> ProjectRecord | None:
    if project_id is None:
        return None
    project = session.get(ProjectRecord, project_id)
    if project is None or not project.enabled:
        raise TokenVoid("project")
    _enabled_domain(session, project.domain_id)
    return project


def _enabled_domain(session: Session, domain_id: str | None) -> ProjectRecord | None:
    if domain_id is None:
        return None
    domain = session.get(ProjectRecord, domain_id)
    if domain is None or not domain.enabled or not domain.is_domain:
        raise TokenVoid("domain")
    return domain


def _roles(session: Session, standing: Standing) -> effective.Roles:
    claims = standing.claims
    user_id = standing.delegation.rights_of or standing.user.id
    groups = claims.federated_groups
    if standing.project is not None:
        roles = effective.on_project(session, user_id, standing.project, groups)
    elif standing.domain is not None:
        roles = effective.on_domain(session, user_id, standing.domain.id, groups)
    elif claims.system:
        roles = effective.on_system(session, user_id, groups)
    else:
        return ()
    lent = standing.delegation.role_ids
    return roles if lent is None else tuple(role for role in roles if role[0] in lent)


def _facts(standing: Standing) -> dict[str, str | tuple[str, ...] | None]:
    claims, project = standing.claims, standing.project
    audit_id, *chain = claims.audit_ids
    # A domain that was disabled voids what is for it, for a project in it, or of a user in it.
    domains: set[str | None] = {user.domain_id for user in (standing.user, *standing.parties)}
    domains |= {claims.domain_id, project.domain_id if project else None}
    return {
        "user_id": (claims.user_id, *standing.delegation.users),
        "project_id": claims.project_id,
        "domain_id": tuple(each for each in domains if each is not None),
        "trust_id": claims.trust_id,
        "consumer_id": standing.delegation.consumer_id,
        "access_token_id": claims.access_token_id,
        "audit_id": audit_id,
        "audit_chain_id": chain[0] if chain else audit_id,
    }


def _view(session: Session, standing: Standing) -> TokenView:
    claims, user = standing.claims, standing.user
    view = TokenView(
        methods=list(claims.methods),
        user=TokenUser(
            id=user.id,
            name=user.name,
            domain=_domain_reference(session, user.domain_id),
            password_expires_at=_password_expiry(session, user.id),
            federation=federation.member(claims) if claims.idp_id else UNSET,
        ),
        audit_ids=list(claims.audit_ids),
        expires_at=iso(claims.expires_at) or "",
        issued_at=iso(claims.issued_at) or "",
    )
    if standing.project is not None:
        project = standing.project
        view.project = Scoped(
            id=project.id,
            name=project.name,
            domain=_domain_reference(session, project.domain_id or project.id),
        )
        view.is_domain = project.is_domain
    elif standing.domain is not None:
        view.domain = Reference(id=standing.domain.id, name=standing.domain.name)
    elif claims.system:
        view.system = {"all": True}
    if standing.roles:
        view.roles = [Reference(id=role_id, name=name) for role_id, name in standing.roles]
        view.catalog = catalog(session, user.id, claims.project_id)
    view.service_providers = federation.service_providers(session) or UNSET
    for member, value in standing.delegation.members.items():
        setattr(view, member, value)
    return view


def _caller(session: Session, standing: Standing) -> Caller:
    claims, user, project = standing.claims, standing.user, standing.project
    facts: dict[str, Any] = {
        "user_id": user.id,
        "user_name": user.name,
        "user_domain_id": user.domain_id,
        "roles": standing.roles,
        "project_id": claims.project_id,
        "project_domain_id": (project.domain_id or project.id) if project else None,
        "domain_id": claims.domain_id,
        "is_system": claims.system,
        "methods": claims.methods,
        "audit_ids": claims.audit_ids,
        "expires_at": claims.expires_at,
        **standing.delegation.caller,
    }
    return Caller(**facts, credentials=credentials_of(Caller(**facts)))


def _domain_reference(session: Session, domain_id: str) -> Reference:
    domain = session.get_one(ProjectRecord, domain_id)
    return Reference(id=domain.id, name=domain.name)


def _password_expiry(session: Session, user_id: str) -> str | None:
    newest = (
        select(PasswordRecord.expires_at)
        .where(PasswordRecord.user_id == user_id)
        .order_by(PasswordRecord.id.desc())
        .limit(1)
    )
    expiry: dt.datetime | None = session.scalar(newest)
    return iso(expiry)


def without_catalog(view: TokenView) -> TokenView:
    """The same token, for `?nocatalog`."""
    view.catalog = UNSET
    return view
