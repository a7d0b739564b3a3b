"""Change what is known of an image, by a patch in one of Glance's dialects of JSON Patch."""

from typing import Any

import msgspec

from onestack.core import event
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, Forbidden
from onestack.core.json_patch import Change, PatchError, read_first_image_patch, read_image_patch
from onestack.image import rules
from onestack.image.images import access
from onestack.image.images.attributes import (
    OWN,
    BadProperty,
    ImageBody,
    ReadOnly,
    check_settable,
    checked_properties,
    checked_tags,
)
from onestack.image.images.events import payload
from onestack.image.images.record import (
    ImageRecord,
    keep_properties,
    keep_tags,
    properties_of,
    tags_of,
    touch,
)
from onestack.image.images.view import ImageView, view
from onestack.image.store import StoreSlot

api = Operations("images")

FIRST = "application/openstack-images-v2.0-json-patch"
SECOND = "application/openstack-images-v2.1-json-patch"
QUEUED_ONLY = ("disk_format", "container_format")


class NoSuchProperty(Conflict):
    message = "Property {name} does not exist."


class PropertyPresent(Conflict):
    message = "Property {name} already present."


class NotRemovable(Forbidden):
    message = "Property {name} may not be removed."


class LocationsInvisible(Forbidden):
    message = "It's not allowed to {op} locations if locations are invisible."


class FormatFixed(Forbidden):
    message = "Attribute {name} can be only replaced for a queued image."


class OwnerFixed(Forbidden):
    message = "Owner can't be updated by non admin."


class Draft(msgspec.Struct):
    """An image while a patch is applied to it."""

    record: ImageRecord
    tags: list[str]
    properties: dict[str, str]
    is_first_dialect: bool


@api.patch(
    "/v2/images/{image_id}",
    rules.rule("modify_image", rules.WRITE),
    content_types=(SECOND, FIRST),
)
def update(ctx: Context, image_id: str, body: list[dict[str, Any]]) -> ImageView:
    """Change an image."""
    is_first = ctx.request.content_type == FIRST
    try:
        changes = read_first_image_patch(body) if is_first else read_image_patch(body)
    except PatchError as error:
        raise BadRequest(str(error)) from None
    record = access.owned(ctx, image_id)
    tags, properties = tags_of(ctx.session, image_id), properties_of(ctx.session, image_id)
    draft = Draft(record, sorted(tags), dict(properties), is_first)
    for change in changes:
        _apply(ctx, draft, change)
    if set(draft.tags) != tags:
        keep_tags(ctx.session, image_id, draft.tags)
    if draft.properties != properties:
        keep_properties(ctx.session, image_id, checked_properties(draft.properties))
    touch(record)
    event.emit(ctx.session, "image.update", payload(record), record.owner, image_id)
    return view(record, draft.tags, draft.properties, ctx.cloud.get(StoreSlot).store.name)


def _apply(ctx: Context, draft: Draft, change: Change) -> None:
    name, *deeper = change.path
    if name == "locations":
        raise LocationsInvisible(op=change.op)
    if deeper:
        raise BadRequest(f"Invalid JSON pointer for this resource: '/{'/'.join(change.path)[:80]}'")
    if name == "id":
        raise ReadOnly(name=name)
    check_settable(name)
    is_own = name in OWN
    if change.op == "remove":
        _remove(draft, name, is_own)
        return
    is_present = is_own or name in draft.properties
    if change.op == "replace" and not is_present:
        raise NoSuchProperty(name=name[:80])
    if change.op == "add" and is_present and draft.is_first_dialect:
        raise PropertyPresent(name=name[:80])
    if is_own:
        _set(ctx, draft, name, change.value)
    else:
        draft.properties.update(checked_properties({name: change.value}))


def _remove(draft: Draft, name: str, is_own: bool) -> None:
    if is_own:
        raise NotRemovable(name=name)
    if name not in draft.properties:
        raise NoSuchProperty(name=name[:80])
    del draft.properties[name]


def _set(ctx: Context, draft: Draft, name: str, given: Any) -> None:
    try:
        value = getattr(msgspec.convert({name: given}, ImageBody), name)
    except msgspec.ValidationError as error:
        raise BadProperty(reason=str(error)) from None
    record = draft.record
    if name == "tags":
        draft.tags = checked_tags(value)
    elif name == "owner" and not access.is_admin(ctx):
        raise OwnerFixed
    elif name in QUEUED_ONLY and record.status != "queued":
        raise FormatFixed(name=name)
    else:
        if name == "visibility":
            access.judge_visibility(ctx, record, value)
        setattr(record, name, value)
