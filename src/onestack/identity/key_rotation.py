"""Rotation of keys: of those for tokens, and of those for what is secret in the database."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from cryptography.fernet import InvalidToken
from sqlalchemy import Table, select, update
from sqlalchemy.orm import InstrumentedAttribute

from onestack.core import clock
from onestack.core.db import Database
from onestack.identity import domain_options
from onestack.identity.credential_keys import CredentialKeys
from onestack.identity.credentials.record import CredentialRecord
from onestack.identity.keys import JwsKeys, KeyRepository
from onestack.identity.oauth1.record import AccessTokenRecord, ConsumerRecord, RequestTokenRecord
from onestack.identity.settings import IdentitySettings

SECRETS: tuple[InstrumentedAttribute[Any], ...] = (
    CredentialRecord.encrypted_blob,
    ConsumerRecord.encrypted_secret,
    RequestTokenRecord.encrypted_secret,
    RequestTokenRecord.encrypted_verifier,
    AccessTokenRecord.encrypted_secret,
)
BATCH = 200


class SecretsUnreadable(Exception):
    """Some secrets were encrypted with keys that are gone; the others have the new key."""

    def __init__(self, rows: list[str]) -> None:
        super().__init__(f"{len(rows)} secrets fit no key, of {', '.join(rows[:5])}")
        self.rows = rows


def rotate_token_keys(settings: IdentitySettings, keys: Path) -> None:
    """Let a new key sign tokens; those that older keys signed count on."""
    if settings.token_provider == "jws":  # noqa: S105 - a kind of token, no secret
        JwsKeys(keys / "jws").rotate()
    else:
        KeyRepository(keys / "fernet", settings.fernet_keys_max).rotate()


def rotate_old_token_keys(settings: IdentitySettings, keys: Path) -> None:
    """Rotate the Fernet keys when the last rotation was long enough ago."""
    is_fernet = settings.token_provider == "fernet"  # noqa: S105 - a kind of token, no secret
    if not is_fernet or settings.fernet_rotation_s == 0:
        return
    repository = KeyRepository(keys / "fernet", settings.fernet_keys_max)
    if clock.now() - repository.rotated_at >= dt.timedelta(seconds=rotation_s(settings)):
        repository.rotate()
    elif len(repository.all) > settings.fernet_keys_max:
        repository.prune()  # the last rotation was interrupted before it came to that


def rotation_s(settings: IdentitySettings) -> float:
    """How long a key stays the primary; never so short that a token outlives its key."""
    old_keys = settings.fernet_keys_max - 2
    return max(settings.fernet_rotation_s, settings.token_expiration_s / old_keys)


def rotate_credential_keys(database: Database, settings: IdentitySettings, keys: Path) -> int:
    """Encrypt every secret in the database with a new key; how many there are.

    Old keys go only after that. The last of them stays: a request that took it just before the
    rotation may still be about to commit what it encrypted.
    """
    repository = KeyRepository(keys / "credential", settings.fernet_keys_max)
    repository.rotate(prune=False)
    count, unreadable = domain_options.rotate(database, CredentialKeys(repository))
    for column in SECRETS:
        for row, encrypted in _rows(database, column):
            count += 1
            try:
                fresh = repository.fernet.rotate(encrypted).decode()
            except InvalidToken:
                unreadable.append(f"{column.class_.__tablename__} {row}")
                continue
            _replace(database, column, row, (encrypted, fresh))
    if unreadable:
        raise SecretsUnreadable(unreadable)
    repository.prune()
    return count


def _rows(database: Database, column: InstrumentedAttribute[Any]) -> Iterator[tuple[str, str]]:
    """The ids and secrets of a table, without holding the database meanwhile."""
    key = column.class_.id
    statement = select(key, column).where(column.is_not(None)).order_by(key).limit(BATCH)
    last = ""
    while True:
        with database.transaction(write=False) as session:
            found = [(each[0], each[1]) for each in session.execute(statement.where(key > last))]
        yield from found
        if len(found) < BATCH:
            return
        last = found[-1][0]


def _replace(
    database: Database, column: InstrumentedAttribute[Any], row: str, change: tuple[str, str]
) -> None:
    """Write what was encrypted anew, unless the secret was changed meanwhile."""
    before, after = change
    table = cast(Table, column.class_.__table__)
    stored = table.c[column.key]
    unchanged = update(table).where(table.c.id == row, stored == before)
    with database.transaction() as session:
        session.connection().execute(unchanged.values({stored: after}))
