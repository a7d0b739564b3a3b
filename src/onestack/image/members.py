"""The projects that an image is shared with, and what each of them says to it."""

from typing import Annotated, Literal

from sqlalchemy import select

from onestack.core import clock, event
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import Conflict, Forbidden, NotFound, TooLarge
from onestack.core.shapes import Meta, Shape
from onestack.image import rules
from onestack.image.images import access
from onestack.image.images.attributes import PRINTED
from onestack.image.images.record import ImageMemberRecord, ImageRecord
from onestack.image.images.view import iso

api = Operations("image members")

MEMBERS_MAX = 128

MemberId = Annotated[str, Meta(min_length=1, max_length=255, pattern=PRINTED)]


class MemberNotFound(NotFound):
    message = "{member} not found in the member list of the image {image_id}."


class NotShared(Forbidden):
    message = "Only shared images have members."


class MemberPresent(Conflict):
    message = "Member {member} is duplicated for image {image_id}"


class TooManyMembers(TooLarge):
    message = "The limit of {limit} members of an image has been exceeded."


class MemberCreate(Shape):
    """A project to share an image with."""

    member: MemberId


class MemberUpdate(Shape):
    """What a project says to an image that is shared with it."""

    status: Literal["pending", "accepted", "rejected"]


class MemberView(Shape):
    """A project that an image is shared with."""

    member_id: str
    image_id: str
    status: str
    created_at: str
    updated_at: str
    schema: str = "/v2/schemas/member"


@api.get(
    "/v2/images/{image_id}/members",
    rules.rule("get_members", rules.READ_MEMBERS),
    key="members",
)
def index(ctx: Context, image_id: str) -> Page[MemberView]:
    """List whom an image is shared with; who it is shared with sees only itself."""
    record = _shared(ctx, image_id)
    statement = select(ImageMemberRecord).where(ImageMemberRecord.image_id == image_id)
    if record.owner != ctx.caller.project_id and not access.is_admin(ctx):
        statement = statement.where(ImageMemberRecord.member == ctx.caller.project_id)
    rows = ctx.session.scalars(statement.order_by(ImageMemberRecord.member))
    return Page([view(each) for each in rows])


@api.post("/v2/images/{image_id}/members", rules.rule("add_member", rules.WRITE))
def create(ctx: Context, image_id: str, body: MemberCreate) -> MemberView:
    """Share an image with a project."""
    record = access.owned(ctx, image_id)
    _check_shared(record)
    has = select(ImageMemberRecord.member).where(ImageMemberRecord.image_id == image_id)
    members = set(ctx.session.scalars(has))
    if body.member in members:
        raise MemberPresent(member=body.member, image_id=image_id)
    if len(members) >= MEMBERS_MAX:
        raise TooManyMembers(limit=MEMBERS_MAX)
    now = clock.now()
    member = ImageMemberRecord(
        image_id=image_id, member=body.member, status="pending", created_at=now, updated_at=now
    )
    ctx.session.add(member)
    _emit(ctx, "create", record, member)
    return view(member)


@api.get("/v2/images/{image_id}/members/{member_id}", rules.rule("get_member", rules.READ_MEMBERS))
def show(ctx: Context, image_id: str, member_id: str) -> MemberView:
    """Show what a project says to an image."""
    record = _shared(ctx, image_id)
    is_theirs = ctx.caller.project_id in (member_id, record.owner)
    if not is_theirs and not access.is_admin(ctx):
        raise MemberNotFound(member=member_id[:80], image_id=image_id)
    return view(_member(ctx, image_id, member_id))


@api.put(
    "/v2/images/{image_id}/members/{member_id}",
    rules.rule("modify_member", rules.WRITE_AS_MEMBER),
)
def update(ctx: Context, image_id: str, member_id: str, body: MemberUpdate) -> MemberView:
    """Accept or reject an image: for the project that it is shared with to say."""
    record = access.shared_with(ctx, image_id, member_id)
    _check_shared(record)
    member = _member(ctx, image_id, member_id)
    member.status, member.updated_at = body.status, clock.now()
    _emit(ctx, "update", record, member)
    return view(member)


@api.delete("/v2/images/{image_id}/members/{member_id}", rules.rule("delete_member", rules.WRITE))
def delete(ctx: Context, image_id: str, member_id: str) -> None:
    """Share an image with a project no longer."""
    record = access.owned(ctx, image_id)
    _check_shared(record)
    member = _member(ctx, image_id, member_id)
    ctx.session.delete(member)
    _emit(ctx, "delete", record, member)


def view(record: ImageMemberRecord) -> MemberView:
    """A membership as clients see it."""
    return MemberView(
        member_id=record.member,
        image_id=record.image_id,
        status=record.status,
        created_at=iso(record.created_at),
        updated_at=iso(record.updated_at),
    )


def _shared(ctx: Context, image_id: str) -> ImageRecord:
    """An image that has members, for who may read them."""
    record = access.seen(ctx, image_id).record
    _check_shared(record)
    return record


def _check_shared(record: ImageRecord) -> None:
    if record.visibility != "shared":
        raise NotShared


def _member(ctx: Context, image_id: str, member_id: str) -> ImageMemberRecord:
    record = ctx.session.get(ImageMemberRecord, (image_id, member_id))
    if record is None:
        raise MemberNotFound(member=member_id[:80], image_id=image_id)
    return record


def _emit(ctx: Context, what: str, image: ImageRecord, member: ImageMemberRecord) -> None:
    payload = {"image_id": image.id, "member_id": member.member, "status": member.status}
    event.emit(ctx.session, f"image.member.{what}", payload, image.owner, image.id)
