"""Access rules: requests that application credentials are limited to."""

from typing import Annotated, Literal

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.db import Record
from onestack.core.errors import BadRequest, Forbidden, NotFound
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Id, Meta, Shape, UnsetType
from onestack.identity import events
from onestack.identity.rules import READ, either
from onestack.identity.style import links
from onestack.identity.users.record import find as find_user

api = Operations("access_rules")

READERS = either(READ, "rule:owner")
ONE = "/v3/users/{user_id}/access_rules/{access_rule_id}"

ServiceType = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9-]+\Z")]
RulePath = Annotated[str, Meta(max_length=225, pattern=r"^/[^\x00-\x1f\x7f]*\Z")]
Verb = Literal["POST", "GET", "HEAD", "PATCH", "PUT", "DELETE"]


class AccessRuleRecord(Record):
    """A request: of which service, by which method, to which paths."""

    __tablename__ = "access_rules"
    __table_args__ = (
        Index("uq_access_rules", "user_id", "service", "path", "method", unique=True),
    )
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    service: Mapped[str]
    path: Mapped[str]
    method: Mapped[str]


class AccessRuleUseRecord(Record):
    """An access rule that an application credential is limited to."""

    __tablename__ = "application_credential_access_rules"
    topic = "identity"

    application_credential_id: Mapped[str] = mapped_column(
        ForeignKey("application_credentials.id", ondelete="CASCADE"), primary_key=True
    )
    access_rule_id: Mapped[str] = mapped_column(
        ForeignKey("access_rules.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class AccessRuleNotFound(NotFound):
    message = "Could not find Access Rule: {access_rule_id}."


class AccessRuleInUse(Forbidden):
    message = (
        "You are not authorized to perform the requested action: delete an access rule that an "
        "application credential uses: {access_rule_id}."
    )


class AccessRuleIncomplete(BadRequest):
    message = "An access rule has either an id, or a service, a path and a method."


class AccessRuleBody(Shape, forbid_unknown_fields=True):
    """A rule for a new application credential: one that the user has, by its id, or a new one."""

    id: Id | UnsetType = UNSET
    service: ServiceType | UnsetType = UNSET
    path: RulePath | UnsetType = UNSET
    method: Verb | UnsetType = UNSET


class AccessRuleView(Shape):
    """An access rule."""

    id: str
    service: str
    path: str
    method: str
    links: dict[str, str]


@api.get(
    "/v3/users/{user_id}/access_rules",
    Rule("identity:list_access_rules", READERS),
    key="access_rules",
)
def index(ctx: Context, user_id: str, query: PageQuery) -> Page[AccessRuleView]:
    """List a user's access rules."""
    ctx.allow()
    find_user(ctx.session, user_id)
    mine = select(AccessRuleRecord).where(AccessRuleRecord.user_id == user_id)
    return page(ctx, mine, AccessRuleRecord, query, view)


@api.get(ONE, Rule("identity:get_access_rule", READERS), key="access_rule")
def show(ctx: Context, user_id: str, access_rule_id: str) -> AccessRuleView:
    """Show an access rule."""
    ctx.allow()
    return view(ctx, find(ctx.session, user_id, access_rule_id))


@api.delete(ONE, Rule("identity:delete_access_rule", either("rule:admin_required", "rule:owner")))
def delete(ctx: Context, user_id: str, access_rule_id: str) -> None:
    """Delete an access rule that no application credential uses."""
    ctx.allow()
    record = find(ctx.session, user_id, access_rule_id)
    uses = AccessRuleUseRecord.access_rule_id == access_rule_id
    if ctx.session.scalar(select(AccessRuleUseRecord).where(uses).limit(1)):
        raise AccessRuleInUse(access_rule_id=access_rule_id)
    ctx.session.delete(record)
    events.emit(ctx.session, "access_rule.deleted", access_rule_id)


def find(session: Session, user_id: str, access_rule_id: str) -> AccessRuleRecord:
    """The user's access rule with this id."""
    record = session.get(AccessRuleRecord, access_rule_id)
    if record is None or record.user_id != user_id:
        raise AccessRuleNotFound(access_rule_id=access_rule_id)
    return record


def found_or_made(session: Session, user_id: str, body: AccessRuleBody) -> AccessRuleRecord:
    """The rule that a request names or describes; equal rules of a user are one."""
    if body.id is not UNSET:
        if (body.service, body.path, body.method) != (UNSET, UNSET, UNSET):
            raise AccessRuleIncomplete
        return find(session, user_id, body.id)
    if body.service is UNSET or body.path is UNSET or body.method is UNSET:
        raise AccessRuleIncomplete
    facts = {"service": body.service, "path": body.path, "method": body.method}
    equal = select(AccessRuleRecord).filter_by(user_id=user_id, **facts)
    record = session.scalar(equal)
    if record is None:
        record = AccessRuleRecord(id=clock.new_id(), user_id=user_id, **facts)
        session.add(record)
        session.flush()
        events.emit(session, "access_rule.created", record.id)
    return record


def view(ctx: Context, record: AccessRuleRecord) -> AccessRuleView:
    """An access rule as clients see it."""
    return AccessRuleView(
        id=record.id,
        service=record.service,
        path=record.path,
        method=record.method,
        links=dict(links(ctx, f"users/{record.user_id}/access_rules/{record.id}")),
    )
