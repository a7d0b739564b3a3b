"""Take an image out of use without deleting it, and bring it back."""

from onestack.core import event
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import Forbidden
from onestack.image import rules
from onestack.image.images import access
from onestack.image.images.events import payload
from onestack.image.images.record import touch

api = Operations("image actions")


class NotChangeable(Forbidden):
    message = "Not allowed to {action} image in status '{status}'"


@api.post(
    "/v2/images/{image_id}/actions/deactivate",
    rules.rule("deactivate", rules.WRITE),
    status=204,
)
def deactivate(ctx: Context, image_id: str) -> None:
    """Let nobody but administrators download an image's data."""
    _move(ctx, image_id, "deactivate", "active", "deactivated")


@api.post(
    "/v2/images/{image_id}/actions/reactivate",
    rules.rule("reactivate", rules.WRITE),
    status=204,
)
def reactivate(ctx: Context, image_id: str) -> None:
    """Let an image be used again."""
    _move(ctx, image_id, "reactivate", "deactivated", "active")


def _move(ctx: Context, image_id: str, action: str, before: str, after: str) -> None:
    record = access.owned(ctx, image_id)
    if record.status == after:
        return
    if record.status != before:
        raise NotChangeable(action=action, status=record.status)
    record.status = after
    touch(record)
    event.emit(ctx.session, f"image.{action}", payload(record), record.owner, image_id)
