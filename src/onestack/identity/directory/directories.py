"""The directories of domains: which domains have one, and the way to it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

import msgspec
from sqlalchemy import select

from onestack.core import clock, log
from onestack.core.context import Context
from onestack.core.db import Database
from onestack.core.errors import Unavailable
from onestack.identity.credential_keys import CredentialKeys
from onestack.identity.directory.contract import (
    Directory,
    DirectoryFailed,
    DirectoryUnreachable,
)
from onestack.identity.domain_config import DEFAULTS
from onestack.identity.domain_options import DomainConfigRecord, settings_for

REST_S = 10.0  # so long a directory that failed is left alone

Driver = Callable[[Mapping[str, Any]], Directory]


class DirectoryDown(Unavailable):
    message = "The directory that holds the users of domain {domain_id} does not answer."


class Way(msgspec.Struct):
    """An open way to a directory, with what it was opened with."""

    options: Mapping[str, Any]
    directory: Directory
    rests_until: float = 0.0
    list_rests_until: float = 0.0
    turn: Lock = msgspec.field(default_factory=Lock)  # one reads all of it at a time


class Directories:
    """Every domain's directory, by the drivers that there are; opened when first asked."""

    def __init__(
        self, database: Database, keys: CredentialKeys, drivers: Mapping[str, Driver]
    ) -> None:
        self.database, self.keys, self.drivers = database, keys, drivers
        self._known: tuple[int, frozenset[str]] = (-1, frozenset())
        self._ways: dict[str, Way] = {}

    def domains(self) -> frozenset[str]:
        """The domains that have a directory; nothing is asked of any."""
        revision = self.database.revision(DomainConfigRecord.topic or "")
        known, domains = self._known
        if known == revision:
            return domains
        drivers = select(DomainConfigRecord).where(
            DomainConfigRecord.group == "identity", DomainConfigRecord.option == "driver"
        )
        with self.database.transaction(write=False) as session:
            domains = frozenset(
                record.domain_id
                for record in session.scalars(drivers)
                if record.value["value"] in tuple(self.drivers)
            )
        self._known = (revision, domains)
        return domains

    def has(self, domain_id: str | None) -> bool:
        """Whether a domain's users and groups live in a directory."""
        return domain_id is not None and domain_id in self.domains()

    def may_wait(self, ctx: Context) -> bool:
        """Whether a list is of a domain with a directory, which it may have to wait for."""
        if "domain_id=" not in ctx.request.query_string:
            return False
        try:
            given = ctx.request.query().get("domain_id", [])
        except ValueError:
            return False  # such a query is refused where it is read
        return any(self.has(domain_id) for domain_id in given)

    def way(self, domain_id: str) -> Way:
        """The way to a domain's directory; a changed configuration opens a new one."""
        with self.database.transaction(write=False) as session:
            config = settings_for(session, self.keys, domain_id)
        driver = self.drivers.get(config.get("identity", {}).get("driver", ""))
        options = {**DEFAULTS["ldap"], **config.get("ldap", {})}
        way = self._ways.get(domain_id)
        if way is None or way.options != options:
            if driver is None:
                raise DirectoryDown(domain_id=domain_id)
            with _told(domain_id):
                way = self._ways[domain_id] = Way(options, driver(options))
        return way

    @contextmanager
    def reach(self, domain_id: str) -> Iterator[Directory]:
        """A domain's directory; the database must be released, for the answers may take long.

        One that did not answer is not asked again for a while: nobody queues for the dead.
        """
        way = self.way(domain_id)
        if clock.monotonic() < way.rests_until:
            raise DirectoryDown(domain_id=domain_id)
        with _told(domain_id):
            try:
                yield way.directory
            except DirectoryUnreachable:
                way.rests_until = clock.monotonic() + REST_S
                raise


@contextmanager
def _told(domain_id: str) -> Iterator[None]:
    """Tell the operator why a directory fails; the client hears only that it does."""
    try:
        yield
    except DirectoryFailed as error:
        log.warning("a directory failed", domain_id=domain_id, reason=str(error)[:500])
        raise DirectoryDown(domain_id=domain_id) from None
