"""Users as clients write and read them."""

from collections.abc import Sequence
from typing import Annotated, Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from onestack.core.api import Page
from onestack.core.context import Context
from onestack.core.paging import PageQuery, page
from onestack.core.shapes import UNSET, Extras, Id, Shape, UnsetType, field, iso
from onestack.identity.names import Description, VisibleName
from onestack.identity.settings import IdentitySettings
from onestack.identity.style import links
from onestack.identity.users import federated
from onestack.identity.users.federated import FederatedIdentities, FederatedIdentity
from onestack.identity.users.login import is_inactive
from onestack.identity.users.options import UserOptions
from onestack.identity.users.passwords import NewPassword
from onestack.identity.users.record import LoginRecord, PasswordRecord, UserRecord

# What the cloud says of a user, or must never say: none of it is kept as a client sent it.
OURS = frozenset({"id", "links", "password_expires_at", "original_password"})


class UserCreate(Shape):
    """A user to make."""

    name: VisibleName
    domain_id: Id | None = None
    default_project_id: Id | None = None
    enabled: bool = True
    password: NewPassword | None = None
    description: Description | UnsetType | None = UNSET
    options: UserOptions = field(default_factory=UserOptions)
    federated: FederatedIdentities | UnsetType = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


class UserUpdate(Shape):
    """What to change of a user; where it belongs may be said again, and never changes."""

    id: str | UnsetType = UNSET
    domain_id: str | UnsetType = UNSET
    name: VisibleName | UnsetType = UNSET
    default_project_id: Id | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    password: NewPassword | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET
    options: UserOptions = field(default_factory=UserOptions)
    federated: FederatedIdentities | UnsetType = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


class UserQuery(PageQuery):
    """Which users to list."""

    name: str | None = None
    domain_id: str | None = None
    default_project_id: str | None = None
    enabled: bool | None = None
    idp_id: str | None = None
    protocol_id: str | None = None
    unique_id: str | None = None
    expiry: str | None = field(default=None, name="password_expires_at")


class UserView(Shape):
    """A user."""

    id: str
    name: str
    domain_id: str
    enabled: bool
    options: dict[str, Any]
    links: dict[str, str]
    password_expires_at: str | None = None
    default_project_id: str | UnsetType = UNSET
    federated: list[FederatedIdentity] | UnsetType = UNSET
    extra: Annotated[dict[str, Any], Extras] = {}


def view(ctx: Context, record: UserRecord) -> UserView:
    """A user as clients see it."""
    shown = _plain(ctx, record)
    _complete(ctx, [shown], [record])
    return shown


def listed(ctx: Context, statement: Select[Any], query: PageQuery) -> Page[UserView]:
    """The users that a statement selects, as a page."""
    records: list[UserRecord] = []

    def shown(ctx: Context, record: UserRecord) -> UserView:
        records.append(record)
        return _plain(ctx, record)

    found = page(ctx, statement, UserRecord, query, shown)
    _complete(ctx, found.items, records)
    return found


def stored(body: UserCreate | UserUpdate) -> dict[str, Any]:
    """What a request says of a user that the cloud only keeps and gives back."""
    extra = {name: value for name, value in body.extra.items() if name not in OURS}
    return extra if body.description is UNSET else {**extra, "description": body.description}


def _plain(ctx: Context, record: UserRecord) -> UserView:
    return UserView(
        id=record.id,
        name=record.name,
        domain_id=record.domain_id,
        enabled=record.enabled,
        options=record.options,
        links=dict(links(ctx, f"users/{record.id}")),
        default_project_id=record.default_project_id or UNSET,
        extra=record.extra,
    )


def _complete(ctx: Context, shown: Sequence[UserView], records: Sequence[UserRecord]) -> None:
    """Add what other tables know of these users: a few statements for all of them."""
    settings, session = ctx.cloud.get(IdentitySettings), ctx.session
    ids = [record.id for record in records]
    newest = (
        select(func.max(PasswordRecord.id))
        .where(PasswordRecord.user_id.in_(ids))
        .group_by(PasswordRecord.user_id)
    )
    statement = select(PasswordRecord.user_id, PasswordRecord.expires_at)
    rows = session.execute(statement.where(PasswordRecord.id.in_(newest)))
    expiry = {row.user_id: row.expires_at for row in rows}
    identities = federated.of_users(session, ids)
    logins = _logins(session, ids) if settings.inactive_days else {}
    for one, record in zip(shown, records, strict=True):
        one.password_expires_at = iso(expiry.get(one.id))
        one.federated = identities.get(one.id, UNSET)
        one.enabled = one.enabled and not is_inactive(settings, record, logins.get(one.id))


def _logins(session: Session, ids: Sequence[str]) -> dict[str, LoginRecord]:
    found = session.scalars(select(LoginRecord).where(LoginRecord.user_id.in_(ids)))
    return {record.user_id: record for record in found}
