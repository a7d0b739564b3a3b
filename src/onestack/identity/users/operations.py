"""Users: who may sign in."""

from sqlalchemy import select

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET
from onestack.identity import events, rules
from onestack.identity.directory import read_only, refresh
from onestack.identity.projects.record import ProjectRecord, find_domain, owning_domain
from onestack.identity.tokens.revocation import revoke
from onestack.identity.unique import refuse_duplicate
from onestack.identity.users import federated, passwords, removal
from onestack.identity.users.access import READ, WRITE, permitted
from onestack.identity.users.filters import expires, in_own_domain
from onestack.identity.users.login import changes_only_when_told, pardon
from onestack.identity.users.options import merged
from onestack.identity.users.record import UserRecord
from onestack.identity.users.view import (
    UserCreate,
    UserQuery,
    UserUpdate,
    UserView,
    listed,
    stored,
    view,
)

api = Operations("users")

DOMAIN = "target.domain_id"
LIST = rules.either(rules.READ, rules.domain_reader(DOMAIN))


class IdFixed(BadRequest):
    message = "Cannot change {kind} ID"


class DefaultIsDomain(BadRequest):
    message = "User's default project ID cannot be a domain ID: {project_id}"


@api.get(
    "/v3/users",
    Rule("identity:list_users", LIST),
    key="users",
    threaded=refresh.may_wait,
    kept=changes_only_when_told,
)
def index(ctx: Context, query: UserQuery) -> Page[UserView]:
    """List users; a token for a domain lists those of that domain."""
    statement = ctx.visible(select(UserRecord), {DOMAIN: UserRecord.domain_id})
    statement = in_own_domain(ctx, statement, UserRecord.domain_id)
    known = federated.known_as(query.idp_id, query.protocol_id, query.unique_id)
    if known is not None:
        statement = statement.where(known)
    if query.expiry is not None:
        statement = statement.where(expires(query.expiry))
    refresh.refresh(ctx, query.domain_id)
    return listed(ctx, statement, query)


@api.post("/v3/users", Rule("identity:create_user", WRITE), key="user", status=201, threaded=True)
def create(ctx: Context, body: UserCreate) -> UserView:
    """Create a user."""
    domain_id = body.domain_id or owning_domain(ctx)
    ctx.allow(user={"domain_id": domain_id})
    read_only.refuse_creation(ctx, "user", domain_id)
    password = None if body.password is None else passwords.hashed(ctx, body.password)
    find_domain(ctx.session, domain_id)
    _check_default(ctx, body.default_project_id)
    record = UserRecord(
        id=clock.new_id(),
        domain_id=domain_id,
        name=body.name.strip(),
        enabled=body.enabled,
        default_project_id=body.default_project_id,
        created_at=clock.now(),
        options=merged(body.options, {}),
        extra=stored(body),
    )
    ctx.session.add(record)
    refuse_duplicate(ctx.session, "user", record.name)
    if password is not None:
        passwords.store(ctx, record, password, is_self_service=False)
    if body.federated is not UNSET:
        federated.replace(ctx.session, record, body.federated)
    events.emit(ctx.session, "user.created", record.id)
    return view(ctx, record)


@api.get(
    "/v3/users/{user_id}",
    Rule("identity:get_user", READ),
    key="user",
    kept=changes_only_when_told,
)
def show(ctx: Context, user_id: str) -> UserView:
    """Show a user."""
    return view(ctx, permitted(ctx, user_id))


@api.patch("/v3/users/{user_id}", Rule("identity:update_user", WRITE), key="user", threaded=True)
def update(ctx: Context, user_id: str, body: UserUpdate) -> UserView:
    """Change a user; a new password, or being disabled, ends all of its tokens."""
    record = permitted(ctx, user_id)
    read_only.refuse_change(ctx, "user", user_id, record.domain_id)
    _check_fixed(record, body)
    password = None
    if isinstance(body.password, str):
        ctx.release()  # hashing takes long; nobody waits for it with the database held
        password = passwords.hashed(ctx, body.password)
        record = permitted(ctx, user_id)
    _change(ctx, record, body)
    refuse_duplicate(ctx.session, "user", record.name)
    if body.password is not UNSET:
        passwords.store(ctx, record, password, is_self_service=False)
        pardon(ctx.session, user_id)
    if body.federated is not UNSET:
        federated.replace(ctx.session, record, body.federated)
    if body.password is not UNSET or body.enabled is False:
        revoke(ctx.session, user_id=user_id)
    events.emit(ctx.session, "user.updated", user_id)
    return view(ctx, record)


@api.delete("/v3/users/{user_id}", Rule("identity:delete_user", WRITE))
def delete(ctx: Context, user_id: str) -> None:
    """Delete a user with all that was its own."""
    record = permitted(ctx, user_id)
    read_only.refuse_change(ctx, "user", user_id, record.domain_id)
    removal.remove(ctx.session, record)


def _check_fixed(record: UserRecord, body: UserUpdate) -> None:
    if body.id not in (UNSET, record.id):
        raise IdFixed(kind="user")
    if body.domain_id not in (UNSET, record.domain_id):
        raise IdFixed(kind="Domain")


def _check_default(ctx: Context, project_id: str | None) -> None:
    """A default project may be one that is not there (yet), but no domain."""
    project = None if project_id is None else ctx.session.get(ProjectRecord, project_id)
    if project is not None and project.is_domain:
        raise DefaultIsDomain(project_id=project_id)


def _change(ctx: Context, record: UserRecord, body: UserUpdate) -> None:
    if body.name is not UNSET:
        record.name = body.name.strip()
    if body.default_project_id is not UNSET:
        _check_default(ctx, body.default_project_id)
        record.default_project_id = body.default_project_id
    if body.enabled is not UNSET:
        record.enabled = body.enabled
        if body.enabled:
            pardon(ctx.session, record.id)
    record.options = merged(body.options, record.options)
    record.extra = {**record.extra, **stored(body)}
