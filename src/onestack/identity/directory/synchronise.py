"""All of a directory: read when somebody lists its domain, and by the cloud now and then."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock, log
from onestack.core.context import Cloud, Context
from onestack.core.db import Database
from onestack.identity.directory import rows
from onestack.identity.directory.contract import DirectoryGroup, DirectoryUser
from onestack.identity.directory.directories import REST_S, Directories, DirectoryDown, Way
from onestack.identity.directory.record import DirectoryEntryRecord, DirectoryRecord
from onestack.identity.directory.rows import Entry, Kind
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.settings import IdentitySettings

TURN_S = 5.0
BATCH = 200


def synchronise(cloud: Cloud, domain_id: str) -> None:
    """Make the rows of a domain what its directory has; the database must be released."""
    with cloud.get(Directories).reach(domain_id) as directory:
        users, groups = directory.users(), directory.groups()
    domain = Turns(cloud.get(Database), domain_id)
    everybody = rows.by_id(domain_id, rows.USERS, users)
    every_group = rows.by_id(domain_id, rows.GROUPS, groups)
    domain.change(_gone(domain, {*everybody, *every_group}), rows.remove)
    _keep(domain, rows.USERS, everybody)
    _keep(domain, rows.GROUPS, every_group)
    _keep_members(domain, everybody, every_group)
    domain.change([domain_id], _note)


class Turns:
    """A domain's rows, changed a few at a time: others who write come in between."""

    def __init__(self, database: Database, domain_id: str) -> None:
        self.database, self.domain_id = database, domain_id

    def change(self, ids: Sequence[str], change: Callable[[Session, Sequence[str]], None]) -> None:
        """Apply the change to what has these ids."""
        for start in range(0, len(ids), BATCH):
            rows.committed(self.database, partial(self._change, change, ids[start : start + BATCH]))

    def _change(
        self,
        change: Callable[[Session, Sequence[str]], None],
        ids: Sequence[str],
        session: Session,
    ) -> None:
        # Whoever else synchronises this domain waits here, and then finds nothing to change.
        if session.get(ProjectRecord, self.domain_id, with_for_update=True) is not None:
            change(session, ids)


def synchronise_all(cloud: Cloud) -> int:
    """Synchronise every enabled domain that has a directory; how many of them could be."""
    succeeded = 0
    for domain_id in sorted(cloud.get(Directories).domains()):
        with cloud.get(Database).transaction(write=False) as session:
            domain = session.get(ProjectRecord, domain_id)
        if domain is None or not domain.enabled:
            continue
        try:
            synchronise(cloud, domain_id)
        except DirectoryDown:
            continue  # the log has the reason; the other domains' directories may be well
        succeeded += 1
    return succeeded


def if_due(ctx: Context, domain_id: str) -> None:
    """Synchronise a domain that is about to be listed, if its rows are too old.

    When the directory fails, the rows that there are must do.
    """
    if not _is_due(ctx, domain_id):
        return
    ctx.release()  # the directory may take long; nobody waits for it with the database held
    try:
        way = ctx.cloud.get(Directories).way(domain_id)
        if clock.monotonic() < way.list_rests_until:
            return
        _take_turn(ctx, domain_id, way)
    except DirectoryDown:
        log.warning("listed without the directory", domain_id=domain_id)


def _take_turn(ctx: Context, domain_id: str, way: Way) -> None:
    if not way.turn.acquire(timeout=TURN_S):
        return  # another reads it, and takes long
    try:
        if not _is_due(ctx, domain_id):
            return
        ctx.release()
        synchronise(ctx.cloud, domain_id)
    except DirectoryDown:
        way.list_rests_until = clock.monotonic() + REST_S
        raise
    finally:
        way.turn.release()


def _is_due(ctx: Context, domain_id: str) -> bool:
    domain = ctx.session.get(ProjectRecord, domain_id)
    if domain is None or not domain.enabled:
        return False
    last = ctx.session.get(DirectoryRecord, domain_id)
    cache = dt.timedelta(seconds=ctx.cloud.get(IdentitySettings).directory_cache_s)
    return last is None or last.synchronised_at + cache <= clock.now()


def _gone(domain: Turns, kept: set[str]) -> list[str]:
    marks = select(DirectoryEntryRecord.id).where(
        DirectoryEntryRecord.domain_id == domain.domain_id
    )
    with domain.database.transaction(write=False) as session:
        return sorted(set(session.scalars(marks)) - kept)


def _keep(domain: Turns, kind: Kind, wanted: Mapping[str, Entry]) -> None:
    """Make or change the rows that are not yet what the directory says."""
    marks = select(DirectoryEntryRecord.id).where(
        DirectoryEntryRecord.domain_id == domain.domain_id
    )
    everything = select(kind.record).where(kind.record.domain_id == domain.domain_id)
    with domain.database.transaction(write=False) as session:
        held = {row.id: row for row in session.scalars(everything)}
        marked = set(session.scalars(marks))
        names = rows.names_of(kind, wanted, held, marked - {*wanted})
        concerned = [
            row_id
            for row_id, entry in wanted.items()
            if row_id not in marked or rows.changes_of(kind, held.get(row_id), entry, names[row_id])
        ]

    def keep(session: Session, ids: Sequence[str]) -> None:
        some = {row_id: wanted[row_id] for row_id in ids}
        rows.keep(session, domain.domain_id, kind, some, names)

    domain.change(concerned, keep)


def _keep_members(
    domain: Turns, users: Mapping[str, DirectoryUser], groups: Mapping[str, DirectoryGroup]
) -> None:
    by_listing = {user.listed_as: user_id for user_id, user in users.items()}
    wanted = {
        group_id: {by_listing[member] for member in group.members if member in by_listing}
        for group_id, group in groups.items()
    }
    current: dict[str, set[str]] = {}
    with domain.database.transaction(write=False) as session:
        for user_id, group_id in rows.memberships(session, domain.domain_id):
            current.setdefault(group_id, set()).add(user_id)

    def keep(session: Session, ids: Sequence[str]) -> None:
        members = {(user_id, group_id) for group_id in ids for user_id in wanted[group_id]}
        rows.set_memberships(session, members, rows.members_of(session, ids))

    concerned = [
        group_id for group_id in groups if wanted[group_id] != current.get(group_id, set())
    ]
    domain.change(concerned, keep)


def _note(session: Session, domain_ids: Sequence[str]) -> None:
    for domain_id in domain_ids:
        session.merge(DirectoryRecord(domain_id=domain_id, synchronised_at=clock.now()))
