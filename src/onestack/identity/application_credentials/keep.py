"""Application credentials are listed, shown and deleted."""

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.identity import events
from onestack.identity.application_credentials.record import ApplicationCredentialRecord, find
from onestack.identity.application_credentials.view import ApplicationCredentialView, view
from onestack.identity.rules import READ, either
from onestack.identity.tokens.lent import refuse_lent
from onestack.identity.users.record import find as find_user

api = Operations("application_credentials")

READERS = either(READ, "rule:owner")
ALL = "/v3/users/{user_id}/application_credentials"
ONE = f"{ALL}/{{application_credential_id}}"


class ApplicationCredentialQuery(PageQuery):
    """Which application credentials to list."""

    name: str | None = None


@api.get(ALL, Rule("identity:list_application_credentials", READERS), key="application_credentials")
def index(
    ctx: Context, user_id: str, query: ApplicationCredentialQuery
) -> Page[ApplicationCredentialView]:
    """List a user's application credentials."""
    ctx.allow()
    find_user(ctx.session, user_id)
    mine = ApplicationCredentialRecord.user_id == user_id
    statement = (
        select(ApplicationCredentialRecord)
        .where(mine)
        .options(
            selectinload(ApplicationCredentialRecord.roles),
            selectinload(ApplicationCredentialRecord.access_rules),
        )
    )
    return page(ctx, statement, ApplicationCredentialRecord, query, view)


@api.get(ONE, Rule("identity:get_application_credential", READERS), key="application_credential")
def show(ctx: Context, user_id: str, application_credential_id: str) -> ApplicationCredentialView:
    """Show an application credential."""
    ctx.allow()
    return view(ctx, find(ctx.session, user_id, application_credential_id))


@api.delete(
    ONE,
    Rule("identity:delete_application_credential", either("rule:admin_required", "rule:owner")),
)
def delete(ctx: Context, user_id: str, application_credential_id: str) -> None:
    """Delete an application credential; its tokens end with it."""
    ctx.allow()
    refuse_lent(ctx, "managing additional application credentials")
    record = find(ctx.session, user_id, application_credential_id)
    ctx.session.delete(record)
    events.emit(ctx.session, "application_credential.deleted", record.id)
