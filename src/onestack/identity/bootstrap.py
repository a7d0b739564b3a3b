"""Bootstrap: what identity must hold before anyone can sign in; done again, it changes nothing."""

import datetime as dt
import secrets
from collections.abc import Iterable
from itertools import pairwise
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.context import Cloud
from onestack.core.db import Database
from onestack.identity.assignments.record import SYSTEM, AssignmentRecord
from onestack.identity.catalog.record import EndpointRecord, RegionRecord, ServiceRecord
from onestack.identity.passwords import hash_password
from onestack.identity.projects.record import DEFAULT_DOMAIN, ProjectRecord
from onestack.identity.roles.record import ImpliedRoleRecord, RoleRecord
from onestack.identity.settings import IdentitySettings
from onestack.identity.tokens.codec import Claims
from onestack.identity.tokens.validation import Tokens
from onestack.identity.users.record import PasswordRecord, UserRecord

CHAIN = ("admin", "manager", "member", "reader")
FIRST_USERS = {"admin": "admin", "demo": "member"}  # each with a project of its name
INTERFACES = ("public", "internal", "admin")
PASSWORD_BYTES = 18
# Nobody guesses so many random bits, however little a guess costs, and whoever waits for the cloud
# would wait for the hash. The first sign-in makes it as costly as the settings say.
FIRST_ROUNDS = 4
OWN_LIFETIME = dt.timedelta(minutes=10)
OURS = UUID("9b3b6a1e-52a5-4b3c-9f0e-6f1f5d1c7a10")


class Offer(msgspec.Struct, frozen=True):
    """A service of this cloud, as the catalogue names it."""

    type: str
    name: str
    path: str


class Account(msgspec.Struct, frozen=True):
    """A user with a password that somebody must be told."""

    user: str
    password: str
    project: str


def bootstrap(
    session: Session,
    settings: IdentitySettings,
    base_url: str,
    offers: Iterable[Offer],
) -> list[Account]:
    """Make what is missing; the accounts made now, with their passwords."""
    _domain(session)
    roles = {name: _role(session, name) for name in (*CHAIN, "service")}
    for prior, implied in pairwise(CHAIN):
        _implied(session, roles[prior], roles[implied])
    made = [_account(session, name, roles[role]) for name, role in FIRST_USERS.items()]
    admin = _find_user(session, "admin")
    if admin is not None:
        _assign(session, admin, SYSTEM, SYSTEM, roles["admin"])
    _project(session, "service")
    _catalogue(session, settings, base_url, offers)
    return [account for account in made if account is not None]


def first_token(cloud: Cloud, user: str) -> str:
    """A token of one of the first users within its project: for what this process does itself."""
    with cloud.get(Database).transaction(write=False) as session:
        found, project_id = _find_user(session, user), _find_project(session, user)
    if found is None:
        raise LookupError(f"there is no user {user}")
    now = clock.now()
    claims = Claims(
        user_id=found.id, methods=("external",), issued_at=now, expires_at=now + OWN_LIFETIME,
        audit_ids=(secrets.token_urlsafe(16),), project_id=project_id,
    )  # fmt: skip
    return cloud.get(Tokens).issue(claims)


def _domain(session: Session) -> None:
    if session.get(ProjectRecord, DEFAULT_DOMAIN) is None:
        session.add(
            ProjectRecord(
                id=DEFAULT_DOMAIN,
                name="Default",
                domain_id=None,
                parent_id=None,
                is_domain=True,
                description="The default domain",
            )
        )
        session.flush()


def _role(session: Session, name: str) -> str:
    found = select(RoleRecord.id).where(RoleRecord.name == name, RoleRecord.domain_id == "")
    role_id = session.scalar(found)
    if role_id is None:
        role_id = clock.new_id()
        session.add(RoleRecord(id=role_id, name=name, options={"immutable": True}))
        session.flush()
    return role_id


def _implied(session: Session, prior: str, implied: str) -> None:
    if session.get(ImpliedRoleRecord, (prior, implied)) is None:
        session.add(ImpliedRoleRecord(prior_role_id=prior, implied_role_id=implied))


def _find_project(session: Session, name: str) -> str | None:
    by = (ProjectRecord.name == name, ProjectRecord.domain_id == DEFAULT_DOMAIN)
    return session.scalar(select(ProjectRecord.id).where(*by))


def _project(session: Session, name: str) -> str:
    project_id = _find_project(session, name)
    if project_id is None:
        project_id = clock.new_id()
        session.add(
            ProjectRecord(
                id=project_id, name=name, domain_id=DEFAULT_DOMAIN, parent_id=DEFAULT_DOMAIN
            )
        )
        session.flush()
    return project_id


def _find_user(session: Session, name: str) -> UserRecord | None:
    by = (UserRecord.name == name, UserRecord.domain_id == DEFAULT_DOMAIN)
    return session.scalars(select(UserRecord).where(*by)).first()


def _account(session: Session, name: str, role_id: str) -> Account | None:
    """The user with its project and role; nothing when the user is there already."""
    project_id = _project(session, name)
    if _find_user(session, name) is not None:
        return None
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    now = clock.now()
    user = UserRecord(
        id=clock.new_id(),
        domain_id=DEFAULT_DOMAIN,
        name=name,
        default_project_id=project_id,
        created_at=now,
    )
    session.add(user)
    session.flush()
    session.add(
        PasswordRecord(user_id=user.id, hash=hash_password(password, FIRST_ROUNDS), created_at=now)
    )
    _assign(session, user, "project", project_id, role_id)
    return Account(name, password, project=name)


def _assign(session: Session, user: UserRecord, kind: str, target_id: str, role_id: str) -> None:
    if session.get(AssignmentRecord, ("user", user.id, kind, target_id, role_id, False)) is None:
        session.add(
            AssignmentRecord(
                actor_kind="user",
                actor_id=user.id,
                target_kind=kind,
                target_id=target_id,
                role_id=role_id,
                inherited=False,
            )
        )


def _catalogue(
    session: Session, settings: IdentitySettings, base_url: str, offers: Iterable[Offer]
) -> None:
    if session.get(RegionRecord, settings.region) is None:
        session.add(RegionRecord(id=settings.region, parent_region_id=None))
        session.flush()
    for offer in offers:
        found = select(ServiceRecord).where(
            ServiceRecord.type == offer.type, ServiceRecord.name == offer.name
        )
        service = session.scalar(found)
        if service is None:
            service = ServiceRecord(id=clock.new_id(), type=offer.type, name=offer.name)
            session.add(service)
            session.flush()
        _endpoints(session, service.id, settings.region, base_url + offer.path)


def _endpoints(session: Session, service_id: str, region_id: str, url: str) -> None:
    """Our own endpoints lead to where we answer now; those that an operator made stay as they are.

    Ours are known by their ids, which follow from what they are of.
    """
    for interface in INTERFACES:
        endpoint_id = uuid5(OURS, f"{service_id}/{region_id}/{interface}").hex
        endpoint = session.get(EndpointRecord, endpoint_id)
        if endpoint is None:
            endpoint = EndpointRecord(
                id=endpoint_id, service_id=service_id, region_id=region_id, interface=interface
            )
            session.add(endpoint)
        if endpoint.url != url:
            endpoint.url = url
