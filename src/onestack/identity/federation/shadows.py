"""Shadow users: those whom an identity provider let in, as rows of our own."""

import hashlib

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.errors import Unauthorized
from onestack.identity import events
from onestack.identity.names import VisibleName
from onestack.identity.tokens.revocation import revoke
from onestack.identity.users import removal
from onestack.identity.users.federated import FederatedUserRecord
from onestack.identity.users.record import PasswordRecord, UserRecord

LONGEST = 255


class PersonRefused(Unauthorized):
    message = "The identity provider's user cannot be one of this cloud: {reason}."


class Person(msgspec.Struct, frozen=True):
    """A user as one protocol of one identity provider knows it."""

    idp_id: str
    protocol_id: str
    unique_id: str
    name: str
    domain_id: str
    email: str | None = None

    @property
    def id(self) -> str:
        """The shadow's id: the same whenever, and wherever, the person signs in."""
        return shadow_id(self.idp_id, self.protocol_id, self.unique_id)


def shadow_id(idp_id: str, protocol_id: str, unique_id: str) -> str:
    """The id of the shadow user that such an identity gets."""
    return hashlib.sha256(msgspec.json.encode([idp_id, protocol_id, unique_id])).hexdigest()


def shadow(session: Session, person: Person) -> str:
    """The id of the user who stands for a person here; made at the first login."""
    _check(person)
    known = session.scalar(
        select(FederatedUserRecord).filter_by(
            idp_id=person.idp_id, protocol_id=person.protocol_id, unique_id=person.unique_id
        )
    )
    if known is None:
        return _new(session, person)
    user = session.get_one(UserRecord, known.user_id)
    if known.display_name != person.name:
        known.display_name = person.name
        if user.id == person.id:
            user.name = _free_name(session, person)
    if user.id == person.id and person.email and user.extra.get("email") != person.email:
        user.extra = {**user.extra, "email": person.email}
    return user.id


def forget(session: Session, idp_id: str, protocol_id: str | None = None) -> None:
    """Let a provider, or one of its protocols, stand for nobody; its shadows go.

    They go with all that they were given: whoever registers a provider under the same id again
    must not get it. Users who had a life before the provider, or got a password, stay.
    """
    statement = select(FederatedUserRecord).where(FederatedUserRecord.idp_id == idp_id)
    if protocol_id is not None:
        statement = statement.where(FederatedUserRecord.protocol_id == protocol_id)
    for record in list(session.scalars(statement)):
        user = session.get_one(UserRecord, record.user_id)
        session.delete(record)
        made_here = user.id == shadow_id(record.idp_id, record.protocol_id, record.unique_id)
        if made_here and not _has_another_way_in(session, record):
            removal.remove(session, user)
        else:
            revoke(session, user_id=user.id)
    session.flush()


def _has_another_way_in(session: Session, record: FederatedUserRecord) -> bool:
    mine = FederatedUserRecord.user_id == record.user_id
    other = select(FederatedUserRecord.id).where(mine, FederatedUserRecord.id != record.id)
    password = select(PasswordRecord.id).where(PasswordRecord.user_id == record.user_id)
    return any(session.scalar(each.limit(1)) is not None for each in (other, password))


def _new(session: Session, person: Person) -> str:
    if session.get(UserRecord, person.id) is not None:
        raise PersonRefused(reason="an administrator took this identity from its user")
    user = UserRecord(
        id=person.id,
        domain_id=person.domain_id,
        name=_free_name(session, person),
        created_at=clock.now(),
        extra={"email": person.email} if person.email else {},
    )
    session.add(user)
    session.flush()
    session.add(
        FederatedUserRecord(
            user_id=user.id,
            idp_id=person.idp_id,
            protocol_id=person.protocol_id,
            unique_id=person.unique_id,
            display_name=person.name,
        )
    )
    events.emit(session, "user.created", user.id)
    return user.id


def _free_name(session: Session, person: Person) -> str:
    """The person's name, told apart from others of the domain who have it already."""
    longer = f"{person.name} ({person.idp_id}/{person.protocol_id})"
    wanted = [name for name in (person.name, longer) if len(name) <= LONGEST]
    taken = select(UserRecord.name).where(
        UserRecord.domain_id == person.domain_id,
        UserRecord.name.in_(wanted),
        UserRecord.id != person.id,
    )
    others = set(session.scalars(taken))
    return next((name for name in wanted if name not in others), person.id)


def _check(person: Person) -> None:
    """Refuse what no user of ours may be called; assertions come from outside."""
    try:
        msgspec.convert(person.name, VisibleName)
        if person.email:
            msgspec.convert(person.email, VisibleName)
    except msgspec.ValidationError as error:
        raise PersonRefused(reason=f"{error}") from None
    if len(person.unique_id) > LONGEST:
        raise PersonRefused(reason=f"its id is longer than {LONGEST} characters")
