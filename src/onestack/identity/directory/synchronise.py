"""All of a directory: read when somebody lists its domain, and by the cloud now and then."""

import datetime as dt

from sqlalchemy.orm import Session

from onestack.core import clock, log
from onestack.core.context import Cloud, Context
from onestack.core.db import Database
from onestack.identity.directory import rows
from onestack.identity.directory.directories import REST_S, Directories, DirectoryDown, Way
from onestack.identity.directory.record import DirectoryRecord
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.settings import IdentitySettings

TURN_S = 5.0


def synchronise(cloud: Cloud, domain_id: str) -> None:
    """Make the rows of a domain what its directory has; the database must be released."""
    directories, database = cloud.get(Directories), cloud.get(Database)
    with directories.reach(domain_id) as directory:
        users, groups = directory.users(), directory.groups()

    def keep(session: Session) -> None:
        # Whoever else synchronises this domain waits here, and then finds nothing to change.
        domain = session.get(ProjectRecord, domain_id, with_for_update=True)
        if domain is not None:
            rows.keep_all(session, domain_id, users, groups)
            session.merge(DirectoryRecord(domain_id=domain_id, synchronised_at=clock.now()))

    rows.committed(database, keep)


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
