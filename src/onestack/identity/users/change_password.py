"""A user changes its own password."""

from typing import Annotated

from onestack.core.api import PUBLIC, Operations
from onestack.core.context import Context
from onestack.core.errors import Unauthorized
from onestack.core.shapes import Meta, Shape
from onestack.identity import events
from onestack.identity.auth.password import check
from onestack.identity.directory import read_only
from onestack.identity.settings import IdentitySettings
from onestack.identity.tokens.revocation import revoke
from onestack.identity.users import passwords
from onestack.identity.users.login import EXPIRED, note_failure, note_success, refusal
from onestack.identity.users.passwords import NewPassword
from onestack.identity.users.record import PasswordRecord, UserRecord

api = Operations("users")


class PasswordChange(Shape, forbid_unknown_fields=True):
    """The password of today, and the one of tomorrow."""

    original_password: Annotated[str, Meta(min_length=1)]
    password: NewPassword


@api.post("/v3/users/{user_id}/password", PUBLIC, key="user", status=204, threaded=True)
def change(ctx: Context, user_id: str, body: PasswordChange) -> None:
    """Change one's password.

    Who knows the password of today needs no token; so whose password expired can still change it.
    All tokens of the user end.
    """
    user, earlier = _proven(ctx, user_id, body.original_password)
    if user.options.get("lock_password"):
        raise passwords.PasswordLocked
    passwords.refuse_haste(ctx, earlier[0])
    passwords.refuse_reuse(ctx, body.password, earlier)
    new = passwords.hashed(ctx, body.password)
    current = ctx.session.get(UserRecord, user_id, with_for_update=True)
    newest = passwords.recent(ctx.session, user_id, 1)
    if current is None or not newest or newest[0].id != earlier[0].id:
        raise Unauthorized  # somebody was faster: the original password is not right any more
    passwords.store(ctx, current, new, is_self_service=True)
    revoke(ctx.session, user_id=user_id)
    events.emit(ctx.session, "user.updated", user_id)


def _proven(ctx: Context, user_id: str, password: str) -> tuple[UserRecord, list[PasswordRecord]]:
    """The user whose password this is, and its last passwords; the database is released."""
    count = max(1, ctx.cloud.get(IdentitySettings).password_history)
    user = ctx.session.get(UserRecord, user_id)
    if user is not None and not ctx.anonymous:
        # To whom we do not know, no password is right, as with any user that has none here.
        read_only.refuse_change(ctx, "user", user_id, user.domain_id)
    earlier = passwords.recent(ctx.session, user_id, count)
    why_not = None if user is None else refusal(ctx, user)
    ctx.release()
    is_right = check(ctx, password, earlier[0].hash if earlier else None)
    if user is None or not earlier or not is_right or why_not not in (None, EXPIRED):
        if user is not None and earlier and not is_right:
            note_failure(ctx, user_id)
        raise Unauthorized
    note_success(ctx, user_id)
    return user, earlier
