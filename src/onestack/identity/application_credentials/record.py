"""Application credentials as rows, with the roles and the requests that each allows."""

import datetime as dt

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Record
from onestack.core.errors import NotFound
from onestack.identity.access_rules import AccessRuleRecord, AccessRuleUseRecord
from onestack.identity.roles.record import RoleRecord


class ApplicationCredentialRecord(Record):
    """What lets a program act for a user on one project."""

    __tablename__ = "application_credentials"
    __table_args__ = (Index("uq_application_credentials_name", "user_id", "name", unique=True),)
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    project_id: Mapped[str] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str]
    description: Mapped[str | None]
    secret_hash: Mapped[str]
    expires_at: Mapped[dt.datetime | None]
    unrestricted: Mapped[bool] = mapped_column(default=False)
    # Said apart from the rules: a credential that lost them must not be good for everything.
    has_access_rules: Mapped[bool] = mapped_column(default=False)


class ApplicationCredentialRoleRecord(Record):
    """A role that an application credential has."""

    __tablename__ = "application_credential_roles"
    topic = "identity"

    application_credential_id: Mapped[str] = mapped_column(
        ForeignKey("application_credentials.id", ondelete="CASCADE"), primary_key=True
    )
    role_id: Mapped[str] = mapped_column(
        ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class ApplicationCredentialNotFound(NotFound):
    message = "Could not find Application Credential: {application_credential_id}."


def find(session: Session, user_id: str, credential_id: str) -> ApplicationCredentialRecord:
    """The user's application credential with this id."""
    record = session.get(ApplicationCredentialRecord, credential_id)
    if record is None or record.user_id != user_id:
        raise ApplicationCredentialNotFound(application_credential_id=credential_id)
    return record


def roles_of(session: Session, credential_id: str) -> list[RoleRecord]:
    """The roles that an application credential has, if its user has them still."""
    mine = ApplicationCredentialRoleRecord.application_credential_id == credential_id
    found = select(RoleRecord).join(ApplicationCredentialRoleRecord).where(mine)
    return list(session.scalars(found.order_by(RoleRecord.name)))


def rules_of(session: Session, credential_id: str) -> list[AccessRuleRecord]:
    """The requests that an application credential may make."""
    mine = AccessRuleUseRecord.application_credential_id == credential_id
    found = select(AccessRuleRecord).join(AccessRuleUseRecord).where(mine)
    order = (AccessRuleRecord.service, AccessRuleRecord.path, AccessRuleRecord.method)
    return list(session.scalars(found.order_by(*order)))
