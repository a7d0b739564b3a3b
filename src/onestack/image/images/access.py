"""Which images somebody sees, and how rules are asked about one."""

from sqlalchemy import ColumnElement, and_, or_, select, true

from onestack.core.context import Context
from onestack.image import rules
from onestack.image.images.record import ImageMemberRecord, ImageNotFound, ImageRecord
from onestack.image.images.snapshots import Snapshot, Snapshots

VISIBLE_TO_ALL = ("public", "community")


def seen(ctx: Context, image_id: str) -> Snapshot:
    """The image, if the caller may see it and do to it what the operation does."""
    found = ctx.cloud.get(Snapshots).get(image_id)
    is_member = ctx.caller.project_id in found.members
    _check(ctx, found.record, is_member)
    return found


def seen_marker(ctx: Context, image_id: str) -> ImageRecord | None:
    """Where a list goes on, if the caller may see it."""
    try:
        found = ctx.cloud.get(Snapshots).get(image_id)
    except ImageNotFound:
        return None
    is_seen = _is_seen(ctx, found.record, ctx.caller.project_id in found.members)
    return found.record if is_seen else None


def owned(ctx: Context, image_id: str) -> ImageRecord:
    """The image to change; nobody else changes it until the request is over."""
    record = ctx.session.get(ImageRecord, image_id, with_for_update=True)
    if record is None:
        raise ImageNotFound(image_id=image_id[:64])
    project_id = ctx.caller.project_id
    member = ctx.session.get(ImageMemberRecord, (image_id, project_id)) if project_id else None
    _check(ctx, record, member is not None)
    return record


def shared_with(ctx: Context, image_id: str, member_id: str) -> ImageRecord:
    """The image, judged as what is shared with one project, which answers for itself."""
    found = ctx.cloud.get(Snapshots).get(image_id)
    if not _is_seen(ctx, found.record, ctx.caller.project_id in found.members):
        raise ImageNotFound(image_id=image_id[:64])
    ctx.allow({**target(ctx, found.record), "member_id": member_id})
    return found.record


def is_admin(ctx: Context) -> bool:
    """Whether the caller stands above projects."""
    return ctx.policy.decide("context_is_admin", ctx.caller.credentials, None) is True


def judge_visibility(ctx: Context, record: ImageRecord, wanted: str) -> None:
    """Some visibilities need a right of their own."""
    if wanted == "public":
        ctx.allow(target(ctx, record), rule=rules.PUBLICIZE)
    elif wanted == "community":
        ctx.allow(target(ctx, record), rule=rules.COMMUNITIZE)


def target(ctx: Context, record: ImageRecord, is_member: bool = False) -> dict[str, object]:
    """An image as rules name it."""
    return {
        "project_id": record.owner,
        "owner": record.owner,
        "visibility": record.visibility,
        "member_id": ctx.caller.project_id if is_member else None,
    }


def listed(ctx: Context, visibility: str | None, member_status: str) -> ColumnElement[bool]:
    """Which images a list shows: communities' only when they are asked for, or are one's own."""
    project_id = ctx.caller.project_id
    own = ImageRecord.owner == project_id
    wanted: ColumnElement[bool] = true()
    if visibility is None:
        wanted = or_(ImageRecord.visibility != "community", own)
    elif visibility != "all":
        wanted = ImageRecord.visibility == visibility
    if is_admin(ctx):
        return wanted
    shared = select(ImageMemberRecord.image_id).where(ImageMemberRecord.member == project_id)
    if member_status != "all":
        shared = shared.where(ImageMemberRecord.status == member_status)
    theirs = and_(ImageRecord.visibility == "shared", ImageRecord.id.in_(shared))
    return and_(wanted, or_(ImageRecord.visibility.in_(VISIBLE_TO_ALL), own, theirs))


def _check(ctx: Context, record: ImageRecord, is_member: bool) -> None:
    """Refuse; without a word on whether the image exists, when the caller must not know."""
    if not _is_seen(ctx, record, is_member):
        raise ImageNotFound(image_id=record.id)
    ctx.allow(target(ctx, record, is_member))


def _is_seen(ctx: Context, record: ImageRecord, is_member: bool) -> bool:
    return (
        record.owner == ctx.caller.project_id
        or record.visibility in VISIBLE_TO_ALL
        or (record.visibility == "shared" and is_member)
        or is_admin(ctx)
    )
