"""A guest's password, which the guest itself encrypted for whoever has the key pair."""

from onestack.compute import rules
from onestack.compute.servers import access
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.shapes import Shape

api = Operations("server passwords")

PATH = "/v2.1/servers/{server_id}/os-server-password"


class PasswordView(Shape):
    """The password as the guest left it; empty when it left none."""

    password: str


@api.get(PATH, rules.rule("os-server-password:show", rules.READER))
def show(ctx: Context, server_id: str) -> PasswordView:
    """Show the password that a server's guest left."""
    return PasswordView(password=access.owned(ctx, server_id).guest_password or "")


@api.delete(PATH, rules.rule("os-server-password:clear", rules.MEMBER))
def clear(ctx: Context, server_id: str) -> None:
    """Forget the password; the guest's own password stays as it is."""
    access.held(ctx, server_id).guest_password = None
