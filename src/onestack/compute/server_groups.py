"""Server groups: servers that shall be on one host, or on as many as there are."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ForeignKey, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.api import Operations
from onestack.core.db import Record
from onestack.core.errors import NotFound

api = Operations("server groups")


class ServerGroupRecord(Record):
    """A group, and what its servers are to each other."""

    __tablename__ = "server_groups"
    topic = "compute"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    project_id: Mapped[str] = mapped_column(index=True)
    user_id: Mapped[str]
    policy: Mapped[str]
    rules: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[dt.datetime]


class ServerGroupMemberRecord(Record):
    """A server is in a group: in one at most."""

    __tablename__ = "server_group_members"
    topic = "compute"

    server_id: Mapped[str] = mapped_column(primary_key=True)
    group_id: Mapped[str] = mapped_column(
        ForeignKey("server_groups.id", ondelete="CASCADE"), index=True
    )


class ServerGroupNotFound(NotFound):
    message = "Instance group {group_id} could not be found."


def find(session: Session, group_id: str, project_id: str | None = None) -> ServerGroupRecord:
    """The group with this id; of this project, when one is given."""
    record = session.get(ServerGroupRecord, group_id)
    if record is None or project_id not in (None, record.project_id):
        raise ServerGroupNotFound(group_id=group_id)
    return record


def of_server(session: Session, server_id: str) -> ServerGroupRecord | None:
    """The group that a server is in."""
    membership = session.get(ServerGroupMemberRecord, server_id)
    return None if membership is None else session.get(ServerGroupRecord, membership.group_id)


def by_server(session: Session, server_ids: Iterable[str]) -> dict[str, str]:
    """The ids of the groups that servers are in, by the servers' ids."""
    rows = session.execute(
        select(ServerGroupMemberRecord.server_id, ServerGroupMemberRecord.group_id).where(
            ServerGroupMemberRecord.server_id.in_(server_ids)
        )
    )
    return {row.server_id: row.group_id for row in rows}


def join(session: Session, group_id: str, server_ids: Iterable[str]) -> None:
    """Put new servers into a group."""
    session.add_all(
        ServerGroupMemberRecord(server_id=each, group_id=group_id) for each in server_ids
    )


def leave(session: Session, server_id: str) -> None:
    """Take a server that is deleted out of its group."""
    session.execute(
        delete(ServerGroupMemberRecord).where(ServerGroupMemberRecord.server_id == server_id)
    )
