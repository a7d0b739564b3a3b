"""Directories as rows: which users and groups are a directory's, and how old they may be."""

import datetime as dt
import hashlib

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Record

USER = "user"
GROUP = "group"


class DirectoryRecord(Record):
    """When all users and groups of a domain were last read from its directory."""

    __tablename__ = "directories"

    domain_id: Mapped[str] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    synchronised_at: Mapped[dt.datetime]


class DirectoryEntryRecord(Record):
    """A user or group, by its own id, that is the directory's of its domain."""

    __tablename__ = "directory_entries"

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    domain_id: Mapped[str] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    key: Mapped[str]


def entry_id(domain_id: str, kind: str, key: str) -> str:
    """The id of a directory's entry: the same for ever, and the same that Keystone gives it."""
    return hashlib.sha256(f"{domain_id}{kind}{key}".encode()).hexdigest()
