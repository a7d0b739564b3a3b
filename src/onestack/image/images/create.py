"""Register an image: what it is, before it has any data."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.exc import IntegrityError

from onestack.core import clock, event, quota
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import Conflict, TooLarge
from onestack.core.shapes import UNSET
from onestack.image import rules
from onestack.image.images import access
from onestack.image.images.attributes import ImageBody, checked_properties, checked_tags
from onestack.image.images.events import payload
from onestack.image.images.record import ImageRecord, add_properties, add_tags
from onestack.image.images.view import ImageView, view
from onestack.image.settings import ImageSettings
from onestack.image.store import StoreSlot

api = Operations("images")


class Exists(Conflict):
    message = "Image ID {image_id} already exists!"


class TooManyImages(TooLarge):
    message = "{resource}: {wanted} wanted, {used} of {limit} used; the project may have no more."


@api.post("/v2/images", rules.rule("add_image", rules.WRITE_NEW), status=201)
def create(ctx: Context, body: ImageBody) -> ImageView:
    """Create an image; its data is uploaded afterwards."""
    properties = checked_properties(body.properties)
    tags = checked_tags(body.tags or [])
    owner = ctx.caller.project_id if body.owner is UNSET else body.owner
    record = _record(body, owner)
    ctx.allow({**access.target(ctx, record), "project_id": ctx.caller.project_id})
    access.judge_visibility(ctx, record, record.visibility)
    _check_quota(ctx, owner)
    ctx.session.add(record)
    try:
        ctx.session.flush()
    except IntegrityError:
        ctx.session.rollback()
        raise Exists(image_id=record.id) from None
    add_tags(ctx.session, record.id, tags)
    add_properties(ctx.session, record.id, properties)
    event.emit(ctx.session, "image.create", payload(record), owner, record.id)
    return view(record, tags, properties, ctx.cloud.get(StoreSlot).store.name)


def _record(body: ImageBody, owner: str | None) -> ImageRecord:
    now = clock.now()
    return ImageRecord(
        id=body.id or str(UUID(clock.new_id())),
        name=body.name or None,
        owner=owner,
        status="queued",
        visibility=body.visibility or "shared",
        protected=body.protected or False,
        os_hidden=body.os_hidden or False,
        disk_format=body.disk_format or None,
        container_format=body.container_format or None,
        min_disk=body.min_disk or 0,
        min_ram=body.min_ram or 0,
        created_at=now,
        updated_at=now,
    )


def _check_quota(ctx: Context, owner: str | None) -> None:
    limit = ctx.cloud.get(ImageSettings).images_per_project
    if not limit:
        return
    name = "image_count_total"
    used: Select[Any] = select(func.count(ImageRecord.id)).where(ImageRecord.owner == owner)
    usage = quota.Usage({name: used})
    quota.check(ctx.session, f"image:{owner}", {name: limit}, usage, {name: 1}, TooManyImages)
