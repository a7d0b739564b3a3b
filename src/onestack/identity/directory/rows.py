"""The rows that stand for a directory's users and groups: made, changed and removed with them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import delete, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from onestack.core import clock, event, log
from onestack.core.db import Database
from onestack.identity.assignments.removal import forget_actor
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


@dataclass(frozen=True)
class Kind:
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


def keep_all(
    session: Session,
    domain_id: str,
    users: Sequence[DirectoryUser],
    groups: Sequence[DirectoryGroup],
) -> None:
    """Make a domain's rows what its whole directory is."""
    everybody = _by_id(domain_id, USER, users)
    every_group = _by_id(domain_id, GROUP, groups)
    _remove_others(session, domain_id, {*everybody, *every_group})
    _keep(session, domain_id, USERS, everybody)
    _keep(session, domain_id, GROUPS, every_group)
    by_listing = {user.listed_as: user_id for user_id, user in everybody.items()}
    wanted = {
        (by_listing[member], group_id)
        for group_id, group in every_group.items()
        for member in group.members
        if member in by_listing
    }
    _set_memberships(session, wanted, _memberships(session, domain_id))


def keep_one(session: Session, domain_id: str, found: Found, *, by_name: bool) -> str:
    """Make the rows of one user and its groups what the directory says; the user's id.

    Who was found by name is the only one of that name: a row that still has it is out of date.
    """
    one = _by_id(domain_id, USER, [found.user])
    groups = _by_id(domain_id, GROUP, found.groups)
    _keep(session, domain_id, USERS, one, displaces=by_name)
    _keep(session, domain_id, GROUPS, groups, displaces=False)
    (user_id,) = one
    wanted = {(user_id, group_id) for group_id in groups}
    _set_memberships(session, wanted, _memberships(session, domain_id, user_id))
    return user_id


def _by_id(domain_id: str, kind: str, entries: Iterable[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in entries:
        row_id = entry_id(domain_id, kind, entry.key)
        if found.setdefault(row_id, entry) is not entry:
            log.warning("two entries of a directory have one key", kind=kind, key=entry.key)
    return found


def _keep(
    session: Session,
    domain_id: str,
    kind: Kind,
    wanted: Mapping[str, Entry],
    *,
    displaces: bool | None = None,
) -> None:
    """Make or change the rows of these entries, and mark them as the directory's.

    They are all that there are, unless `displaces` says whether they take names from others.
    """
    record, is_whole = kind.record, displaces is None
    statement = select(record).where(record.domain_id == domain_id)
    if not is_whole:
        called = [entry.name for entry in wanted.values()]
        statement = statement.where(or_(record.id.in_(wanted), record.name.in_(called)))
    rows = {row.id: row for row in session.scalars(statement)}
    marks = select(DirectoryEntryRecord.id).where(DirectoryEntryRecord.domain_id == domain_id)
    if not is_whole:
        marks = marks.where(DirectoryEntryRecord.id.in_({*rows, *wanted}))
    marked = set(session.scalars(marks))
    names = _names(kind, wanted, rows, marked if displaces else set())
    _free_names(session, rows, names)
    for row_id, entry in wanted.items():
        row = rows.get(row_id)
        if row is None:
            session.add(kind.made(row_id, domain_id, names[row_id], kind.told(entry)))
            event.emit(session, f"identity.{kind.name}.created", {"resource_info": row_id})
        elif _change(session, row, names[row_id], kind.told(entry)):
            event.emit(session, f"identity.{kind.name}.updated", {"resource_info": row_id})
        if row_id not in marked:
            session.add(
                DirectoryEntryRecord(id=row_id, kind=kind.name, domain_id=domain_id, key=entry.key)
            )
    session.flush()


def _names(
    kind: Kind, wanted: Mapping[str, Entry], rows: Mapping[str, Row], yielding: set[str]
) -> dict[str, str]:
    """The name of every row; who finds his own taken is called by his id, as is who yields it.

    An account of the cloud's own keeps its name: else whoever writes to the directory could make
    an entry of that name, and be taken for it.
    """
    called = {entry.name for entry in wanted.values()}
    others = [row for row in rows.values() if row.id not in wanted and row.name in called]
    taken = {row.name for row in others if row.id not in yielding}
    names = {row.id: row.id for row in others if row.id in yielding}
    had = {row_id for row_id, entry in wanted.items() if _is_called(rows.get(row_id), entry.name)}
    for row_id in sorted(wanted, key=lambda row_id: (row_id not in had, wanted[row_id].key)):
        name = wanted[row_id].name
        if name in taken:
            log.warning("a directory's name is taken", kind=kind.name, id=row_id, name=name)
            name = row_id
        taken.add(name)
        names[row_id] = name
    return names


def _is_called(row: Row | None, name: str) -> bool:
    return row is not None and row.name == name


def _free_names(session: Session, rows: Mapping[str, Row], names: Mapping[str, str]) -> None:
    """Let go of the names that change, all at once: they may be passed around among the rows."""
    renamed = [row for row in rows.values() if names.get(row.id, row.name) != row.name]
    for row in renamed:
        row.name = row.id
    if renamed:
        session.flush()


def _change(session: Session, row: Row, name: str, told: Mapping[str, Any]) -> bool:
    """Change what is different; whether anything is."""
    changes = {key: value for key, value in {**told, "name": name}.items()
               if getattr(row, key) != value}  # fmt: skip
    for key, value in changes.items():
        setattr(row, key, value)
    if changes.get("enabled") is False:
        revoke(session, user_id=row.id)
    return bool(changes)


def _remove_others(session: Session, domain_id: str, kept: set[str]) -> None:
    """Remove the rows of entries that are gone, with all that they had."""
    marks = select(DirectoryEntryRecord).where(DirectoryEntryRecord.domain_id == domain_id)
    for mark in list(session.scalars(marks)):
        if mark.id in kept:
            continue
        if mark.kind == USER:
            user = session.get(UserRecord, mark.id)
            if user is not None:
                removal.remove(session, user)
        else:
            _remove_group(session, mark.id)
        session.delete(mark)
    session.flush()


def _remove_group(session: Session, group_id: str) -> None:
    group = session.get(GroupRecord, group_id)
    if group is not None:
        forget_actor(session, GROUP, group_id)
        session.delete(group)
        event.emit(session, "identity.group.deleted", {"resource_info": group_id})


def _memberships(
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


def _set_memberships(
    session: Session, wanted: set[tuple[str, str]], current: set[tuple[str, str]]
) -> None:
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


def _made_user(row_id: str, domain_id: str, name: str, told: Mapping[str, Any]) -> UserRecord:
    return UserRecord(
        id=row_id,
        domain_id=domain_id,
        name=name,
        created_at=clock.now(),
        options=dict(OPTIONS),
        **told,
    )


def _made_group(row_id: str, domain_id: str, name: str, told: Mapping[str, Any]) -> GroupRecord:
    return GroupRecord(id=row_id, domain_id=domain_id, name=name, **told)


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
