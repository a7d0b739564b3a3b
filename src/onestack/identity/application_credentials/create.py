"""An application credential is made, by the user whose rights it lends."""

from typing import Annotated

from onestack.core import clock
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Id, Meta, Name, Shape, UnsetType
from onestack.identity import events
from onestack.identity.access_rules import (
    AccessRuleBody,
    AccessRuleRecord,
    AccessRuleUseRecord,
    found_or_made,
)
from onestack.identity.application_credentials import secret as secrets
from onestack.identity.application_credentials.record import (
    ApplicationCredentialRecord,
    ApplicationCredentialRoleRecord,
)
from onestack.identity.application_credentials.view import ApplicationCredentialView, view
from onestack.identity.assignments import effective
from onestack.identity.names import Description, VisibleName
from onestack.identity.passwords import Hashing, hash_password
from onestack.identity.projects.record import find as find_project
from onestack.identity.settings import IdentitySettings
from onestack.identity.times import future
from onestack.identity.tokens.lent import refuse_lent
from onestack.identity.unique import refuse_duplicate

api = Operations("application_credentials")


class RoleReference(Shape):
    """A role, by id or name."""

    id: Id | UnsetType = UNSET
    name: Name | UnsetType = UNSET


class ApplicationCredentialCreate(Shape):
    """An application credential to make."""

    name: VisibleName
    description: Description | None = None
    secret: str | None = None
    roles: Annotated[list[RoleReference], Meta(max_length=100)] | None = None
    expires_at: str | None = None
    unrestricted: bool | None = None
    access_rules: Annotated[list[AccessRuleBody], Meta(max_length=100)] | None = None


class NoProject(BadRequest):
    message = "Invalid application credential: it takes a token for a project to make one."


class RoleNotHeld(BadRequest):
    message = (
        "Invalid application credential: Could not find role assignment with role: {role}, "
        "user or group: {user_id}, project, domain, or system: {project_id}."
    )


@api.post(
    "/v3/users/{user_id}/application_credentials",
    Rule("identity:create_application_credential", "rule:owner"),
    key="application_credential",
    status=201,
    threaded=True,
)
def create(
    ctx: Context, user_id: str, body: ApplicationCredentialCreate
) -> ApplicationCredentialView:
    """Create an application credential for the token's project; the answer tells its secret."""
    ctx.allow()
    refuse_lent(ctx, "managing additional application credentials")
    if ctx.caller.project_id is None:
        raise NoProject
    expires_at = future(body.expires_at, "expires_at")
    secret = body.secret or secrets.generate()
    stored = _chosen(ctx, secret) if body.secret else secrets.stored_generated(secret)
    roles = _roles(ctx, body.roles)
    rules = _rules(ctx, body.access_rules or [])
    record = ApplicationCredentialRecord(
        id=clock.new_id(),
        user_id=user_id,
        project_id=ctx.caller.project_id,
        name=body.name,
        description=body.description,
        secret_hash=stored,
        expires_at=expires_at,
        unrestricted=bool(body.unrestricted),
        has_access_rules=bool(rules),
    )
    ctx.session.add(record)
    refuse_duplicate(ctx.session, "application_credential", record.name)
    mine = {"application_credential_id": record.id}
    ctx.session.add_all(ApplicationCredentialRoleRecord(role_id=each, **mine) for each in roles)
    ctx.session.add_all(
        AccessRuleUseRecord(access_rule_id=each, **mine)
        for each in dict.fromkeys(rule.id for rule in rules)
    )
    ctx.session.flush()
    events.emit(ctx.session, "application_credential.created", record.id)
    made = view(ctx, record)
    made.secret = secret
    return made


def _chosen(ctx: Context, secret: str) -> str:
    """A secret that the user chose, as it is kept; the database must not be held meanwhile."""
    rounds = ctx.cloud.get(IdentitySettings).password_hash_rounds
    return ctx.cloud.get(Hashing).run(hash_password, secret, rounds).result()


def _roles(ctx: Context, asked: list[RoleReference] | None) -> list[str]:
    """The ids of the roles asked for, all of which the user has on the project now."""
    caller = ctx.caller
    project = find_project(ctx.session, caller.project_id or "")
    held = effective.on_project(ctx.session, caller.user_id, project)
    if caller.application_credential_id is not None:
        held = tuple(role for role in held if role in caller.roles)  # what was lent never grows
    if not asked:  # the command-line client says "all" by an empty list
        return [role_id for role_id, _ in held]
    found: list[str] = []
    for reference in asked:
        if (reference.id is UNSET) == (reference.name is UNSET):
            raise BadRequest("Expecting to find id or name in each of roles.")
        role_id = next((each for each in held if _is(reference, *each)), None)
        if role_id is None:
            role = reference.name if reference.id is UNSET else reference.id
            raise RoleNotHeld(role=role, user_id=caller.user_id, project_id=project.id)
        if role_id[0] not in found:
            found.append(role_id[0])
    return found


def _is(reference: RoleReference, role_id: str, name: str) -> bool:
    if reference.name is not UNSET:
        return reference.name.casefold() == name.casefold()
    return reference.id == role_id


def _rules(ctx: Context, asked: list[AccessRuleBody]) -> list[AccessRuleRecord]:
    return [found_or_made(ctx.session, ctx.caller.user_id, each) for each in asked]
