"""What a user may reach: its groups and its projects."""

import datetime as dt

from sqlalchemy import or_, select
from sqlalchemy.orm import selectinload

from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import iso
from onestack.identity import rules
from onestack.identity.assignments import effective
from onestack.identity.federation import memberships as expiring
from onestack.identity.groups import GroupQuery, GroupRecord, GroupView
from onestack.identity.groups import view as group_view
from onestack.identity.memberships import MembershipRecord
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.projects.view import ProjectView
from onestack.identity.projects.view import view as project_view
from onestack.identity.users.access import DOMAIN, READ, permitted
from onestack.identity.users.filters import in_own_domain

api = Operations("users")

READ_GROUPS = rules.either(rules.READ, rules.domain_reader(DOMAIN), "user_id:%(user_id)s")


class OwnGroupView(GroupView):
    """A group that a user is in."""

    membership_expires_at: str | None = None


class OwnProjectQuery(PageQuery):
    """Which of the user's projects to list."""

    name: str | None = None
    domain_id: str | None = None
    parent_id: str | None = None
    enabled: bool | None = None


@api.get(
    "/v3/users/{user_id}/groups",
    Rule("identity:list_groups_for_user", READ_GROUPS),
    key="groups",
)
def groups(ctx: Context, user_id: str, query: GroupQuery) -> Page[OwnGroupView]:
    """List the groups that a user is in."""
    permitted(ctx, user_id)
    mine = select(MembershipRecord.group_id).where(MembershipRecord.user_id == user_id)
    until = expiring.expiries(ctx.session, user_id)
    statement = select(GroupRecord).where(
        or_(GroupRecord.id.in_(mine), GroupRecord.id.in_(list(until)))
    )
    statement = in_own_domain(ctx, statement, GroupRecord.domain_id)
    lasting = set(ctx.session.scalars(mine))

    def shown(ctx: Context, record: GroupRecord) -> OwnGroupView:
        return _own_group(ctx, record, None if record.id in lasting else until.get(record.id))

    return page(ctx, statement, GroupRecord, query, shown)


@api.get("/v3/users/{user_id}/projects", Rule("identity:list_user_projects", READ), key="projects")
def projects(ctx: Context, user_id: str, query: OwnProjectQuery) -> Page[ProjectView]:
    """List the projects on which a user has a role."""
    permitted(ctx, user_id)
    statement = (
        select(ProjectRecord)
        .where(ProjectRecord.id.in_(effective.project_ids(user_id)), ~ProjectRecord.is_domain)
        .options(selectinload(ProjectRecord.labels))
    )
    statement = in_own_domain(ctx, statement, ProjectRecord.domain_id)
    return page(ctx, statement, ProjectRecord, query, project_view)


def _own_group(ctx: Context, record: GroupRecord, until: dt.datetime | None) -> OwnGroupView:
    group = group_view(ctx, record)
    members = {name: getattr(group, name) for name in group.__struct_fields__}
    return OwnGroupView(**members, membership_expires_at=iso(until))
