"""Who may do what with a user, and the one at whom they may."""

from onestack.core.context import Context
from onestack.identity import rules
from onestack.identity.users.record import UserNotFound, UserRecord

DOMAIN = "target.user.domain_id"
READ = rules.either(rules.READ, rules.domain_reader(DOMAIN), rules.OWNER)
WRITE = rules.either(rules.ADMIN, rules.domain_manager(DOMAIN))


def permitted(ctx: Context, user_id: str) -> UserRecord:
    """The user with this id, if the operation's rule lets the caller at it.

    Who may not see a user does not learn whether it is there.
    """
    record = ctx.session.get(UserRecord, user_id)
    ctx.allow(user={} if record is None else record)
    if record is None:
        raise UserNotFound(user_id=user_id)
    return record
