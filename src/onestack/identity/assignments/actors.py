"""Actors: the users and groups that roles are given to, wherever they are kept."""

from collections.abc import Iterable

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core.context import Context
from onestack.identity.groups import GroupNotFound, GroupRecord
from onestack.identity.users.record import UserNotFound, UserRecord

CHUNK = 5000  # databases limit how many values one statement may carry


class Actor(msgspec.Struct, frozen=True):
    """A user or group, as far as assignments need to know it."""

    kind: str
    id: str
    name: str
    domain_id: str


def require_user(ctx: Context, user_id: str) -> Actor:
    """The user with this id, or 404."""
    found = named(ctx.session, "user", [user_id]).get(user_id)
    if found is None:
        raise UserNotFound(user_id=user_id)
    return found


def require_group(ctx: Context, group_id: str) -> Actor:
    """The group with this id, or 404."""
    found = named(ctx.session, "group", [group_id]).get(group_id)
    if found is None:
        raise GroupNotFound(group_id=group_id)
    return found


def named(session: Session, kind: str, ids: Iterable[str]) -> dict[str, Actor]:
    """Those of the users, or groups, that there are."""
    record = UserRecord if kind == "user" else GroupRecord
    wanted = list(ids)
    found: dict[str, Actor] = {}
    for start in range(0, len(wanted), CHUNK):
        some = record.id.in_(wanted[start : start + CHUNK])
        rows = session.execute(select(record.id, record.name, record.domain_id).where(some))
        found.update((row.id, Actor(kind, row.id, row.name, row.domain_id)) for row in rows)
    return found
