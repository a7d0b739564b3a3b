"""Key pairs: what a user signs in to servers with."""

import datetime as dt

from sqlalchemy import UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.api import Operations
from onestack.core.db import Record
from onestack.core.errors import NotFound

api = Operations("key pairs")


class KeypairRecord(Record):
    """A public key, or a certificate, of a user."""

    __tablename__ = "keypairs"
    __table_args__ = (UniqueConstraint("user_id", "name"),)
    topic = "compute"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[str]
    name: Mapped[str]
    type: Mapped[str]
    public_key: Mapped[str]
    fingerprint: Mapped[str]
    created_at: Mapped[dt.datetime]


class KeypairNotFound(NotFound):
    message = "Keypair {name} not found for user {user_id}"


def find(session: Session, user_id: str, name: str) -> KeypairRecord:
    """The key pair of a user that has this name."""
    wanted = select(KeypairRecord).where(
        KeypairRecord.user_id == user_id, KeypairRecord.name == name
    )
    record = session.scalar(wanted)
    if record is None:
        raise KeypairNotFound(name=name, user_id=user_id)
    return record
