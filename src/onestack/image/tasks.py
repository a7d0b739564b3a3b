"""Tasks: what the image service does in the background, as long as it is remembered."""

import datetime as dt
from typing import Any, Literal

from sqlalchemy import JSON, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import clock, paging
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.db import Record
from onestack.core.errors import NotFound
from onestack.core.paging import PageQuery
from onestack.core.shapes import Shape
from onestack.image import rules
from onestack.image.images import access
from onestack.image.images.record import TOPIC
from onestack.image.images.view import iso

api = Operations("tasks")

KEPT = dt.timedelta(hours=48)
READ_ALL = rules.rule("tasks_api_access", rules.ADMIN)


class ImageTaskRecord(Record):
    """What is, or was, done to an image in the background."""

    __tablename__ = "image_tasks"
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    status: Mapped[str]
    image_id: Mapped[str] = mapped_column(index=True)
    owner: Mapped[str | None]
    user_id: Mapped[str]
    request_id: Mapped[str]
    input: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    message: Mapped[str]
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime | None] = mapped_column(index=True)  # once it is over

    def end(self, status: Literal["success", "failure"], message: str = "") -> None:
        """Note how it ended."""
        self.status, self.message = status, message
        self.updated_at = clock.now()
        self.expires_at = self.updated_at + KEPT


class TaskNotFound(NotFound):
    message = "Task {task_id} was not found."


class TaskQuery(PageQuery):
    """Filters of the list of all tasks."""

    type: str | None = None
    status: str | None = None


class TaskSummary(Shape):
    """A task in the list of all tasks."""

    id: str
    type: str
    status: str
    owner: str | None
    created_at: str
    updated_at: str
    expires_at: str | None
    self: str
    schema: str = "/v2/schemas/task"


class TaskView(Shape):
    """A task with what was asked, and what came of it."""

    id: str
    type: str
    status: str
    owner: str | None
    image_id: str
    user_id: str
    request_id: str
    input: dict[str, Any]
    result: dict[str, Any] | None
    message: str
    created_at: str
    updated_at: str
    expires_at: str | None
    self: str
    schema: str = "/v2/schemas/task"


class ImageTasks(Shape):
    """The tasks of an image."""

    tasks: list[TaskView]


@api.get("/v2/images/{image_id}/tasks", rules.rule("get_image", rules.READ_SEEN))
def of_image(ctx: Context, image_id: str) -> ImageTasks:
    """List what is, or was, done to an image in the background."""
    access.seen(ctx, image_id)
    record = ImageTaskRecord
    wanted = select(record).where(record.image_id == image_id)
    rows = ctx.session.scalars(wanted.order_by(record.created_at, record.id))
    return ImageTasks(tasks=[view(each) for each in rows])


@api.get("/v2/tasks", READ_ALL, key="tasks")
def index(ctx: Context, query: TaskQuery) -> Page[TaskSummary]:
    """List all tasks."""
    return paging.page(ctx, select(ImageTaskRecord), ImageTaskRecord, query, summary)


@api.get("/v2/tasks/{task_id}", READ_ALL)
def show(ctx: Context, task_id: str) -> TaskView:
    """Show a task."""
    record = ctx.session.get(ImageTaskRecord, task_id)
    if record is None:
        raise TaskNotFound(task_id=task_id[:64])
    return view(record)


def summary(_ctx: Context, record: ImageTaskRecord) -> TaskSummary:
    """A task in the list of all tasks."""
    return TaskSummary(
        id=record.id, type=record.type, status=record.status, owner=record.owner,
        created_at=iso(record.created_at), updated_at=iso(record.updated_at),
        expires_at=iso(record.expires_at) if record.expires_at else None,
        self=f"/v2/tasks/{record.id}",
    )  # fmt: skip


def view(record: ImageTaskRecord) -> TaskView:
    """A task as clients see it."""
    return TaskView(
        id=record.id, type=record.type, status=record.status, owner=record.owner,
        image_id=record.image_id, user_id=record.user_id, request_id=record.request_id,
        input=record.input, result=record.result, message=record.message,
        created_at=iso(record.created_at), updated_at=iso(record.updated_at),
        expires_at=iso(record.expires_at) if record.expires_at else None,
        self=f"/v2/tasks/{record.id}",
    )  # fmt: skip


def forget(session: Session) -> None:
    """Forget tasks whose time is over."""
    session.execute(delete(ImageTaskRecord).where(ImageTaskRecord.expires_at < clock.now()))
