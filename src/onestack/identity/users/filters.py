"""Which users a list shows, where the query asks for more than their own columns."""

import datetime as dt
import operator
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.identity.users.record import PasswordRecord, UserRecord

COMPARISONS = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
}
FORMS = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ")


class BadExpiry(BadRequest):
    message = (
        "Invalid input for password_expires_at: it is an operator ({operators}) and a moment, "
        "as in lt:2026-01-31T12:00:00Z."
    )


def expires(asked: str) -> ColumnElement[bool]:
    """The condition on users that today's password expires as `operator:moment` says."""
    name, _, moment = asked.partition(":")
    compare, when = COMPARISONS.get(name), _moment(moment)
    if compare is None or when is None:
        raise BadExpiry(operators=", ".join(COMPARISONS))
    newest = select(func.max(PasswordRecord.id)).group_by(PasswordRecord.user_id)
    return UserRecord.id.in_(
        select(PasswordRecord.user_id).where(
            PasswordRecord.id.in_(newest), compare(PasswordRecord.expires_at, when)
        )
    )


def in_own_domain(ctx: Context, statement: Select[Any], column: Any) -> Select[Any]:
    """The statement cut to the caller's domain, if its token is for one."""
    domain_id = ctx.caller.domain_id
    return statement if domain_id is None else statement.where(column == domain_id)


def _moment(text: str) -> dt.datetime | None:
    for form in FORMS:
        try:
            return dt.datetime.strptime(text, form)
        except ValueError:
            continue
    return None
