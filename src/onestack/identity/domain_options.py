"""The options of domains as rows, of which the secret ones are encrypted."""

import json
from typing import Any

from sqlalchemy import ForeignKey, and_, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Database, Record
from onestack.identity.credential_keys import BlobUnreadable, CredentialKeys

Options = dict[str, Any]

SENSITIVE = {"ldap": frozenset({"password"})}
ENCRYPTED = "encrypted"


class DomainConfigRecord(Record):
    """One option of one domain."""

    __tablename__ = "domain_config"
    topic = "identity"

    domain_id: Mapped[str] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    group: Mapped[str] = mapped_column("option_group", primary_key=True)
    option: Mapped[str] = mapped_column("option_name", primary_key=True)
    # {"value": what was given}, for a bare null would be SQL's NULL; {"encrypted": it} of a secret
    value: Mapped[Options]


def settings_for(session: Session, keys: CredentialKeys, domain_id: str) -> dict[str, Options]:
    """A domain's own options by group, with its secrets: for those who reach its users.

    A text such as `ldap://u:%(password)s@host` has the secrets that it names put in.
    """
    config = {
        group: {option: _opened(keys, value) for option, value in options.items()}
        for group, options in stored(session, domain_id).items()
    }
    for group, options in config.items():
        secrets = {name: value for name, value in options.items() if is_secret(group, name)}
        for option, value in options.items():
            if isinstance(value, str) and option not in secrets:
                options[option] = _substituted(value, secrets)
    return config


def shown(session: Session, domain_id: str) -> dict[str, Options]:
    """A domain's own options as clients see them: as they were given, without the secrets."""
    config = {
        group: {
            option: value["value"]
            for option, value in options.items()
            if not is_secret(group, option)
        }
        for group, options in stored(session, domain_id).items()
    }
    return {group: options for group, options in config.items() if options}


def stored(session: Session, domain_id: str) -> dict[str, dict[str, Options]]:
    """A domain's own options as the rows hold them: to know which there are."""
    config: dict[str, dict[str, Options]] = {}
    statement = select(DomainConfigRecord).where(DomainConfigRecord.domain_id == domain_id)
    for record in session.scalars(statement):
        config.setdefault(record.group, {})[record.option] = record.value
    return config


def put(session: Session, keys: CredentialKeys, domain_id: str, config: dict[str, Options]) -> None:
    """Write options of a domain; the others stay."""
    for group, options in config.items():
        for option, given in options.items():
            value = _sealed(keys, given) if is_secret(group, option) else {"value": given}
            session.merge(
                DomainConfigRecord(domain_id=domain_id, group=group, option=option, value=value)
            )
    session.flush()


def is_secret(group: str, option: str) -> bool:
    """Whether an option is never shown."""
    return option in SENSITIVE.get(group, ())


def rotate(database: Database, keys: CredentialKeys) -> tuple[int, list[str]]:
    """Encrypt every secret with the newest key: how many there are, and which fit no key."""
    secret = or_(*(
        and_(DomainConfigRecord.group == group, DomainConfigRecord.option.in_(options))
        for group, options in SENSITIVE.items()
    ))  # fmt: skip
    every = select(
        DomainConfigRecord.domain_id, DomainConfigRecord.group, DomainConfigRecord.option
    )
    with database.transaction(write=False) as session:
        places = [tuple(row) for row in session.execute(every.where(secret))]
    unreadable = []
    for place in places:
        with database.transaction() as session:
            record = session.get(DomainConfigRecord, place, with_for_update=True)
            if record is None:
                continue  # deleted meanwhile
            try:
                record.value = _sealed(keys, _opened(keys, record.value))
            except BlobUnreadable:
                unreadable.append(f"{record.__tablename__} {record.domain_id}")
    return len(places), unreadable


def _sealed(keys: CredentialKeys, given: Any) -> Options:
    return {ENCRYPTED: keys.encrypt(json.dumps(given))}


def _opened(keys: CredentialKeys, value: Options) -> Any:
    return json.loads(keys.decrypt(value[ENCRYPTED])) if ENCRYPTED in value else value["value"]


def _substituted(text: str, secrets: Options) -> str:
    for name, value in secrets.items():
        text = text.replace(f"%({name})s", str(value))
    return text
