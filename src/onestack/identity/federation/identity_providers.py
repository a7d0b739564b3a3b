"""Identity providers: those elsewhere who vouch for users of this cloud."""

from typing import Annotated

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Id, Meta, Shape, UnsetType
from onestack.identity import events, rules
from onestack.identity.federation import shadows
from onestack.identity.federation.record import (
    IdentityProviderRecord,
    RemoteIdRecord,
    check_id,
    find_provider,
)
from onestack.identity.names import Description
from onestack.identity.projects.operations import add
from onestack.identity.projects.record import ProjectRecord, find_domain
from onestack.identity.style import links
from onestack.identity.unique import Duplicate

api = Operations("identity_providers")

RemoteId = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)")]
RemoteIds = Annotated[list[RemoteId], Meta(max_length=500)]
Minutes = Annotated[int, Meta(ge=0, le=2**31 - 1)]
PATH = "/v3/OS-FEDERATION/identity_providers/{idp_id}"


class IdentityProviderCreate(Shape, forbid_unknown_fields=True):
    """An identity provider to register."""

    enabled: bool | None = False
    description: Description | None = None
    domain_id: Id | None = None
    authorization_ttl: Minutes | None = None
    remote_ids: RemoteIds | None = None


class IdentityProviderUpdate(Shape, forbid_unknown_fields=True):
    """What to change of an identity provider."""

    enabled: bool | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET
    authorization_ttl: Minutes | UnsetType | None = UNSET
    remote_ids: RemoteIds | UnsetType | None = UNSET


class IdentityProviderQuery(PageQuery):
    """Which identity providers to list."""

    id: str | None = None
    enabled: bool | None = None


class IdentityProviderView(Shape):
    """An identity provider."""

    id: str
    domain_id: str
    enabled: bool
    description: str | None
    authorization_ttl: int | None
    remote_ids: list[str]
    links: dict[str, str]


class RemoteIdTaken(Conflict):
    message = "Duplicate remote ID: {remote_id}"


class RemoteIdRepeated(BadRequest):
    message = "Invalid input for field 'remote_ids': {remote_id!r} is there more than once."


@api.get(
    "/v3/OS-FEDERATION/identity_providers",
    Rule("identity:list_identity_providers", rules.READ),
    key="identity_providers",
)
def index(ctx: Context, query: IdentityProviderQuery) -> Page[IdentityProviderView]:
    """List identity providers."""
    statement = select(IdentityProviderRecord).options(selectinload(IdentityProviderRecord.names))
    return page(ctx, statement, IdentityProviderRecord, query, view)


@api.put(
    PATH,
    Rule("identity:create_identity_provider", rules.ADMIN),
    key="identity_provider",
    status=201,
)
def create(ctx: Context, idp_id: str, body: IdentityProviderCreate) -> IdentityProviderView:
    """Register an identity provider; its users get a domain of their own unless one is named."""
    check_id(idp_id)
    session = ctx.session
    if session.get(IdentityProviderRecord, idp_id) is not None:
        raise Duplicate(kind="identity_provider", name=idp_id)
    if body.domain_id is None:
        domain = _new_domain(session, idp_id)
    else:
        domain = find_domain(session, body.domain_id)
    record = IdentityProviderRecord(
        id=idp_id,
        domain_id=domain.id,
        enabled=bool(body.enabled),
        description=body.description,
        authorization_ttl=body.authorization_ttl,
        trusted_since=clock.now(),
    )
    session.add(record)
    _name(session, record, body.remote_ids or [])
    events.emit(session, "identity_provider.created", idp_id)
    return view(ctx, record)


@api.get(PATH, Rule("identity:get_identity_provider", rules.READ), key="identity_provider")
def show(ctx: Context, idp_id: str) -> IdentityProviderView:
    """Show an identity provider."""
    return view(ctx, find_provider(ctx.session, idp_id))


@api.patch(PATH, Rule("identity:update_identity_provider", rules.ADMIN), key="identity_provider")
def update(ctx: Context, idp_id: str, body: IdentityProviderUpdate) -> IdentityProviderView:
    """Change an identity provider; one that is disabled ends the tokens that it gave rise to."""
    session = ctx.session
    record = find_provider(session, idp_id)
    if body == IdentityProviderUpdate():
        raise BadRequest("Expecting to find what to change of the identity provider.")
    if body.enabled is not UNSET:
        record.enabled = bool(body.enabled)
        if not record.enabled:
            record.trusted_since = clock.now()
    if body.description is not UNSET:
        record.description = body.description
    if body.authorization_ttl is not UNSET:
        record.authorization_ttl = body.authorization_ttl
    if body.remote_ids is not UNSET:
        _name(session, record, body.remote_ids or [])
    events.emit(session, "identity_provider.updated", idp_id)
    return view(ctx, record)


@api.delete(PATH, Rule("identity:delete_identity_provider", rules.ADMIN), threaded=True)
def delete(ctx: Context, idp_id: str) -> None:
    """Delete an identity provider with its protocols, and the users whom only it let in."""
    record = find_provider(ctx.session, idp_id)
    shadows.forget(ctx.session, idp_id)
    ctx.session.delete(record)
    events.emit(ctx.session, "identity_provider.deleted", idp_id)


def view(ctx: Context, record: IdentityProviderRecord) -> IdentityProviderView:
    """An identity provider as clients see it."""
    own = dict(links(ctx, f"OS-FEDERATION/identity_providers/{record.id}"))
    return IdentityProviderView(
        id=record.id,
        domain_id=record.domain_id,
        enabled=record.enabled,
        description=record.description,
        authorization_ttl=record.authorization_ttl,
        remote_ids=record.remote_ids,
        links={**own, "protocols": f"{own['self']}/protocols"},
    )


def _name(session: Session, record: IdentityProviderRecord, remote_ids: list[str]) -> None:
    """Let the provider be known by these names and no others."""
    wanted: set[str] = set()
    for remote_id in remote_ids:
        if remote_id in wanted:
            raise RemoteIdRepeated(remote_id=remote_id)
        wanted.add(remote_id)
    others = select(RemoteIdRecord.remote_id).where(
        RemoteIdRecord.remote_id.in_(wanted), RemoteIdRecord.idp_id != record.id
    )
    with session.no_autoflush:
        taken = session.scalar(others.order_by(RemoteIdRecord.remote_id).limit(1))
    if taken is not None:
        raise RemoteIdTaken(remote_id=taken)
    kept = [each for each in record.names if each.remote_id in wanted]
    missing = wanted - {each.remote_id for each in kept}
    added = [RemoteIdRecord(remote_id=each) for each in sorted(missing)]
    record.names = sorted([*kept, *added], key=lambda each: each.remote_id)
    try:
        session.flush()
    except IntegrityError:  # somebody else was quicker, with the id or with one of the names
        session.rollback()
        raise Duplicate(kind="identity_provider", name=record.id) from None


def _new_domain(session: Session, idp_id: str) -> ProjectRecord:
    """A domain of the provider's name, or of a unique one where that name is taken."""
    domain_id = clock.new_id()
    taken = select(ProjectRecord.id).where(ProjectRecord.is_domain, ProjectRecord.name == idp_id)
    record = ProjectRecord(
        id=domain_id,
        name=idp_id if session.scalar(taken) is None else domain_id,
        domain_id=None,
        parent_id=None,
        is_domain=True,
        description=f"Auto generated federated domain for Identity Provider: {idp_id}",
    )
    add(session, record, [])
    return record
