"""Consumers, and the tokens that they get, as rows; every secret in them is encrypted."""

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Record
from onestack.core.errors import NotFound


class ConsumerRecord(Record):
    """A program that users may let act for them."""

    __tablename__ = "oauth1_consumers"
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str | None]
    encrypted_secret: Mapped[str]
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class RequestTokenRecord(Record):
    """A consumer's wish to act on a project, and who granted it."""

    __tablename__ = "oauth1_request_tokens"

    id: Mapped[str] = mapped_column(primary_key=True)
    consumer_id: Mapped[str] = mapped_column(
        ForeignKey("oauth1_consumers.id", ondelete="CASCADE"), index=True
    )
    project_id: Mapped[str] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    encrypted_secret: Mapped[str]
    encrypted_verifier: Mapped[str | None]
    authorizing_user_id: Mapped[str | None] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    role_ids: Mapped[list[str]] = mapped_column(default=list)
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)


class AccessTokenRecord(Record):
    """What a user lets a consumer do: act as that user on a project, with these roles."""

    __tablename__ = "oauth1_access_tokens"
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    consumer_id: Mapped[str] = mapped_column(
        ForeignKey("oauth1_consumers.id", ondelete="CASCADE"), index=True
    )
    authorizing_user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    project_id: Mapped[str] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    encrypted_secret: Mapped[str]
    role_ids: Mapped[list[str]]
    expires_at: Mapped[dt.datetime]


class NonceRecord(Record):
    """A signed request that was accepted, for as long as its time would let it be sent again."""

    __tablename__ = "oauth1_nonces"

    consumer_id: Mapped[str] = mapped_column(
        ForeignKey("oauth1_consumers.id", ondelete="CASCADE"), primary_key=True
    )
    token_id: Mapped[str] = mapped_column(primary_key=True)
    signed_at: Mapped[dt.datetime] = mapped_column(primary_key=True)
    nonce: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)


class ConsumerNotFound(NotFound):
    message = "Could not find consumer: {consumer_id}."


class RequestTokenNotFound(NotFound):
    message = "Could not find request token: {token_id}."


class AccessTokenNotFound(NotFound):
    message = "Could not find access token: {token_id}."


def find_consumer(session: Session, consumer_id: str) -> ConsumerRecord:
    """The consumer with this id."""
    record = session.get(ConsumerRecord, consumer_id)
    if record is None:
        raise ConsumerNotFound(consumer_id=consumer_id)
    return record
