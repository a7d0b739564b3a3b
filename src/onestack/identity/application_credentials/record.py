"""Application credentials as rows, with the roles and the requests that each allows."""

import datetime as dt

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from onestack.core.db import Record
from onestack.core.errors import NotFound
from onestack.identity.access_rules import AccessRuleRecord
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
    roles: Mapped[list[RoleRecord]] = relationship(
        secondary="application_credential_roles", order_by=RoleRecord.name, viewonly=True
    )
    access_rules: Mapped[list[AccessRuleRecord]] = relationship(
        secondary="application_credential_access_rules",
        order_by=(AccessRuleRecord.service, AccessRuleRecord.path, AccessRuleRecord.method),
        viewonly=True,
    )


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
