"""Proof by the web server in front, which knows the user by other means, such as Kerberos."""

from typing import Any

from sqlalchemy import select

from onestack.core.context import Context
from onestack.core.errors import Unauthorized
from onestack.identity.auth.mapped import admitted
from onestack.identity.auth.proof import DomainReference, Proof, find_domain
from onestack.identity.federation.front_end import assertion
from onestack.identity.projects.record import DEFAULT_DOMAIN
from onestack.identity.users.record import UserRecord


def prove(ctx: Context, _given: dict[str, Any]) -> Proof:
    """The user whom the trusted front-end names; of the default domain unless it names one."""
    asserted = assertion(ctx)
    name = asserted.get("REMOTE_USER")
    if name is None:
        raise Unauthorized
    domain_name = asserted.get("REMOTE_DOMAIN")
    reference = DomainReference(id=None if domain_name else DEFAULT_DOMAIN, name=domain_name)
    domain = find_domain(ctx.session, reference)
    named = (UserRecord.domain_id == domain.id, UserRecord.name == name)
    user = ctx.session.scalar(select(UserRecord).where(*named))
    return admitted(ctx, user, Proof("" if user is None else user.id, ("external",)))
