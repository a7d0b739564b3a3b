"""List images, and show one."""

from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.paging import after, sorted_by
from onestack.image import rules
from onestack.image.images import access, filters
from onestack.image.images.filters import ImageQuery
from onestack.image.images.record import ImageRecord
from onestack.image.images.snapshots import Snapshots
from onestack.image.images.view import ImageView

api = Operations("images")

PAGE_DEFAULT, PAGE_MAX = 25, 1000


class BadMarker(BadRequest):
    message = "Marker {marker} could not be found."


@api.get("/v2/images", rules.rule("get_images", rules.READ), key="images")
def index(ctx: Context, query: ImageQuery) -> Page[ImageView]:
    """List the images that the caller's project has, shares, or sees like everybody."""
    ctx.allow({"project_id": ctx.caller.project_id})
    limit = PAGE_DEFAULT if query.limit is None else min(query.limit, PAGE_MAX)
    if limit == 0:
        return Page([])
    found = ctx.cloud.get(Snapshots).several(partial(_find, ctx, query, limit + 1))
    marker = found[limit - 1].record.id if len(found) > limit else None
    return Page([each.shown for each in found[:limit]], marker)


@api.get("/v2/images/{image_id}", rules.rule("get_image", rules.READ_SEEN))
def show(ctx: Context, image_id: str) -> ImageView:
    """Show an image."""
    return access.seen(ctx, image_id).shown


def _find(ctx: Context, query: ImageQuery, limit: int, session: Session) -> list[str]:
    """The ids of a page, and of the image that follows it."""
    statement = select(ImageRecord.id).where(
        access.listed(ctx, query.visibility, query.member_status), *filters.conditions(query)
    )
    order = filters.order(query)
    if query.marker is not None:
        found = access.seen_marker(ctx, query.marker)
        if found is None:
            raise BadMarker(marker=query.marker[:64])
        statement = statement.where(after(found, order))
    columns = [part for column, descends in order for part in sorted_by(column, descends)]
    return list(session.scalars(statement.order_by(*columns).limit(limit)))
