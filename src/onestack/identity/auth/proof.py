"""What a method of authentication proves, and how methods find the user that a request names."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, Unauthorized
from onestack.core.shapes import Shape
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.users.record import UserRecord


class Proof(msgspec.Struct, frozen=True):
    """Who was proven, and what that binds the token to."""

    user_id: str
    methods: tuple[str, ...]
    expires_at: dt.datetime | None = None
    audit_chain: tuple[str, ...] = ()
    claims: Mapping[str, Any] = {}  # claims that the token must carry
    may_rescope: bool = True  # False: the claims hold the only scope that there is


class DomainReference(Shape):
    """A domain, by id or name."""

    id: str | None = None
    name: str | None = None


class UserReference(Shape):
    """A user, by id, or by name and domain."""

    id: str | None = None
    name: str | None = None
    domain: DomainReference | None = None


def find_domain(session: Session, reference: DomainReference | None) -> ProjectRecord:
    """The domain that a request names."""
    if reference is None or (reference.id is None and reference.name is None):
        raise BadRequest("Expecting to find domain in the request: by its id or its name.")
    by = (
        ProjectRecord.id == reference.id
        if reference.id is not None
        else ProjectRecord.name == reference.name
    )
    domain = session.scalar(select(ProjectRecord).where(by, ProjectRecord.is_domain))
    if domain is None:
        raise Unauthorized
    return domain


def find_user(session: Session, reference: UserReference) -> UserRecord | None:
    """The user that a request names, or nothing: the caller must not tell the difference."""
    if reference.id is not None:
        return session.get(UserRecord, reference.id)
    if reference.name is None:
        raise BadRequest("Expecting to find id or name in user.")
    if reference.domain is None:
        raise BadRequest("Expecting to find domain in user.")
    try:
        domain = find_domain(session, reference.domain)
    except Unauthorized:
        return None
    by = (UserRecord.domain_id == domain.id, UserRecord.name == reference.name)
    return session.scalar(select(UserRecord).where(*by))
