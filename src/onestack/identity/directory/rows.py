"""The rows that stand for a directory's users and groups: made, changed and removed with them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import delete, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from onestack.core import clock, log
from onestack.core.db import Database
from onestack.identity import events, groups
from onestack.identity.directory.contract import DirectoryGroup, DirectoryUser, Found
from onestack.identity.directory.record import GROUP, USER, DirectoryEntryRecord, entry_id
from onestack.identity.groups import GroupRecord
from onestack.identity.memberships import MembershipRecord
from onestack.identity.tokens.revocation import revoke
from onestack.identity.users import removal
from onestack.identity.users.record import UserRecord

# A directory says who is active; how long ago somebody signed in here says nothing.
OPTIONS = {"ignore_user_inactivity": True}

Entry = DirectoryUser | DirectoryGroup
Row = UserRecord | GroupRecord
Kept = TypeVar("Kept")


class Kind(msgspec.Struct, frozen=True):
    """What users and groups differ in."""

    name: str
    record: type[Any]
    made: Callable[..., Row]
    told: Callable[[Any], dict[str, Any]]


def committed(database: Database, change: Callable[[Session], Kept]) -> Kept:
    """Change rows in a transaction of its own; once more if another made the same ones first."""
    try:
        with database.transaction() as session:
            return change(session)
    except IntegrityError:
        with database.transaction() as session:
            return change(session)


def keep_one(session: Session, domain_id: str, found: Found, *, by_name: bool) -> str:
    """Make the rows of one user and its groups what the directory says; the user's id.

    Who was found by name is the only one of that name: a row that still has it is out of date.
    """
    one = by_id(domain_id, USERS, [found.user])
    groups = by_id(domain_id, GROUPS, found.groups)
    for kind, wanted, displaces in ((USERS, one, by_name), (GROUPS, groups, False)):
        called = {entry.name for entry in wanted.values()}
        held, marked = _held(session, domain_id, kind, {*wanted}, called)
        names = names_of(kind, wanted, held, marked if displaces else set())
        keep(session, domain_id, kind, wanted, names)
    (user_id,) = one
    current = memberships(session, domain_id, user_id)
    set_memberships(session, {(user_id, group_id) for group_id in groups}, current)
    return user_id


def by_id(domain_id: str, kind: Kind, entries: Iterable[Any]) -> dict[str, Any]:
    """Entries by the ids of their rows."""
    found: dict[str, Any] = {}
    for entry in entries:
        row_id = entry_id(domain_id, kind.name, entry.key)
        if found.setdefault(row_id, entry) is not entry:
            log.warning("two entries of a directory have one key", kind=kind.name, key=entry.key)
    return found


def names_of(
    kind: Kind, wanted: Mapping[str, Entry], rows: Mapping[str, Row], yielding: set[str]
) -> dict[str, str]:
    """What to call every entry; who finds his name taken by one that does not yield has his id.

    An account of the cloud's own keeps its name: else whoever writes to the directory could make
    an entry of that name, and be taken for it.
    """
    taken = {row.name for row in rows.values() if row.id not in wanted and row.id not in yielding}
    had = {row_id for row_id, entry in wanted.items() if _is_called(rows.get(row_id), entry.name)}
    names: dict[str, str] = {}
    for row_id in sorted(wanted, key=lambda row_id: (row_id not in had, wanted[row_id].key)):
        name = wanted[row_id].name
        if name in taken:
            log.warning("a directory's name is taken", kind=kind.name, id=row_id, name=name)
            name = row_id
        taken.add(name)
        names[row_id] = name
    return names


def keep(
    session: Session,
    domain_id: str,
    kind: Kind,
    wanted: Mapping[str, Entry],
    names: Mapping[str, str],
) -> None:
    """Make or change the rows of these entries, and mark them as the directory's."""
    chosen = {row_id: names[row_id] for row_id in wanted}
    held, marked = _held(session, domain_id, kind, {*wanted}, {*chosen.values()})
    # All at once let go of the names that change: they may be passed around among the rows.
    for other in held.values():
        if chosen.get(other.id) != other.name and (other.id in wanted or other.id in marked):
            other.name = other.id
    session.flush()
    for row_id, entry in wanted.items():
        row = held.get(row_id)
        changes = changes_of(kind, row, entry, chosen[row_id])
        if row is None:
            session.add(kind.made(row_id, domain_id, changes))
            events.emit(session, f"{kind.name}.created", row_id)
        elif changes:
            _change(session, row, changes)
            events.emit(session, f"{kind.name}.updated", row_id)
        if row_id not in marked:
            session.add(
                DirectoryEntryRecord(id=row_id, kind=kind.name, domain_id=domain_id, key=entry.key)
            )
    session.flush()


def changes_of(kind: Kind, row: Row | None, entry: Entry, name: str) -> dict[str, Any]:
    """The attributes in which a row is not what the directory says."""
    told = {**kind.told(entry), "name": name}
    if row is None:
        return told
    return {key: value for key, value in told.items() if getattr(row, key) != value}


def _held(
    session: Session, domain_id: str, kind: Kind, ids: set[str], names: set[str]
) -> tuple[dict[str, Row], set[str]]:
    """The rows with these ids or names, and which of all these ids are the directory's."""
    record = kind.record
    statement = select(record).where(record.domain_id == domain_id)
    found = session.scalars(statement.where(or_(record.id.in_(ids), record.name.in_(names))))
    rows = {row.id: row for row in found}
    marks = select(DirectoryEntryRecord.id).where(DirectoryEntryRecord.id.in_({*rows, *ids}))
    return rows, set(session.scalars(marks))


def _is_called(row: Row | None, name: str) -> bool:
    return row is not None and row.name == name


def _change(session: Session, row: Row, changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        setattr(row, key, value)
    if changes.get("enabled") is False:
        revoke(session, user_id=row.id)


def remove(session: Session, ids: Sequence[str]) -> None:
    """Remove the rows of entries that are gone, with all that they had."""
    marks = select(DirectoryEntryRecord).where(DirectoryEntryRecord.id.in_(ids))
    for mark in list(session.scalars(marks)):
        if mark.kind == USER:
            user = session.get(UserRecord, mark.id)
            if user is not None:
                removal.remove(session, user)
        else:
            group = session.get(GroupRecord, mark.id)
            if group is not None:
                groups.remove(session, group)
        session.delete(mark)
    session.flush()


def memberships(
    session: Session, domain_id: str, user_id: str | None = None
) -> set[tuple[str, str]]:
    """Who is in which of the directory's groups, by our rows."""
    groups = select(DirectoryEntryRecord.id).where(
        DirectoryEntryRecord.domain_id == domain_id, DirectoryEntryRecord.kind == GROUP
    )
    statement = select(MembershipRecord.user_id, MembershipRecord.group_id).where(
        MembershipRecord.group_id.in_(groups)
    )
    if user_id is not None:
        statement = statement.where(MembershipRecord.user_id == user_id)
    return {(row.user_id, row.group_id) for row in session.execute(statement)}


def members_of(session: Session, group_ids: Sequence[str]) -> set[tuple[str, str]]:
    """Who is in these groups."""
    statement = select(MembershipRecord.user_id, MembershipRecord.group_id).where(
        MembershipRecord.group_id.in_(group_ids)
    )
    return {(row.user_id, row.group_id) for row in session.execute(statement)}


def set_memberships(
    session: Session, wanted: set[tuple[str, str]], current: set[tuple[str, str]]
) -> None:
    """Put users into groups, and take them out, until it is as wanted."""
    for user_id, group_id in sorted(wanted - current):
        session.add(MembershipRecord(user_id=user_id, group_id=group_id))
    lost = sorted(current - wanted)
    for user_id, group_id in lost:
        session.execute(
            delete(MembershipRecord).where(
                MembershipRecord.user_id == user_id, MembershipRecord.group_id == group_id
            )
        )
    for user_id in sorted({user_id for user_id, _ in lost}):
        revoke(session, user_id=user_id)  # its tokens may be good for less now
    session.flush()


def _made_user(row_id: str, domain_id: str, told: Mapping[str, Any]) -> UserRecord:
    return UserRecord(
        id=row_id,
        domain_id=domain_id,
        created_at=clock.now(),
        options=dict(OPTIONS),
        **told,
    )


def _made_group(row_id: str, domain_id: str, told: Mapping[str, Any]) -> GroupRecord:
    return GroupRecord(id=row_id, domain_id=domain_id, **told)


def _told_of_user(user: DirectoryUser) -> dict[str, Any]:
    return {
        "enabled": user.enabled,
        "default_project_id": user.default_project_id,
        "extra": user.attributes,
    }


def _told_of_group(group: DirectoryGroup) -> dict[str, Any]:
    return {"description": group.description, "extra": group.attributes}


USERS = Kind(USER, UserRecord, _made_user, _told_of_user)
GROUPS = Kind(GROUP, GroupRecord, _made_group, _told_of_group)
