"""Credentials as rows, and what is inside those whose type we understand."""

import hashlib
from typing import Any

import msgspec
from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Record
from onestack.core.errors import BadRequest, NotFound

EC2 = "ec2"
TOTP = "totp"


class CredentialRecord(Record):
    """A secret of a user; the blob is encrypted."""

    __tablename__ = "credentials"
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[str | None] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    type: Mapped[str] = mapped_column(index=True)
    encrypted_blob: Mapped[str]
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class CredentialNotFound(NotFound):
    message = "Could not find credential: {credential_id}."


class BadBlob(BadRequest):
    message = "Invalid blob in credential: {reason}"


class Ec2Blob(msgspec.Struct, frozen=True):
    """The keys of an EC2 credential, and what lent the rights that it was made with."""

    access: str
    secret: str
    trust_id: str | None = None
    app_cred_id: str | None = None
    access_token_id: str | None = None

    @property
    def lenders(self) -> dict[str, str | None]:
        return {name: getattr(self, name) for name in LENDERS}


LENDERS = ("trust_id", "app_cred_id", "access_token_id")


def read_ec2(blob: str) -> Ec2Blob:
    """The keys in an EC2 credential's blob."""
    try:
        found = msgspec.json.decode(blob.encode("utf-8", "surrogatepass"), type=Ec2Blob)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadBlob(reason=f"{error}") from None
    if not found.access or not found.secret:
        raise BadBlob(reason="access and secret must not be empty")
    return found


def id_of_access(access: str) -> str:
    """The id of the EC2 credential with this access key."""
    return hashlib.sha256(access.encode("utf-8", "surrogatepass")).hexdigest()


def find(session: Session, credential_id: str) -> CredentialRecord:
    """The credential with this id."""
    record = session.get(CredentialRecord, credential_id)
    if record is None:
        raise CredentialNotFound(credential_id=credential_id)
    return record


def of_type(session: Session, user_id: str, type_: str) -> list[CredentialRecord]:
    """The user's credentials of one type."""
    mine = select(CredentialRecord).filter_by(user_id=user_id, type=type_)
    return list(session.scalars(mine.order_by(CredentialRecord.id)))
